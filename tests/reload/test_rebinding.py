"""Series move in a thread, while the event loop goes on and others scrape."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter import app
from exporter.app import Running
from exporter.config.load import decode
from exporter.config.settings import Settings
from exporter.ledger.errors import LedgerError
from exporter.ledger.opening import open_ledger
from exporter.ledger.records import Commit, SeriesDelta
from exporter.ledger.store import Ledger
from exporter.metrics import catalog
from exporter.model.executions import Phase
from exporter.model.reload import ReloadOutcome
from tests import page
from tests.rows import NOON, TARGET, execution

_ENDPOINT = "127.0.0.1:1"
_PLANS = 4_000
_LAUNCHED = catalog.EXECUTIONS_LAUNCHED


def _settings(directory: Path, metrics: str = "") -> Settings:
    text = (
        "tasks: {match: ['*/*/hourly_*']}\n"
        f"admin: {{endpoint: '{_ENDPOINT}', insecure: true}}\n"
        f"ledger: {{path: '{directory / 'ledger.db'}'}}\n"
        "web: {listen: '127.0.0.1:0'}\n"
        f"{metrics}"
    )
    return decode(text.encode(), file=Path("exporter.yaml"), environ={})


@asynccontextmanager
async def _at_work(directory: Path, metrics: str) -> AsyncIterator[Running]:
    """Run over a ledger that has many series, without an Admin; a reload brings *metrics*."""
    deltas = [
        SeriesDelta(
            number,
            _LAUNCHED.name,
            (*TARGET, f"daily_{number:04}", "SCHEDULED"),
            "",
            NOON,
            None,
            1.0,
            {},
        )
        for number in range(1, _PLANS + 1)
    ]
    with open_ledger(directory / "ledger.db", endpoint=_ENDPOINT) as ledger:
        ledger.commit([Commit(deltas=deltas)])
    following = _settings(directory, metrics)
    async with app.start(_settings(directory), reread=lambda _: following) as running:
        work = asyncio.create_task(running.shifts.run())
        yield running
        work.cancel()
        await asyncio.wait([work])


def _shown(running: Running) -> list[float]:
    """Return the values of all series of launches."""
    ours = [line for line in page.lines(running.exposition) if line.startswith(_LAUNCHED.name)]
    return [float(line.rpartition(" ")[2]) for line in ours]


def _used(running: Running) -> float:
    """Return how many of them we say that there are."""
    name = f'flyte_exporter_series{{family="{_LAUNCHED.name}"}} '
    (line,) = [line for line in page.lines(running.exposition) if line.startswith(name)]
    return float(line.removeprefix(name))


@pytest.mark.parametrize(
    ("metrics", "left"),
    [
        ("metrics: {relabel: [{match: 'daily_(.*)', replacement: 'hourly_$1'}]}\n", _PLANS),
        ("metrics: {relabel: [{match: '(daily)_.*', replacement: '$1'}]}\n", 1),
        (f"metrics: {{families: {{{_LAUNCHED.name}: {{launch_plan: false}}}}}}\n", 1),
    ],
    ids=["renamed", "collapsed", "unnamed"],
)
async def test_every_scrape_sees_what_was_counted_once(
    tmp_path: Path, metrics: str, left: int
) -> None:
    """Whenever it comes: before all have moved it sees none that has, and after that all."""
    async with asyncio.timeout(60), _at_work(tmp_path, metrics) as running:
        reload = asyncio.create_task(running.shifts.reload())
        seen, used = [_shown(running)], [_used(running)]
        while not reload.done():
            await asyncio.sleep(0)
            seen.append(_shown(running))
            used.append(_used(running))
        assert reload.result().outcome is ReloadOutcome.DONE
        assert {sum(values) for values in seen} == {_PLANS}
        assert {len(values) for values in seen} == {_PLANS, left}
        assert len(seen) > 5
        assert set(used) == {_PLANS, left}


@pytest.mark.parametrize(
    ("error", "told"),
    [(LedgerError("planted"), "planted"), (RuntimeError("planted"), "RuntimeError: planted")],
    ids=lambda value: type(value).__name__,
)
async def test_what_cannot_be_written_has_not_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    """The old names go on, and the next reload has the new ones."""
    metrics = "metrics: {relabel: [{match: '(daily)_.*', replacement: '$1'}]}\n"
    async with asyncio.timeout(60), _at_work(tmp_path, metrics) as running:

        def fail(*_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "commit", fail)
            failed = await running.shifts.reload()
        assert failed == (ReloadOutcome.FAILED, f"{told}\nNothing was changed.")
        assert len(_shown(running)) == _PLANS
        assert (await running.shifts.reload()).outcome is ReloadOutcome.DONE
        assert _shown(running) == [_PLANS]


async def test_tasks_are_counted_by_the_names_of_now(tmp_path: Path) -> None:
    """Patterns are for what a launch plan is called on /metrics, by a reload's rules too."""
    metrics = "metrics: {relabel: [{match: 'daily_(.*)', replacement: 'hourly_$1'}]}\n"
    row = execution("a", Phase.SUCCEEDED, started=1, lasted=1, launch_plan="daily_1")
    async with asyncio.timeout(60), _at_work(tmp_path, metrics) as running:
        for wanted in (0, 1):
            backlog = running.shifts.services.backlog
            assert backlog is not None
            assert len(backlog.wanted(TARGET, [row])) == wanted
            await running.shifts.reload()
