"""What is said of a company's schedules is what its scheduler did, also when it was down."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from flyteidl.admin import execution_pb2

from exporter.admin.convert import schedule_of
from exporter.model.executions import Mode
from exporter.model.schedules import Cron, Timetable
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros, micros
from exporter.sim.catalog import plans
from exporter.sim.company import declared_schedule
from exporter.sim.execution import ExecutionKey
from exporter.sim.incidents import parse_incident
from exporter.sim.world import World
from tests.rig import START, Rig

T = Target("etl", "production")
MINUTE = 60 * SECOND
_BEGIN = Micros(START // (60 * MINUTE) * 60 * MINUTE)
_SLOW = 0.2
"""Launches per second: of an hour's slots, those of the last launch plan come after minutes."""
_FORGOTTEN = Micros(_BEGIN + 40 * MINUTE)
"""The slot that the scheduler never launches anything for."""


def timetables() -> dict[str, Timetable]:
    """Return what is active of the target, and one launch plan more."""
    declared = {
        plan.name: schedule_of(declared_schedule(plan, speed=1))
        for plan in plans()
        if plan[:2] == T and declared_schedule(plan, speed=1) is not None
    }
    found = {name: Timetable(schedule) for name, schedule in declared.items() if schedule}
    return {**found, "forgetful": Timetable(Cron("*/10 * * * *"))}


def launch_forgetful(world: World, now: Micros) -> None:
    """Run the launch plan that is none of the company's, but for one slot."""
    if now % (10 * MINUTE) == 0 and now != _FORGOTTEN:
        key = ExecutionKey(*T, f"f{now}")
        world.executions.launch(
            key, launch_plan="forgetful", created_at=now, mode=Mode.SCHEDULED, scheduled_at=now
        )


def overtaken(world: World, grace: timedelta) -> Counter[str]:
    """Count, by launch plan, the slots that ran later than a later one, by *grace* and more."""
    runs: dict[str, list[tuple[int, int]]] = {}
    for (row,) in world.store.rows(
        "SELECT listed FROM executions WHERE execution_project = ? AND execution_domain = ?"
        " AND mode = 1 AND execution_created_at >= ?",
        [*T, _BEGIN],
    ):
        execution = execution_pb2.Execution.FromString(row)
        slot, made = execution.spec.metadata.scheduled_at, execution.closure.created_at
        runs.setdefault(execution.spec.launch_plan.name, []).append(
            (slot.ToMicroseconds(), made.ToMicroseconds())
        )
    return Counter(
        name
        for name, found in runs.items()
        for slot, made in found
        if any(other > slot and then + micros(grace) <= made for other, then in found)
    )


async def test_a_slow_catch_up_after_an_hour_without_a_scheduler(tmp_path: Path) -> None:
    """Later slots ran long before those of that hour: none of them was missed, but the one was."""
    rig = Rig(tmp_path, hold=timedelta())
    rig.clock.instant = _BEGIN
    world = World(
        seed=11,
        start=_BEGIN,
        history=timedelta(minutes=30),
        incidents=[parse_incident("scheduler-silence@15m+1h")],
        launches_per_second=_SLOW,
    )
    rig.admin, rig.store = world.api, world.store

    async def work(minutes: int) -> None:
        for _ in range(2 * minutes):
            rig.clock.advance(30)
            world.advance(rig.clock.now())
            launch_forgetful(world, rig.clock.now())
            rig.poller(T).set_timetables(timetables(), rig.clock.now())
            await rig.poll(T)
            await rig.upkeep.release()

    def shown(name: str, launch_plan: str) -> float | None:
        labels = f'project="etl",domain="production",launch_plan="{launch_plan}"'
        return rig.metric(f"flyte_launch_plan_schedule_{name}{{{labels}}}")

    await work(75)
    # The scheduler is down.
    ran, due = (f"last_{what}_timestamp_seconds" for what in ("run", "due"))
    behind = (shown(due, "ingest_events") or 0) - (shown(ran, "ingest_events") or 0)
    assert behind == 59 * 60
    await work(7)
    # It is back, and nowhere near the end of what it has to catch up on.
    two_minutes_ago = rig.clock.now() / SECOND - 120
    assert shown(ran, "sessionize") == shown(due, "sessionize") == two_minutes_ago
    rig.restart()
    await work(100)
    late = overtaken(world, timedelta(minutes=2))
    assert late["sessionize"] >= 25, late
    missed = {name: shown("missed_total", name) for name in timetables()}
    assert missed == {**dict.fromkeys(timetables(), 0), "forgetful": 1}
    assert {shown("skipped_total", name) for name in timetables()} == {0}
    rig.die()
