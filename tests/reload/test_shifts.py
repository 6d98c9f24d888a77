"""One configuration after the other: who waits is answered, and what fails leaves all as it was."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter import app
from exporter.app import Running
from exporter.config.settings import (
    AdminSettings,
    LedgerSettings,
    SchedulesSettings,
    ScrapeSettings,
    Settings,
    WebSettings,
)
from exporter.config.values import ListenAddress
from exporter.metrics.formats import Format
from exporter.model.reload import ReloadOutcome
from exporter.reload import shifts as reload_shifts

_SUCCESSFUL = b"\nflyte_exporter_config_last_reload_successful "


class Configuration:
    """A file, so to speak; tests change what it says, and have reading it take a while."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(
            admin=AdminSettings(endpoint="127.0.0.1:1", insecure=True),
            ledger=LedgerSettings(path=directory / "ledger.db"),
            web=WebSettings(listen=ListenAddress("127.0.0.1", 0)),
        )
        self.reads = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def change(self, seconds: float) -> None:
        """Say another interval."""
        scrape = ScrapeSettings(interval=timedelta(seconds=seconds))
        self.settings = self.settings.model_copy(update={"scrape": scrape})

    def read(self, _: Settings) -> Settings:
        """Return what it says at the end of the reading."""
        self.reads += 1
        self.begun.set()
        assert self.go_on.wait(10)
        return self.settings


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """Return a configuration without an Admin that would answer."""
    return Configuration(tmp_path)


@asynccontextmanager
async def running(configuration: Configuration) -> AsyncIterator[Running]:
    """Run the application until the block ends."""
    async with app.start(configuration.settings, reread=configuration.read) as one:
        work = asyncio.create_task(one.shifts.run())
        try:
            yield one
        finally:
            work.cancel()
            await asyncio.wait([work])


def _successful(one: Running) -> bool:
    document = b"".join(one.exposition.snapshot(Format.TEXT))
    return document.partition(_SUCCESSFUL)[2].startswith(b"1")


async def test_a_bug_while_opening_leaves_all_as_it_was(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told and shown, the shift goes on, and the next reload can be a good one."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    async with running(configuration) as one:
        before = one.shifts.scheduler
        configuration.change(10)
        with monkeypatch.context() as patch:
            patch.setattr(reload_shifts, "open_services", broken)
            with capture_logs() as logs:
                outcome, text = await one.shifts.reload()
        assert [log["event"] for log in logs] == ["reload failed on a bug of ours"]
        assert outcome is ReloadOutcome.FAILED
        assert text == "ZeroDivisionError: planted\nNothing was changed."
        assert one.shifts.scheduler is before
        assert not _successful(one)
        assert (await one.shifts.reload()).outcome is ReloadOutcome.DONE
        assert one.shifts.scheduler is not before
        assert _successful(one)


async def test_nothing_changed_interrupts_nothing(configuration: Configuration) -> None:
    """Whoever can reach the port can do no harm by asking again and again."""
    async with running(configuration) as one:
        before = one.shifts.scheduler
        for _ in range(5):
            assert (await one.shifts.reload()).text == "reloaded: nothing has changed"
        assert one.shifts.scheduler is before


async def test_the_polls_of_a_shift_go_by_its_settings(configuration: Configuration) -> None:
    """How schedules are judged can be set right without a restart."""
    async with running(configuration) as one:
        schedules = SchedulesSettings(grace=timedelta(minutes=5), timezone="Asia/Tokyo")
        configuration.settings = configuration.settings.model_copy(update={"schedules": schedules})
        told = (await one.shifts.reload()).text
        assert told == "reloaded: schedules.grace, schedules.timezone"
        assert one.shifts.services.schedules == schedules


async def test_a_request_is_answered_by_a_reading_that_began_after_it(
    configuration: Configuration,
) -> None:
    """Requests that come during a reload share the next one, whose file is as they know it."""
    async with running(configuration) as one:
        configuration.go_on.clear()
        first = asyncio.create_task(one.shifts.reload())
        await asyncio.to_thread(configuration.begun.wait, 10)
        others = [asyncio.create_task(one.shifts.reload()) for _ in range(3)]
        await asyncio.sleep(0)
        assert configuration.reads == 1
        configuration.change(10)
        configuration.go_on.set()
        assert (await first).text == "reloaded: scrape.interval"
        assert {(await other).text for other in others} == {"reloaded: nothing has changed"}
        assert configuration.reads == 2


async def test_who_gives_up_takes_nobody_along(configuration: Configuration) -> None:
    """A client that goes away leaves the reload, and those who wait with it, alone."""
    async with running(configuration) as one:
        configuration.change(10)
        configuration.go_on.clear()
        requests = [asyncio.create_task(one.shifts.reload()) for _ in range(2)]
        await asyncio.to_thread(configuration.begun.wait, 10)
        requests[0].cancel()
        configuration.go_on.set()
        async with asyncio.timeout(10):
            assert (await requests[1]).outcome is ReloadOutcome.DONE
        assert one.shifts.settings == configuration.settings


async def test_who_waits_is_told_of_the_end(configuration: Configuration) -> None:
    """Nobody is left waiting by an exporter that stops: for this reload, the next or none."""
    async with running(configuration) as one:
        configuration.go_on.clear()
        waiting = [asyncio.create_task(one.shifts.reload())]
        await asyncio.to_thread(configuration.begun.wait, 10)
        waiting.append(asyncio.create_task(one.shifts.reload()))
        await asyncio.sleep(0)
    waiting.append(asyncio.create_task(one.shifts.reload()))
    configuration.go_on.set()
    async with asyncio.timeout(10):
        assert [(await each).outcome for each in waiting] == [ReloadOutcome.STOPPING] * 3


async def test_a_hangup_has_it_read(configuration: Configuration) -> None:
    """A signal that came while we started is not forgotten."""
    hangup = asyncio.Event()
    hangup.set()
    configuration.change(10)
    original = configuration.settings
    configuration.change(20)
    async with app.start(original, reread=configuration.read, hangup=hangup) as one:
        work = asyncio.create_task(one.shifts.run())
        await asyncio.to_thread(configuration.begun.wait, 10)
        # This one comes after it.
        assert (await one.shifts.reload()).text == "reloaded: nothing has changed"
        assert one.shifts.settings == configuration.settings
        work.cancel()
        await asyncio.wait([work])
