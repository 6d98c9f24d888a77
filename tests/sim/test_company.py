"""What the simulated company declares is what its world does."""

import pytest

from exporter.model.time import Micros, micros
from exporter.sim.catalog import Kind, plans
from exporter.sim.company import declared_schedule
from exporter.track.cron import Line, parse
from tests.rig import START


@pytest.mark.parametrize("speed", [0.5, 1, 2, 7, 10, 60])
def test_every_declared_slot_is_run(speed: float) -> None:
    """A world may run more often than it declares, and leaves out none of what it declares."""
    for plan in plans():
        schedule = declared_schedule(plan, speed=speed)
        if plan.kind is not Kind.CRON or not schedule.HasField("cron_schedule"):
            continue
        line = parse(schedule.cron_schedule.schedule)
        assert isinstance(line, Line)
        slot: Micros | None = START
        for _ in range(10):
            assert slot is not None
            slot = line.after(slot)
            assert slot is not None
            assert slot % round(micros(plan.every) / speed) == 0


def test_schedules_of_both_kinds_are_declared() -> None:
    """At the demo's speed as in real time."""
    for speed in (1, 10):
        declared = [declared_schedule(plan, speed=speed) for plan in plans()]
        kinds = {one.WhichOneof("ScheduleExpression") for one in declared if one is not None}
        assert kinds == {"cron_schedule", "rate"}
