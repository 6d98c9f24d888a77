"""What the client says of an execution's nodes and tasks is what propeller reported of them."""

from typing import Any

import pytest

from exporter.admin.client import AdminClient
from exporter.admin.errors import NotFound
from exporter.admin.nodes import NodeClient
from exporter.model.tasks import CacheStatus, Node, SubTask, TaskPhase
from exporter.model.time import SECOND
from tests.live.deeds import Run
from tests.live.flyte import LAST_TASK, NIGHTLY, TASK, Project
from tests.live.samples import SECONDS
from tests.propeller import CACHED, inputs

pytestmark = [pytest.mark.live, pytest.mark.write]

_HIT: dict[str, Any] = {"task_node_metadata": {"cache_status": "CACHE_HIT", **CACHED}}


def node(name: str, **about: Any) -> Node:
    """Return a node with a task that was tried, but for what is otherwise."""
    usual = {"has_attempts": True, "is_parent": False, "cache": None, "cached_task": ""}
    return Node(id=name, **(usual | about))


@pytest.fixture(params=[1, 200])
def nodes(
    client: AdminClient, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> NodeClient:
    """Return a client for nodes, with pages of one row and of many."""
    monkeypatch.setattr("exporter.admin.nodes._PER_PAGE", request.param)
    return client.nodes(rate=10_000, concurrency=4)


@pytest.fixture
def run(project: Project) -> Run:
    """Return an execution in which everything happened that can be asked about."""
    run = project.launch(NIGHTLY)
    propeller = project.propeller(run)
    propeller.node("start-node", "SUCCEEDED", 1)
    propeller.ran("retried", TASK, (1, 2, 5), phase="FAILED")
    propeller.ran("retried", TASK, (5, 7, 17.5), attempt=1)
    propeller.node("retried", "SUCCEEDED", 18)
    propeller.node("cached", "SUCCEEDED", 18, **_HIT)
    propeller.node("inner", "RUNNING", 18, is_parent=True)
    propeller.ran("inner-0-n0", TASK, (18, 19, 20), parent="inner")
    propeller.ran("inner-0-n1", LAST_TASK, (20, 21, 22), parent="inner", phase="ABORTED")
    propeller.ran("dynamic", LAST_TASK, (22, 23, 24))
    propeller.node("dynamic", "DYNAMIC_RUNNING", 24, is_parent=True, is_dynamic=True)
    propeller.ran("dynamic-0-n0", TASK, (24, 25, 26), parent="dynamic")
    propeller.node("mapped", "RUNNING", 26, is_array=True)
    begun = inputs((0, 0, "RUNNING", "CACHE_DISABLED"), (1, 0, "SUCCEEDED", "CACHE_HIT"))
    propeller.task("mapped", TASK, "RUNNING", 26, **begun)
    over = inputs((0, 0, "RETRYABLE_FAILED", "CACHE_DISABLED"), (0, 1, "SUCCEEDED", "CACHE_MISS"))
    propeller.task("mapped", TASK, "SUCCEEDED", 36, **over)
    propeller.node("waits", "QUEUED", 36)
    return run


async def test_nodes_are_listed_level_by_level(
    project: Project, run: Run, nodes: NodeClient
) -> None:
    """In the order in which they were reported; those within another are listed by it alone."""

    async def listed(parent: str = "") -> list[Node]:
        found = await nodes.list_nodes(project.target, run.name, parent=parent, timeout=SECONDS)
        return list(found)

    assert await listed() == [
        node("start-node", has_attempts=False),
        node("retried"),
        node("cached", has_attempts=False, cache=CacheStatus.CACHE_HIT, cached_task="lookup"),
        node("inner", has_attempts=False, is_parent=True),
        node("dynamic", is_parent=True),
        node("mapped"),
        node("waits", has_attempts=False),
    ]
    assert await listed("inner") == [node("inner-0-n0"), node("inner-0-n1")]
    assert await listed("dynamic") == [node("dynamic-0-n0")]
    assert await listed("waits") == []


async def test_each_attempt_is_listed_with_how_it_went(
    project: Project, run: Run, nodes: NodeClient
) -> None:
    """A failed one as well as the one after it; of a map task also each input's."""

    async def listed(name: str) -> list[tuple[object, ...]]:
        found = await nodes.list_attempts(project.target, run.name, name, timeout=SECONDS)
        began = run.created_ns // 1000
        return [
            (
                each.task,
                each.phase,
                each.created_at - began,
                None if each.started_at is None else each.started_at - began,
                each.duration,
                each.sub_tasks,
            )
            for each in found
        ]

    failed, succeeded = TaskPhase.FAILED, TaskPhase.SUCCEEDED
    assert await listed("retried") == [
        (TASK, failed, 1 * SECOND, 2 * SECOND, 3 * SECOND, None),
        (TASK, succeeded, 5 * SECOND, 7 * SECOND, 10_500_000, None),
    ]
    assert [each[:2] for each in await listed("inner-0-n1")] == [(LAST_TASK, TaskPhase.ABORTED)]
    sub_tasks = (
        SubTask(0, 0, TaskPhase.RETRYABLE_FAILED, CacheStatus.CACHE_DISABLED),
        SubTask(0, 1, succeeded, CacheStatus.CACHE_MISS),
        SubTask(1, 0, succeeded, CacheStatus.CACHE_HIT),
    )
    assert await listed("mapped") == [
        (TASK, succeeded, 26 * SECOND, 26 * SECOND, 10 * SECOND, sub_tasks)
    ]
    assert await listed("cached") == []


async def test_of_what_is_not_there_nothing_is_listed_but_a_parent_is_missed(
    project: Project, run: Run, nodes: NodeClient
) -> None:
    """An execution without nodes is no error, and neither is a node without a task."""
    assert await nodes.list_nodes(project.target, "never", timeout=SECONDS) == []
    assert await nodes.list_attempts(project.target, run.name, "never", timeout=SECONDS) == []
    with pytest.raises(NotFound):
        await nodes.list_nodes(project.target, run.name, parent="never", timeout=SECONDS)
