"""The world is a function of seed and time, and knows the truth about itself."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flyteidl.admin import event_pb2, execution_pb2, node_execution_pb2
from flyteidl.core import catalog_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.executions import Phase
from exporter.model.time import SECOND
from exporter.sim import node_rows
from exporter.sim.execution import ExecutionKey
from exporter.sim.incidents import parse_incident
from exporter.sim.world import World
from tests.rows import after
from tests.sim.conftest import START

_ROWS = (
    "SELECT id, execution_project, execution_domain, execution_name, phase, mode, state, listed"
    " FROM executions ORDER BY execution_project, execution_domain, execution_name"
)


SHORT = timedelta(minutes=30)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 119), max_size=30), st.integers(0, 3))
def test_many_steps_come_to_the_same_rows_as_one(steps: list[int], seed: int) -> None:
    """Whoever looks, and however often, the world is the same, incidents included."""
    incidents = [
        parse_incident(text)
        for text in (
            "late-rows@10s+40s",
            "stuck@20s+20s",
            "deleted-rows@30s+1m",
            "scheduler-silence@40s+30s",
        )
    ]
    one, other = (World(seed=seed, start=START, speed=120, incidents=incidents) for _ in range(2))
    for step in sorted(steps):
        one.advance(after(step))
    for world in (one, other):
        world.advance(after(120))
    assert one.store.rows(_ROWS) == other.store.rows(_ROWS)
    assert one.truth() == other.truth()


def test_another_seed_is_another_world() -> None:
    """The seed is what decides."""
    one, other = (World(seed=seed, start=START, history=SHORT) for seed in (1, 2))
    assert one.store.rows(_ROWS) != other.store.rows(_ROWS)


@pytest.fixture(scope="module")
def world() -> World:
    """A world that has run for ten minutes at 60 times life."""
    made = World(seed=5, start=START, speed=60)
    made.advance(after(600))
    return made


def test_the_truth_is_what_the_rows_say(world: World) -> None:
    """As long as nothing is deleted, counting terminal rows gives the truth."""
    counted: Counter[tuple[str, ...]] = Counter()
    for (row,) in world.store.rows("SELECT listed FROM executions"):
        execution = execution_pb2.Execution.FromString(row)
        phase = Phase(execution.closure.phase)
        if phase.is_terminal:
            workflow, plan = execution.closure.workflow_id.name, execution.spec.launch_plan.name
            mode = execution_pb2.ExecutionMetadata.ExecutionMode.Name(execution.spec.metadata.mode)
            name = workflow if workflow.startswith(".flytegen.") else plan
            counted[execution.id.project, execution.id.domain, name, mode, phase.name] += 1
    assert world.truth() == counted


def test_the_truth_since_an_instant_leaves_out_what_was_over(world: World) -> None:
    """What ended by then and what ended after it add up to all."""
    then = after(300)
    whole, since = world.truth(), world.truth(since=then)
    earlier = World(seed=5, start=START, speed=60)
    earlier.advance(then)
    assert whole - since == earlier.truth()
    assert sum(since.values()) > 100


def test_there_is_a_past() -> None:
    """Clients that start cold find executions that ended before they looked."""
    fresh = World(seed=5, start=START, speed=60)
    assert sum(fresh.truth().values()) > 500


def test_the_company_has_every_habit_that_matters(world: World) -> None:
    """Schedules, children, single tasks, failures, aborts, and rows that never ran."""
    asked = {
        "scheduled": "mode = 1",
        "child": "mode = 4 AND phase = 'SUCCEEDED'",
        "by hand": "mode = 0",
        "single task": "launch_entity = 'task' AND task_id > 0 AND launch_plan_id = 0",
        "joined": "launch_plan_id > 0 AND workflow_id > 0",
        "failed": "phase = 'FAILED' AND error_kind = 'USER'",
        "failed before it ran": "phase = 'FAILED' AND started_at IS NULL",
        "aborted": "phase = 'ABORTED'",
        "aborting for ever": "phase = 'ABORTING'",
        "running": "phase = 'RUNNING'",
    }
    for habit, where in asked.items():
        (count,) = world.store.row(f"SELECT count(*) FROM executions WHERE {where}")  # noqa: S608 - text from above
        assert count > 0, habit
    names = world.store.rows(
        "SELECT execution_name FROM executions GROUP BY 1"
        " HAVING count(DISTINCT execution_project) > 1"
    )
    assert names


def test_schedules_are_kept(world: World) -> None:
    """Every slot of an active plan has its run, a few milliseconds late."""
    slots = []
    for (row,) in world.store.rows(
        "SELECT listed FROM executions WHERE execution_project = 'etl' AND mode = 1"
        " AND execution_domain = 'production' AND execution_created_at >= ?",
        [START],
    ):
        execution = execution_pb2.Execution.FromString(row)
        if execution.spec.launch_plan.name == "ingest_events":
            due = execution.spec.metadata.scheduled_at.ToMicroseconds()
            assert 0 < execution.closure.created_at.ToMicroseconds() - due < 20_000
            slots.append(due)
    assert sorted(slots) == list(range(min(slots), max(slots) + 1, SECOND))
    assert len(slots) == 600


def launch_by_client(world: World, name: str) -> ExecutionKey:
    """Launch through the API, as a client does."""
    spec = execution_pb2.ExecutionSpec(
        launch_plan={
            "resource_type": "LAUNCH_PLAN", "project": "etl", "domain": "production",
            "name": "hourly_report", "version": "v1",
        }
    )  # fmt: skip
    request = execution_pb2.ExecutionCreateRequest(
        project="etl", domain="production", name=name, spec=spec
    )
    world.api.lifecycle.create_execution(request)
    return ExecutionKey("etl", "production", name)


def phase_of(world: World, key: ExecutionKey) -> Phase:
    """Return the phase that a client sees."""
    return world.executions.get(key).phase


def test_a_clients_execution_waits_for_the_clients_events() -> None:
    """It is the client who plays propeller, and its ends count as any."""
    world = World(seed=1, start=START, history=SHORT)
    key = launch_by_client(world, "mine")
    world.advance(after(600))
    assert phase_of(world, key) is Phase.UNDEFINED
    event: Any = {"execution_id": key._asdict(), "phase": Phase.SUCCEEDED}
    event["occurred_at"] = {"seconds": START // SECOND}
    before = world.truth()
    world.api.lifecycle.create_workflow_event(event_pb2.WorkflowExecutionEventRequest(event=event))
    assert world.truth() - before == {
        ("etl", "production", "hourly_report", "MANUAL", "SUCCEEDED"): 1
    }


def test_a_driven_world_moves_what_clients_launch() -> None:
    """A canary needs somebody to run it; aborted, it ends ABORTED."""
    world = World(seed=1, start=START, drive=True, history=SHORT)
    key, other = launch_by_client(world, "mine"), launch_by_client(world, "other")
    request = execution_pb2.ExecutionTerminateRequest(id=other._asdict(), cause="why")
    world.api.lifecycle.terminate_execution(request)
    world.advance(after(600))
    assert phase_of(world, key) is Phase.SUCCEEDED
    assert phase_of(world, other) is Phase.ABORTED


def nodes_of(world: World, key: ExecutionKey, parent: str = "") -> Any:
    """List nodes of an execution: those at the top, or the children of one."""
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=key._asdict(), limit=100, unique_parent_id=parent
    )
    return world.api.calls["ListNodeExecutions"](request).node_executions


def test_executions_have_nodes_once_somebody_looks(world: World) -> None:
    """All kinds of nodes are there, within the times of their executions."""
    met: Counter[str] = Counter()
    for finish in world.executions.finishes[-600:]:
        stored = world.executions.get(finish.key)
        nodes = list(nodes_of(world, finish.key))
        assert bool(nodes) == (stored.started_at is not None)
        began, ended = stored.closure.started_at, stored.closure.updated_at
        for node in nodes:
            assert began.ToMicroseconds() <= node.closure.created_at.ToMicroseconds()
            assert node.closure.updated_at.ToMicroseconds() <= ended.ToMicroseconds()
            assert node.closure.phase in node_rows.TERMINAL
            met["parent"] += node.metadata.is_parent_node
            met["dynamic"] += node.metadata.is_dynamic
            met["array"] += node.metadata.is_array
            met["child"] += node.closure.HasField("workflow_node_metadata")
            met["hit"] += node.closure.task_node_metadata.cache_status == catalog_pb2.CACHE_HIT
            if node.metadata.is_parent_node:
                assert nodes_of(world, finish.key, node.id.node_id)
    (retried,) = world.store.row("SELECT count(*) FROM task_executions WHERE retry_attempt > 0")
    assert retried
    assert all(met[kind] for kind in ("parent", "dynamic", "array", "child", "hit")), met


def test_nodes_are_the_same_whenever_somebody_looks() -> None:
    """Looking while an execution runs changes nothing of what is there in the end."""
    found = []
    for looks in (False, True):
        world = World(seed=3, start=START, speed=60, history=SHORT)
        keys = [
            ExecutionKey(*row)
            for row in world.store.rows(
                "SELECT execution_project, execution_domain, execution_name FROM executions"
                " WHERE phase = 'RUNNING' ORDER BY place"
            )
        ]
        if looks:
            for key in keys:
                assert nodes_of(world, key)
        world.advance(after(120))
        found.append(
            [sorted(node.SerializeToString() for node in nodes_of(world, key)) for key in keys]
        )
    assert found[0] == found[1]
