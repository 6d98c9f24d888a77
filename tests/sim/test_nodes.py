"""Nodes and attempts at tasks are kept and listed as Admin does; a recording holds the rest."""

from typing import Any

import grpc
import pytest
from flyteidl.admin import event_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2

from exporter.model.executions import Phase
from exporter.sim.execution import ExecutionKey
from exporter.sim.refusal import Refusal
from tests.sim.conftest import START, Admin

NODE, TASK = execution_pb2.NodeExecution, execution_pb2.TaskExecution
TASK_ID = {
    "resource_type": "TASK",
    "project": "p",
    "domain": "d",
    "name": "wf.work",
    "version": "v1",
}


def node_id(key: ExecutionKey, node: str) -> dict[str, Any]:
    """Return a `NodeExecutionIdentifier`."""
    return {"execution_id": key._asdict(), "node_id": node}


def tell_node(admin: Admin, key: ExecutionKey, node: str, phase: int, **about: Any) -> None:
    """Report that a node entered *phase*."""
    event = event_pb2.NodeExecutionEventRequest(
        event={
            "id": node_id(key, node),
            "phase": phase,
            "occurred_at": {"seconds": START // 1_000_000},
            "event_version": 1,
            **about,
        }
    )
    admin.api.calls["CreateNodeEvent"](event)


def tell_task(
    admin: Admin, key: ExecutionKey, node: str, phase: int, *, attempt: int = 0, **about: Any
) -> None:
    """Report that an attempt at the task of a node entered *phase*."""
    event = event_pb2.TaskExecutionEventRequest(
        event={
            "task_id": TASK_ID,
            "parent_node_execution_id": node_id(key, node),
            "retry_attempt": attempt,
            "phase": phase,
            "occurred_at": {"seconds": START // 1_000_000},
            **about,
        }
    )
    admin.api.calls["CreateTaskEvent"](event)


def nodes(admin: Admin, key: ExecutionKey, **asked: Any) -> Any:
    """List nodes of an execution, in the order in which they came."""
    request = node_execution_pb2.NodeExecutionListRequest(
        workflow_execution_id=key._asdict(),
        sort_by={"key": "id", "direction": "ASCENDING"},
        **{"limit": 10, **asked},
    )
    return admin.api.calls["ListNodeExecutions"](request)


def names(answer: Any) -> list[str]:
    """Return which nodes were answered."""
    return [node.id.node_id for node in answer.node_executions]


@pytest.fixture
def running(admin: Admin) -> ExecutionKey:
    """An execution that runs."""
    key = admin.launch("run")
    admin.executions.move(key, Phase.RUNNING, at=START)
    return key


def test_children_are_listed_by_their_parent(admin: Admin, running: ExecutionKey) -> None:
    """The list at the top leaves them out, and pages go on where the token says."""
    tell_node(admin, running, "n0", NODE.RUNNING, is_parent=True)
    for child in ("n0-0-a", "n0-0-b", "n0-0-c"):
        tell_node(admin, running, child, NODE.QUEUED, parent_node_metadata={"node_id": "n0"})
    assert names(nodes(admin, running)) == ["n0"]
    page = nodes(admin, running, unique_parent_id="n0", limit=2)
    assert names(page) == ["n0-0-a", "n0-0-b"]
    rest = nodes(admin, running, unique_parent_id="n0", limit=2, token=page.token)
    assert (names(rest), rest.token) == (["n0-0-c"], "")


def test_what_a_node_is_may_be_told_late(admin: Admin, running: ExecutionKey) -> None:
    """A dynamic node says so only when it has decided what follows, and it is never unsaid."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    tell_node(admin, running, "n0", NODE.DYNAMIC_RUNNING, is_parent=True, is_dynamic=True)
    tell_node(admin, running, "n0", NODE.SUCCEEDED)
    (node,) = nodes(admin, running).node_executions
    assert node.metadata.is_parent_node
    assert node.metadata.is_dynamic


def test_old_propellers_leave_it_to_admin_to_find_parents(
    admin: Admin, running: ExecutionKey
) -> None:
    """A node with children is a parent, whether or not an event said so."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    tell_node(admin, running, "n0-0-a", NODE.QUEUED, parent_node_metadata={"node_id": "n0"})
    (node,) = nodes(admin, running).node_executions
    assert node.metadata.is_parent_node
    assert not node.metadata.is_dynamic


def test_the_children_of_a_task_are_listed_by_it(admin: Admin, running: ExecutionKey) -> None:
    """Only what was reported with a parent task, as old propellers did; not at the top."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    tell_task(admin, running, "n0", TASK.RUNNING)
    attempt = {
        "task_id": TASK_ID,
        "node_execution_id": node_id(running, "n0"),
    }
    tell_node(admin, running, "d0", NODE.QUEUED, parent_task_metadata={"id": attempt})
    request = node_execution_pb2.NodeExecutionForTaskListRequest(task_execution_id=attempt, limit=5)
    assert names(admin.api.calls["ListNodeExecutionsForTask"](request)) == ["d0"]
    assert names(nodes(admin, running)) == ["n0"]


def test_each_attempt_is_a_row_and_a_filter_finds_it(admin: Admin, running: ExecutionKey) -> None:
    """A retry is another row, not a change of the first."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    tell_task(admin, running, "n0", TASK.FAILED)
    tell_task(admin, running, "n0", TASK.SUCCEEDED, attempt=1)
    request = task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=node_id(running, "n0"), limit=5, filters="eq(phase,FAILED)"
    )
    (failed,) = admin.api.calls["ListTaskExecutions"](request).task_executions
    assert failed.id.retry_attempt == 0
    get = task_execution_pb2.TaskExecutionGetRequest(id=failed.id)
    assert admin.api.calls["GetTaskExecution"](get) == failed
    get.id.retry_attempt = 2
    with pytest.raises(Refusal) as refused:
        admin.api.calls["GetTaskExecution"](get)
    assert refused.value.code is grpc.StatusCode.NOT_FOUND


def test_sub_tasks_are_merged_by_index_and_attempt(admin: Admin, running: ExecutionKey) -> None:
    """A later event changes the sub-tasks that it names and leaves the others."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    for phase, told in (
        (TASK.RUNNING, [(1, 0, TASK.RUNNING), (0, 0, TASK.RUNNING)]),
        (TASK.SUCCEEDED, [(1, 0, TASK.FAILED), (1, 1, TASK.SUCCEEDED)]),
    ):
        resources = [{"index": i, "retry_attempt": a, "phase": p} for i, a, p in told]
        tell_task(admin, running, "n0", phase, metadata={"external_resources": resources})
    request = task_execution_pb2.TaskExecutionListRequest(
        node_execution_id=node_id(running, "n0"), limit=5
    )
    (attempt,) = admin.api.calls["ListTaskExecutions"](request).task_executions
    found = [
        (resource.index, resource.retry_attempt, resource.phase)
        for resource in attempt.closure.metadata.external_resources
    ]
    assert found == [(0, 0, TASK.RUNNING), (1, 0, TASK.FAILED), (1, 1, TASK.SUCCEEDED)]


def test_an_attempt_ends_once(admin: Admin, running: ExecutionKey) -> None:
    """The same phase again exists already; anything after the end fails, and says so in detail."""
    tell_node(admin, running, "n0", NODE.RUNNING)
    tell_task(admin, running, "n0", TASK.SUCCEEDED)
    with pytest.raises(Refusal) as again:
        tell_task(admin, running, "n0", TASK.SUCCEEDED)
    with pytest.raises(Refusal) as after:
        tell_task(admin, running, "n0", TASK.RUNNING)
    assert again.value.code is grpc.StatusCode.ALREADY_EXISTS
    assert after.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert after.value.reason is not None


@pytest.mark.parametrize(
    ("method", "request_message", "details"),
    [
        ("ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(
            node_execution_id={"node_id": "n0"}, limit=1), "missing execution_id"),
        ("ListTaskExecutions", task_execution_pb2.TaskExecutionListRequest(
            node_execution_id={"execution_id": {"project": "p"}}, limit=1), "missing node_id"),
        ("ListNodeExecutions", node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id={"project": "p", "domain": "d", "name": "run"}, limit=1,
            sort_by={"key": "nonsense"}), "invalid sort key 'nonsense'"),
        ("ListNodeExecutions", node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id={"project": "p", "domain": "d", "name": "run"}, limit=1,
            token="x"), "invalid pagination token x for ListNodeExecutions"),
        ("ListNodeExecutions", node_execution_pb2.NodeExecutionListRequest(
            workflow_execution_id={"project": "p", "domain": "d", "name": "run"}, limit=1,
            filters="eq(task.name,x)"), "'t' entity is not allowed in filters"),
    ],
)  # fmt: skip
def test_faults_are_told_as_admin_does(
    admin: Admin, method: str, request_message: Any, details: str
) -> None:
    """What a request lacks is said in Admin's words."""
    with pytest.raises(Refusal) as refused:
        admin.api.calls[method](request_message)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details == details
