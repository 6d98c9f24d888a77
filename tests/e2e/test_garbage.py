"""Nothing that we do is left to Python's collector of cycles, whatever becomes of it."""

import asyncio
import gc
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from exporter import app
from exporter.app import Running
from exporter.config.relabelling import RelabelRule
from exporter.config.settings import (
    AdminSettings,
    AuthSettings,
    DiscoverySettings,
    LedgerSettings,
    MetricsSettings,
    ScrapeSettings,
    Settings,
    TasksSettings,
    WebSettings,
)
from exporter.config.values import ListenAddress
from exporter.ledger.errors import LedgerError
from exporter.ledger.store import Ledger
from exporter.metrics.formats import Format
from exporter.model.reload import ReloadOutcome
from exporter.reload.shifts import Reread
from exporter.sim.incidents import Trouble
from tests.e2e.flyte import Simulator

_WORKING = (
    types.FrameType,
    types.CoroutineType,
    types.GeneratorType,
    types.AsyncGeneratorType,
    types.TracebackType,
    BaseException,
    asyncio.Future,
    asyncio.Timeout,
)
_INTERVAL = timedelta(milliseconds=250)
_POLLS = 50


@pytest.fixture
def collector() -> Iterator[None]:
    """Keep what is found to be garbage; afterwards, leave the collector as it was."""
    gc.collect()
    gc.freeze()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.unfreeze()


def _ours(thing: object) -> bool:
    kind = thing if isinstance(thing, types.FunctionType) else type(thing)
    return kind.__module__.startswith(("exporter.", "tenacity.")) or isinstance(thing, _WORKING)


def _settings(address: str, directory: Path, secret: Path, timeout: timedelta) -> Settings:
    return Settings(
        admin=AdminSettings(
            endpoint=address,
            insecure=True,
            rate_limit=500.0,
            auth=AuthSettings(
                type="client_secret", client_id="exporter", client_secret_file=secret
            ),
        ),
        # Pages so small that the next one is on its way.
        scrape=ScrapeSettings(interval=_INTERVAL, poll_timeout=timeout, page_size=50),
        discovery=DiscoverySettings(interval=2 * _INTERVAL),
        tasks=TasksSettings(match=("*/*/*",)),
        metrics=MetricsSettings(first_sample_hold=timedelta()),
        ledger=LedgerSettings(path=directory / "ledger.db"),
        web=WebSettings(listen=ListenAddress("127.0.0.1", 0)),
    )


def _with_another_interval(settings: Settings) -> Settings:
    interval = settings.scrape.interval + timedelta(milliseconds=1)
    scrape = settings.scrape.model_copy(update={"interval": interval})
    return settings.model_copy(update={"scrape": scrape})


def _with_other_names(settings: Settings) -> Settings:
    before = [rule.replacement for rule in settings.metrics.relabel]
    rule = RelabelRule(match="(.*)", replacement="$1" if before == ["x$1"] else "x$1")
    metrics = settings.metrics.model_copy(update={"relabel": (rule,)})
    return settings.model_copy(update={"metrics": metrics})


@asynccontextmanager
async def _at_work(
    directory: Path,
    *troubles: Trouble,
    timeout: timedelta = _INTERVAL,
    reread: Reread = _with_another_interval,
) -> AsyncIterator[Running]:
    """Run the application over an Admin that has *troubles* after a second."""
    secret = directory / "secret"
    secret.write_text("hunter2", encoding="utf-8")
    options = [f"--incident={trouble}@1s+1h" for trouble in troubles]
    auth = ("--auth", "--client-id=exporter", f"--client-secret-file={secret}")
    with Simulator(directory, "--speed=600", *auth, *options) as admin:
        settings = _settings(admin.address, directory, secret, timeout)
        async with app.start(settings, reread=reread) as running:
            work = asyncio.create_task(running.shifts.run())
            try:
                yield running
            finally:
                work.cancel()
                await asyncio.wait([work])


async def _polled(running: Running, outcome: str, *, more: int) -> None:
    """Wait until *more* polls have come to *outcome*."""

    def polls() -> float:
        text = b"".join(running.exposition.snapshot(Format.TEXT)).decode()
        wanted = f'flyte_exporter_polls_total{{outcome="{outcome}"}} '
        return float(text.partition(wanted)[2].partition("\n")[0])

    enough = polls() + more
    while polls() < enough:  # noqa: ASYNC110  # nobody tells us
        await asyncio.sleep(0.05)


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize(
    ("troubles", "outcome"),
    [
        ((), "success"),
        ((Trouble.ADMIN_UNAVAILABLE,), "admin_error"),
        ((Trouble.ADMIN_HANG,), "timeout"),
        ((Trouble.ADMIN_UNKNOWN,), "success"),
        ((Trouble.ADMIN_PANIC,), "admin_error"),
        ((Trouble.PROXY_DENIED,), "admin_error"),
        ((Trouble.OVERSIZED_PAGE,), "success"),
        ((Trouble.TOKENS_REVOKED,), "success"),
        ((Trouble.TOKENS_REVOKED, Trouble.IDENTITY_DOWN), "admin_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "well",
)
async def test_a_poll_leaves_nothing_to_the_collector(
    tmp_path: Path, troubles: tuple[Trouble, ...], outcome: str
) -> None:
    """Whether it succeeds, is refused or gives up: what it made is gone when it is over."""
    async with asyncio.timeout(60), _at_work(tmp_path, *troubles) as running:
        await _polled(running, outcome, more=_POLLS)
        gc.collect()
        assert [thing for thing in gc.garbage if _ours(thing)] == []


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("trouble", [Trouble.TOKENS_REVOKED, Trouble.ADMIN_UNAVAILABLE])
async def test_retries_leave_nothing_to_the_collector(tmp_path: Path, trouble: Trouble) -> None:
    """Also where the same error is what several calls, and several attempts of each, fail with."""
    troubles, patience = (trouble, Trouble.IDENTITY_DOWN), timedelta(seconds=5)
    async with asyncio.timeout(60), _at_work(tmp_path, *troubles, timeout=patience) as running:
        await _polled(running, "admin_error", more=_POLLS)
        gc.collect()
        assert [thing for thing in gc.garbage if _ours(thing)] == []


@pytest.mark.usefixtures("collector")
async def test_a_ledger_that_fails_leaves_nothing_to_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is known by the errors of all who had something in it."""
    async with asyncio.timeout(60), _at_work(tmp_path) as running:
        await _polled(running, "success", more=_POLLS // 2)

        def full(*_: object) -> None:
            raise LedgerError("planted")

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "commit", full)
            await _polled(running, "ledger_error", more=_POLLS // 5)
        gc.collect()
        assert [thing for thing in gc.garbage if _ours(thing)] == []


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("reread", [_with_another_interval, _with_other_names])
async def test_a_reload_leaves_nothing_to_the_collector(tmp_path: Path, reread: Reread) -> None:
    """What was known of the targets is known by their new pollers, and goes with the old ones."""
    async with asyncio.timeout(60), _at_work(tmp_path, reread=reread) as running:
        for _ in range(3):
            await _polled(running, "success", more=_POLLS // 2)
            assert (await running.shifts.reload()).outcome is ReloadOutcome.DONE
        await _polled(running, "success", more=1)
        gc.unfreeze()  # a reload of other names has the collector leave alone what there is
        gc.collect()
        assert [thing for thing in gc.garbage if _ours(thing)] == []
