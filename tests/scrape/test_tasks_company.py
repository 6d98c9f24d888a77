"""What is counted of a company's tasks is what its Flyte has in its tables."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from flyteidl.admin import node_execution_pb2, task_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2

from exporter.config.settings import TasksSettings
from exporter.model.targets import Target
from exporter.model.time import Micros
from exporter.sim.catalog import PROJECTS
from exporter.sim.world import World
from tests.rig import START, Rig

_TARGETS = [
    Target(project, domain)
    for project in PROJECTS
    for domain in ("production", "staging", "development")
]
_PHASES, _STATUSES = execution_pb2.TaskExecution.Phase, catalog_pb2.CatalogCacheStatus
_FAMILIES = {
    "flyte_task_attempts_total": "attempt",
    "flyte_node_cache_lookups_total": "lookup",
}

Truth = Counter[tuple[str, ...]]
"""Attempts by phase, and lookups by status, each by project, domain and task."""


def truth(world: World, since: Micros) -> Truth:
    """Count by the tables what became of all that a client could see end after *since*."""
    counted: Truth = Counter()
    for finish in world.executions.finishes:
        if finish.known_at <= since:
            continue
        request = node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id=finish.key._asdict(), limit=1
        )
        world.api.calls["ListNodeExecutions"](request)  # so that there are nodes
        where = "execution_project = ? AND execution_domain = ? AND execution_name = ?"
        for name, blob in world.store.rows(
            f"SELECT name, closure FROM task_executions WHERE {where}",  # noqa: S608 - our own text
            finish.key,
        ):
            closure = task_execution_pb2.TaskExecutionClosure.FromString(blob)
            count_attempt(counted, (*finish.key[:2], name), closure)
        for blob, status in world.store.rows(
            f"SELECT closure, cache_status FROM node_executions WHERE {where}"  # noqa: S608 - our own text
            " AND cache_status IS NOT NULL",
            finish.key,
        ):
            closure = node_execution_pb2.NodeExecutionClosure.FromString(blob)
            dataset = closure.task_node_metadata.catalog_key.dataset_id.name
            task = dataset.removeprefix("flyte_task-")
            counted["lookup", *finish.key[:2], task, status] += 1
    return counted


def count_attempt(counted: Truth, task: tuple[str, ...], closure: object) -> None:
    """Count one row of task executions: of a map task, its inputs."""
    assert isinstance(closure, task_execution_pb2.TaskExecutionClosure)
    if closure.task_type != "container_array":
        counted["attempt", *task, _PHASES.Name(closure.phase)] += 1
        return
    for resource in closure.metadata.external_resources:
        status = _STATUSES.Name(resource.cache_status)
        if status != "CACHE_HIT":
            counted["attempt", *task, _PHASES.Name(resource.phase)] += 1
        if status != "CACHE_DISABLED":
            counted["lookup", *task, status] += 1


async def test_hours_of_a_company_are_counted_to_the_last_attempt(tmp_path: Path) -> None:
    """Over all kinds of nodes, with a restart in the midst, counts and tables agree."""
    rig = Rig(tmp_path, tasks=TasksSettings(match=("*/*/*",)))
    world = World(seed=11, start=START, speed=20, history=timedelta(minutes=30))
    rig.admin, rig.store = world.api, world.store
    for target in _TARGETS:
        await rig.poll(target)
    for turn in range(40):
        rig.clock.advance(30)
        world.advance(rig.clock.now())
        for target in _TARGETS:
            await rig.poll(target)
        if turn == 20:
            rig.restart()
        while turn % 4 == 3 and rig.metric("flyte_exporter_task_backlog"):
            await rig.task_counter.count_next()
    counted = {
        (_FAMILIES[family], *labels): value
        for (family, *labels), value in rig.totals().items()
        if family in _FAMILIES and value
    }
    expected = truth(world, START)
    assert sum(expected.values()) > 1000
    assert counted == expected
    rig.die()
