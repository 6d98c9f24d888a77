"""A launch plan that Admin promised to run, from its registration to what /metrics says of it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flyteidl.admin import schedule_pb2

from exporter.model.executions import Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from tests import page, rows
from tests.plans import NONE_AT_ALL, ONE_AT_ONCE, activate
from tests.rig import ManualClock, Rig, quiet, register
from tests.stage import Stage

T = Target("etl", "development")
TARGET = 'project="etl",domain="development"'
REPORT = f'{TARGET},launch_plan="report"'
HOURLY = schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule="0 * * * *"))
MINUTE, HOUR = 60, 3600


def at(text: str) -> Micros:
    """Return an instant of 1 September 2026, UTC."""
    return rows.at(f"09-01 {text}")


async def until(stage: Stage, text: str) -> None:
    """Let the exporter work until *text*."""
    await stage.clock.advance((at(text) - stage.rig.clock.now()) / SECOND)
    await stage.rig.upkeep.release()


async def run(stage: Stage, slot: str, *, late: float, lasts: float) -> None:
    """Have Flyte's scheduler launch a run for *slot* that will succeed, as time goes by."""
    rig = stage.rig
    await stage.clock.advance((at(slot) - rig.clock.now()) / SECOND + late)
    key = rig.launch(
        T,
        f"f{slot[:2]}",
        launch_plan="report",
        mode=Mode.SCHEDULED,
        scheduled_at=at(slot),
    )
    began = rig.clock.now()
    rig.admin.executions.move(key, Phase.RUNNING, at=began, received_at=began)
    await stage.clock.advance(lasts)
    ended = rig.clock.now()
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=ended, received_at=ended)


def shown(rig: Rig) -> Mapping[str, float]:
    """Return what is shown of the launch plan's schedule and freshness."""
    names = (
        "flyte_launch_plan_schedule_",
        "flyte_execution_schedule_",
        "flyte_launch_plan_freshness_",
        "flyte_launch_plan_last_",
        "flyte_launch_plan_info",
    )
    samples = (
        line.rpartition(" ") for line in page.lines(rig.exposition) if line.startswith(names)
    )
    return {name: float(value) for name, _, value in samples}


async def test_an_hourly_launch_plan_that_may_run_once_at_a_time(tmp_path: Path) -> None:
    """
    Of seven slots five ran, one of them late; one was missed, and one skipped by the policy.

    Nothing of it is told the exporter: schedule and policy are what Admin has registered.
    """
    rig = Rig(tmp_path, hold=timedelta(), clock=ManualClock(at("00:00")))
    register(rig, T.project)
    activate(rig, T, "report", schedule=HOURLY, policy=ONE_AT_ONCE)
    stage = Stage(rig)
    running = asyncio.create_task(stage.scheduler.run())
    await quiet()

    await run(stage, "01:00", late=3, lasts=5 * MINUTE)
    # Nothing for 02:00; and what began at 03:00 is still there at 04:00.
    await run(stage, "03:00", late=40, lasts=90 * MINUTE)
    await run(stage, "05:00", late=3, lasts=5 * MINUTE)
    await run(stage, "06:00", late=3, lasts=5 * MINUTE)
    await run(stage, "07:00", late=3, lasts=5 * MINUTE)
    await until(stage, "07:20")

    plan, delay = "flyte_launch_plan", "flyte_execution_schedule_delay_seconds"
    bounds = ("1.0", "5.0", "10.0", "30.0", "60.0", "120.0", "300.0", "900.0", "3600.0")
    edges = (*bounds, "21600.0", "86400.0", "+Inf")
    seven = at("07:00") / SECOND
    workflow = 'workflow="wf.report",version="v1",schedule="0 * * * *"'
    assert shown(rig) == {
        f"{plan}_info{{{REPORT},{workflow}}}": 1,
        f"{plan}_schedule_missed_total{{{REPORT}}}": 1,
        f"{plan}_schedule_skipped_total{{{REPORT}}}": 1,
        f"{plan}_schedule_last_due_timestamp_seconds{{{REPORT}}}": seven,
        f"{plan}_schedule_last_run_timestamp_seconds{{{REPORT}}}": seven,
        f"{plan}_schedule_next_due_timestamp_seconds{{{REPORT}}}": seven + HOUR,
        **{
            f'{delay}_bucket{{{TARGET},le="{edge}"}}': count
            for edge, count in zip(edges, (0, 4, 4, 4, *(5,) * 8), strict=True)
        },
        f"{delay}_sum{{{TARGET}}}": 4 * 3 + 40,
        f"{delay}_count{{{TARGET}}}": 5,
        f'{plan}_last_finished_timestamp_seconds{{{REPORT},phase="SUCCEEDED"}}': (
            seven + 3 + 5 * MINUTE
        ),
        f"{plan}_last_duration_seconds{{{REPORT}}}": 5 * MINUTE,
        # Two periods, and what 95 in 100 runs do not exceed.
        f"{plan}_freshness_limit_seconds{{{REPORT}}}": 2 * HOUR + 90 * MINUTE,
    }
    running.cancel()
    await asyncio.wait([running])
    rig.die()


async def test_an_hourly_launch_plan_that_may_never_run(tmp_path: Path) -> None:
    """Its schedule is told as Flyte shows it, and no run of it is due, neither now nor later."""
    rig = Rig(tmp_path, hold=timedelta(), clock=ManualClock(at("00:00")))
    register(rig, T.project)
    activate(rig, T, "report", schedule=HOURLY, policy=NONE_AT_ALL)
    for _ in range(2):
        stage = Stage(rig)
        running = asyncio.create_task(stage.scheduler.run())
        await stage.clock.advance(25 * HOUR)
        await rig.upkeep.release()
        workflow = 'workflow="wf.report",version="v1",schedule="0 * * * *"'
        assert shown(rig) == {f"flyte_launch_plan_info{{{REPORT},{workflow}}}": 1}
        assert not stage.inventory.is_scheduled(T, "report")
        running.cancel()
        await asyncio.wait([running])
        rig.restart()
    rig.die()
