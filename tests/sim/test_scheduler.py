"""Flyte's scheduler runs what is due in its time, and what it was silent for beside that."""

from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from flyteidl.admin import execution_pb2

from exporter.model.time import SECOND
from exporter.sim.incidents import parse_incident
from exporter.sim.world import World
from tests.rows import after
from tests.sim.conftest import START

SPEED = 60
BUSIEST = ("etl", "production", "ingest_events")
"""It has a slot every second."""


class Run(NamedTuple):
    """An execution for a slot."""

    made: int
    plan: tuple[str, str, str]
    slot: int


def catch_up(world: World, *, until: float) -> tuple[list[Run], list[Run]]:
    """Return what was launched from second 90 to *until*: for slots before that, and for others."""
    world.advance(after(until))
    runs = []
    for (row,) in world.store.rows(
        "SELECT listed FROM executions WHERE mode = 1 AND execution_created_at >= ?", [after(90)]
    ):
        execution = execution_pb2.Execution.FromString(row)
        plan, metadata = execution.spec.launch_plan, execution.spec.metadata
        runs.append(
            Run(
                execution.closure.created_at.ToMicroseconds(),
                (plan.project, plan.domain, plan.name),
                metadata.scheduled_at.ToMicroseconds(),
            )
        )
    runs.sort()
    return [run for run in runs if run.slot < after(90)], [
        run for run in runs if run.slot >= after(90)
    ]


def silent(*incidents: str, launches_per_second: float) -> World:
    """Return a world whose scheduler is silent now and then."""
    return World(
        seed=3,
        start=START,
        speed=SPEED,
        incidents=[*map(parse_incident, incidents)],
        history=timedelta(minutes=30),
        launches_per_second=launches_per_second,
    )


def test_a_catch_up_goes_beside_what_is_due() -> None:
    """Missed slots run one by one, plan by plan and in order; later ones do not wait for them."""
    world = silent("scheduler-silence@30s+1m", launches_per_second=0.5)
    missed, live = catch_up(world, until=100)
    assert all(run.made - run.slot < 20_000 for run in live)
    pauses = {later.made - earlier.made for earlier, later in pairwise(missed)}
    assert pauses == {round(2 * SECOND / SPEED)}
    plans = [*dict.fromkeys(run.plan for run in missed)]
    assert missed == sorted(missed, key=lambda run: (plans.index(run.plan), run.slot))
    assert len(set(missed)) == len(missed) > 100
    busiest = [run.slot for run in missed if run.plan == BUSIEST]
    assert busiest == [after(second) for second in range(30, 90)]
    first = {run.plan: run.made for run in reversed(live)}
    overtaken = {run.plan for run in missed if first.get(run.plan, run.made) < run.made}
    assert len(overtaken) > 1


def test_a_catch_up_that_is_cut_short_goes_on_later() -> None:
    """A scheduler that falls silent again has lost nothing, and does nothing meanwhile."""
    world = silent("scheduler-silence@30s+1m", "scheduler-silence@91s+5s", launches_per_second=0.5)
    missed, live = catch_up(world, until=105)
    down = after(91.1), after(96)
    assert not [run for run in (*missed, *live) if down[0] <= run.made < down[1]]
    undisturbed, _ = catch_up(
        silent("scheduler-silence@30s+1m", launches_per_second=0.5), until=105
    )
    assert {run[1:] for run in missed} == {run[1:] for run in undisturbed}
    busiest = sorted(run.slot for run in live if run.plan == BUSIEST)
    assert busiest == [after(second) for second in range(90, 105)]
