"""
For how long it is known how launch plans fared, and how they kept their schedules.

Neither goes with the other: who has no schedule any more may well be run by somebody.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from flyteidl.admin import schedule_pb2

from exporter.model.executions import Mode, Phase
from exporter.model.schedules import ScheduleState
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.scrape.norms import NormsOf
from tests.plans import activate, deactivate
from tests.rig import Rig, register
from tests.stage import scheduled

A = Target("a", "development")
HOUR = 3600
DAY = 24 * HOUR
MONTHLY = schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule="0 0 1 * *"))
_LABELS = 'project="a",domain="development",launch_plan="etl"'
_LAST_RUN = f"flyte_launch_plan_schedule_last_run_timestamp_seconds{{{_LABELS}}}"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a process that shows what it counts at once."""
    rig = Rig(tmp_path, hold=timedelta(), norms=NormsOf())
    register(rig, "a")
    return rig


def run(rig: Rig, name: str, phase: Phase, *, slot: Micros | None = None) -> float:
    """Have a run that takes a minute end now; return when that is, as /metrics has it."""
    ended = rig.clock.now()
    began = Micros(ended - 60 * SECOND)
    mode = Mode.MANUAL if slot is None else Mode.SCHEDULED
    key = rig.launch(A, name, launch_plan="etl", mode=mode, created_at=began, scheduled_at=slot)
    rig.admin.executions.move(key, Phase.RUNNING, at=began, received_at=began)
    rig.admin.executions.move(key, phase, at=ended, received_at=ended)
    return ended / SECOND


def fared(rig: Rig) -> tuple[float | None, ...]:
    """Return the last success, the last failure and the failures in a row that are shown."""
    ends = "flyte_launch_plan_last_finished_timestamp_seconds"
    return (
        rig.metric(f'{ends}{{{_LABELS},phase="SUCCEEDED"}}'),
        rig.metric(f'{ends}{{{_LABELS},phase="FAILED"}}'),
        rig.metric(f"flyte_launch_plan_consecutive_failures{{{_LABELS}}}"),
    )


async def test_failures_stay_known_when_the_schedule_never_ran_and_is_off(rig: Rig) -> None:
    """Tried by hand before its first slot, and switched off: shown for 14 days, kept for 35."""
    activate(rig, A, "etl", schedule=MONTHLY)
    async with scheduled(rig) as stage:
        await stage.clock.advance(700)
        failed_at = run(rig, "tried", Phase.FAILED)
        await stage.clock.advance(700)
        deactivate(rig, A, "etl")
        for days in (0, 13):
            rig.clock.advance(days * DAY)
            await stage.clock.advance(1500)
            assert fared(rig) == (None, failed_at, 1)
            assert rig.ledger.target(A).schedules == {}
        rig.clock.advance(20 * DAY)
        await stage.clock.advance(1500)
        assert fared(rig) == (None, None, None)
        assert rig.ledger.target(A).plans.keys() == {"etl"}
        rig.clock.advance(2 * DAY)
        await stage.clock.advance(1500)
        assert rig.ledger.target(A).plans == {}


async def test_successes_stay_known_when_the_next_version_has_no_schedule(rig: Rig) -> None:
    """Nobody is told that the data of a launch plan are old that succeeded half an hour ago."""
    activate(rig, A, "etl", schedule=MONTHLY)
    async with scheduled(rig) as stage:
        await stage.clock.advance(700)
        succeeded_at = run(rig, "by-hand", Phase.SUCCEEDED)
        await stage.clock.advance(700)
        activate(rig, A, "etl", version="v2")
        await stage.clock.advance(1500)
        assert fared(rig) == (succeeded_at, None, 0)
        assert rig.ledger.target(A).schedules == {}
    rig.restart()
    async with scheduled(rig) as stage:
        await stage.clock.advance(700)
        assert fared(rig) == (succeeded_at, None, 0)


async def test_a_schedule_that_ended_long_ago_takes_no_run_of_today_along(rig: Rig) -> None:
    """Somebody else has run it every day since; the last that Flyte did is forgotten by itself."""
    activate(rig, A, "etl", schedule=MONTHLY)
    async with scheduled(rig) as stage:
        await stage.clock.advance(700)
        run(rig, "by-cron", Phase.SUCCEEDED, slot=rig.clock.now())
        await stage.clock.advance(700)
        activate(rig, A, "etl", version="v2")
        await stage.clock.advance(700)
        assert rig.ledger.target(A).schedules.keys() == {"etl"}
        for day in range(36):
            rig.clock.advance(DAY)
            succeeded_at = run(rig, f"day-{day}", Phase.SUCCEEDED)
            await stage.clock.advance(1500)
            assert fared(rig) == (succeeded_at, None, 0)
        assert rig.ledger.target(A).schedules == {}
        assert len(rig.ledger.target(A).plans["etl"].successes) == 37


async def test_an_outcome_that_is_over_takes_no_schedule_along(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many launch plans nobody knows how they fared; the last run of this one stays."""
    activate(rig, A, "etl", schedule=MONTHLY)
    async with scheduled(rig) as stage:
        await stage.clock.advance(700)
        slot = rig.clock.now()
        run(rig, "by-cron", Phase.SUCCEEDED, slot=slot)
        await stage.clock.advance(700)
        deactivate(rig, A, "etl")
        await stage.clock.advance(700)
        for module in ("exporter.track.plans", "exporter.scrape.standings"):
            monkeypatch.setattr(f"{module}.MOST_IDLE", 0)
        await stage.clock.advance(1500)
        assert rig.ledger.target(A).plans == {}
        assert rig.ledger.target(A).schedules == {"etl": ScheduleState(last_run=slot)}
        assert rig.metric(_LAST_RUN) is None
        activate(rig, A, "etl", schedule=MONTHLY)
        await stage.clock.advance(700)
        assert rig.metric(_LAST_RUN) == slot / SECOND
