"""Nodes and attempts are listed to the last page, and take no room from other calls."""

import asyncio
from typing import Any

import grpc
import pytest
from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2

from exporter.admin import convert_nodes, query
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError, CircuitOpen, HeldBack, Nonsense, NotFound
from exporter.model.targets import Target
from exporter.model.tasks import Attempt, CacheStatus, Node, SubTask, TaskPhase
from exporter.model.time import SECOND
from tests.admin.conftest import Refused, ScriptedAdmin, refusing
from tests.calls import Calls
from tests.rows import NOON, after

_TARGET = Target("flytesnacks", "production")
_PATIENCE = 10.0
_NOON = {"seconds": NOON // SECOND}


def node(name: str = "n0", *, started: bool = True, **closure: Any) -> Any:
    """Return a node as a message."""
    found = node_execution_pb2.NodeExecution(id={"node_id": name}, closure=closure)
    if started:
        found.closure.started_at.seconds = NOON // SECOND
    return found


def attempt(task: str = "wf.work", **closure: Any) -> Any:
    """Return an attempt as a message."""
    return task_execution_pb2.TaskExecution(
        id={"task_id": {"name": task}}, closure={"created_at": _NOON, **closure}
    )


async def test_all_pages_of_nodes_are_read_in_a_certain_order(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """By insertion, because pages of any other order would overlap; the parent is named."""
    server.answers["ListNodeExecutions"] = lambda request: node_execution_pb2.NodeExecutionList(
        node_executions=[node("n1" if request.token else "n0")], token="" if request.token else "1"
    )
    listed = await client.nodes(rate=1000, concurrency=1).list_nodes(
        _TARGET, "run", parent="p", timeout=_PATIENCE
    )
    assert [found.id for found in listed] == ["n0", "n1"]
    first, second = (request for _, request in server.asked)
    assert (first.unique_parent_id, first.sort_by.key, first.sort_by.direction) == ("p", "id", 1)
    assert first.workflow_execution_id.name == "run"
    assert second.token == "1"


async def test_a_page_that_is_too_large_is_asked_for_again(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """With half as many rows, from the same place; the size that worked is remembered."""

    def answer(request: Any) -> Any:
        if request.limit > 100:
            raise Refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)"
            )
        return task_execution_pb2.TaskExecutionList(task_executions=[attempt()])

    server.answers["ListTaskExecutions"] = answer
    nodes = client.nodes(rate=1000, concurrency=1)
    for _ in range(2):
        listed = await nodes.list_attempts(_TARGET, "run", "n0", timeout=_PATIENCE)
        assert [found.task for found in listed] == ["wf.work"]
    assert [request.limit for _, request in server.asked] == [200, 100, 100]


async def test_of_too_many_nodes_no_more_are_asked_for_than_show_it(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """A node of a hundred thousand children costs neither the calls nor the memory."""

    def answer(request: Any) -> Any:
        begin = int(request.token or 0)
        end = begin + request.limit
        return node_execution_pb2.NodeExecutionList(
            node_executions=[node(f"n{number}") for number in range(begin, end)], token=str(end)
        )

    server.answers["ListNodeExecutions"] = answer
    listed = await client.nodes(rate=1000, concurrency=1).list_nodes(
        _TARGET, "run", most=400, timeout=_PATIENCE
    )
    assert (len(listed), len(server.asked)) == (600, 3)


async def test_a_page_that_comes_again_is_the_end(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """A proxy that answers every page with the first one does not keep us for ever."""
    server.answers["ListTaskExecutions"] = lambda _: task_execution_pb2.TaskExecutionList(
        task_executions=[attempt()], token="1"
    )
    listed = await client.nodes(rate=1000, concurrency=1).list_attempts(
        _TARGET, "run", "n0", timeout=_PATIENCE
    )
    assert (len(listed), len(server.asked)) == (1, 2)


async def test_an_unknown_parent_is_not_found(client: AdminClient, server: ScriptedAdmin) -> None:
    """What Admin has no row of is told apart from what failed."""

    def answer(_: Any) -> Any:
        raise Refused(grpc.StatusCode.NOT_FOUND, "missing entity of type node execution")

    server.answers["ListNodeExecutions"] = answer
    with pytest.raises(NotFound):
        await client.nodes(rate=1000, concurrency=1).list_nodes(
            _TARGET, "run", parent="p", timeout=_PATIENCE
        )


async def test_a_node_without_a_name_is_nonsense(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Nobody could ask about it, so the answer is refused as a whole."""
    server.answers["ListNodeExecutions"] = lambda _: node_execution_pb2.NodeExecutionList(
        node_executions=[node("")]
    )
    with pytest.raises(Nonsense):
        await client.nodes(rate=1000, concurrency=1).list_nodes(_TARGET, "run", timeout=_PATIENCE)


async def test_calls_about_nodes_take_no_room_from_others(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """With all of their own slots hanging, the other calls are answered as ever."""
    server.answers["ListExecutions"] = lambda _: execution_pb2.ExecutionList()
    hangs = asyncio.get_running_loop().create_future()
    server.answers["ListNodeExecutions"] = lambda _: hangs
    nodes = client.nodes(rate=1, concurrency=1)
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(nodes.list_nodes(_TARGET, "run", timeout=_PATIENCE))
            for _ in range(100)
        ]
        for _ in range(20):
            await client.list_executions(
                _TARGET, query.created_from(NOON), limit=3, timeout=_PATIENCE
            )
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()


async def test_where_calls_about_nodes_alone_fail_the_others_go_on(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """A proxy that does not let them through opens no circuit breaker."""
    server.answers["ListExecutions"] = lambda _: execution_pb2.ExecutionList()
    server.answers["ListNodeExecutions"] = refusing(grpc.StatusCode.UNAVAILABLE, "no upstream")
    nodes = client.nodes(rate=1000, concurrency=1)
    for _ in range(10):
        with pytest.raises(AdminError, match="no upstream"):
            await nodes.list_nodes(_TARGET, "run", timeout=_PATIENCE)
    await client.list_executions(_TARGET, query.created_from(NOON), limit=3, timeout=_PATIENCE)
    assert [method for method, _ in server.asked] == ["ListNodeExecutions"] * 10 + [
        "ListExecutions"
    ]
    assert calls.breaker == []


async def test_where_the_others_do_not_reach_admin_none_about_nodes_is_sent(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Nor is one the probe that finds out whether Admin is back, though it would reach it."""
    server.answers["ListExecutions"] = refusing(grpc.StatusCode.UNAVAILABLE)
    for _ in range(5):
        with pytest.raises(AdminError):
            await client.list_executions(
                _TARGET, query.created_from(NOON), limit=3, timeout=_PATIENCE
            )
    with pytest.raises(CircuitOpen):
        await client.nodes(rate=1000, concurrency=1).list_nodes(_TARGET, "run", timeout=_PATIENCE)
    assert "ListNodeExecutions" not in {method for method, _ in server.asked}


async def test_a_call_that_is_held_back_names_its_own_limits(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Raising those of the polls would not help it."""
    hangs, arrived = asyncio.get_running_loop().create_future(), asyncio.Event()

    def answer(_: Any) -> Any:
        arrived.set()
        return hangs

    server.answers["ListNodeExecutions"] = answer
    nodes = client.nodes(rate=1000, concurrency=1)
    first = asyncio.create_task(nodes.list_nodes(_TARGET, "run", timeout=_PATIENCE))
    await arrived.wait()
    with pytest.raises(HeldBack, match=r"tasks\.rate_limit and tasks\.concurrency left no room"):
        await nodes.list_nodes(_TARGET, "other", timeout=0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize(
    ("message", "has_attempts"),
    [
        (node(), True),
        (node("start-node"), False),
        (node("end-node"), False),
        (node(started=False), False),
        (node(workflow_node_metadata={"executionId": {"name": "child"}}), False),
    ],
)
def test_nodes_without_attempts_are_known(message: Any, has_attempts: bool) -> None:
    """There are none where no task of this execution ran: Admin need not be asked."""
    assert convert_nodes.node(message).has_attempts is has_attempts


@pytest.mark.parametrize(
    ("metadata", "is_parent", "has_attempts"),
    [
        ({"is_parent_node": True}, True, False),
        ({"is_parent_node": True, "is_dynamic": True}, True, True),
        ({"is_parent_node": True, "is_array": True}, True, False),
        ({"is_array": True}, False, True),
    ],
)
def test_parents_are_known(metadata: Any, is_parent: bool, has_attempts: bool) -> None:
    """A dynamic node is a task and a parent; a sub-workflow is a parent alone."""
    message = node()
    message.metadata.CopyFrom(node_execution_pb2.NodeExecutionMetaData(**metadata))
    found = convert_nodes.node(message)
    assert (found.is_parent, found.has_attempts) == (is_parent, has_attempts)


@pytest.mark.parametrize(
    ("key", "task"),
    [
        ({"dataset_id": {"name": "flyte_task-wf.work"}}, "wf.work"),
        (
            {
                "dataset_id": {"name": "flyte_task-wf.work"},
                "source_task_execution": {"task_id": {"name": "other.work"}},
            },
            "other.work",
        ),
        ({"dataset_id": {"name": "something else"}}, ""),
    ],
)
def test_the_cache_tells_which_task_it_was_asked_about(key: Any, task: str) -> None:
    """By the attempt that filled it, or by how propeller calls what it caches."""
    message = node(started=False, task_node_metadata={"cache_status": 2, "catalog_key": key})
    assert convert_nodes.node(message) == Node(
        id="n0",
        has_attempts=False,
        is_parent=False,
        cache=CacheStatus.CACHE_HIT,
        cached_task=task,
    )


def test_a_status_without_a_key_is_no_lookup() -> None:
    """Admin keeps a status of 0 for tasks that have no cache at all."""
    message = node(task_node_metadata={"checkpoint_uri": "s3://x"})
    assert convert_nodes.node(message).cache is None


def test_an_attempt_has_its_times() -> None:
    """From Admin's words to ours; what is not there is None."""
    succeeded = core_execution_pb2.TaskExecution.SUCCEEDED
    message = attempt(
        phase=succeeded, started_at={"seconds": NOON // SECOND + 3}, duration={"seconds": 6}
    )
    assert convert_nodes.attempt(message) == Attempt(
        task="wf.work",
        phase=TaskPhase.SUCCEEDED,
        created_at=NOON,
        started_at=after(3),
        duration=6 * SECOND,
        sub_tasks=None,
    )
    bare = convert_nodes.attempt(attempt(phase=99))
    assert (bare.phase, bare.started_at, bare.duration) == (TaskPhase.UNRECOGNIZED, None, None)


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_attempt_that_started_at_no_time_did_not_start(seconds: int) -> None:
    """As with executions: the epoch is how Go's zero looks, and no wait of 0 s is counted."""
    message = attempt(started_at={"seconds": seconds})
    assert convert_nodes.attempt(message).started_at is None


def test_only_map_tasks_have_sub_tasks() -> None:
    """Other plugins name external resources too: jobs and queries, not sub-tasks."""
    resources = {"external_resources": [{"index": 2, "retry_attempt": 1, "phase": 3}]}
    mapped = convert_nodes.attempt(attempt(task_type="container_array", metadata=resources))
    assert mapped.sub_tasks == (SubTask(2, 1, TaskPhase.SUCCEEDED, CacheStatus.CACHE_DISABLED),)
    assert convert_nodes.attempt(attempt(task_type="spark", metadata=resources)).sub_tasks is None


@pytest.mark.parametrize(
    "message",
    [attempt(""), attempt("a\0b"), attempt(created_at={"seconds": -1})],
)
def test_an_attempt_that_cannot_be_is_refused(message: Any) -> None:
    """Nobody can say of which task it is, or when it was."""
    with pytest.raises(ValueError, match="attempt"):
        convert_nodes.attempt(message)


async def test_every_failure_is_an_admin_error(client: AdminClient, server: ScriptedAdmin) -> None:
    """As with every other call."""

    def answer(_: Any) -> Any:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "invalid value for limit")

    server.answers["ListTaskExecutions"] = answer
    with pytest.raises(AdminError) as failed:
        await client.nodes(rate=1000, concurrency=1).list_attempts(
            _TARGET, "run", "n0", timeout=_PATIENCE
        )
    assert failed.value.code == "INVALID_ARGUMENT"
