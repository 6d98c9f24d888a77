"""
The nodes of an execution are rows of their own, which propeller's events make and move.

A list shows those at the top, or the children of one that it names: whoever wants all of them
walks down.

Source: flyteadmin `node_execution_manager.go`.
"""

from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import event_pb2, node_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.model.time import Micros
from exporter.sim import node_rows, wire
from exporter.sim.entities import NODE_EXECUTION
from exporter.sim.execution import ExecutionKey, key_of
from exporter.sim.executions import Executions
from exporter.sim.filters import Value
from exporter.sim.listing import require_limit, rest_checked, selected
from exporter.sim.node_rows import TERMINAL, Node, Phase
from exporter.sim.phases import already_over
from exporter.sim.producers import is_accepted, other_cluster
from exporter.sim.refusal import NIL, Refusal, missing, no_such, printed_message
from exporter.sim.store import Store
from exporter.sim.tasks import TasksApi, node_values, require_attempt

_TABLE = "node_executions"
_KEY = ("execution_project", "execution_domain", "execution_name", "node_id")
_OF_EXECUTION = " AND ".join(f"{_TABLE}.{column} = ?" for column in _KEY[:-1])
_NO_TIME = "timestamp: nil Timestamp"
_JOIN_EXECUTIONS = (
    f"INNER JOIN executions ON {_TABLE}.execution_project = executions.execution_project"
    f" AND {_TABLE}.execution_domain = executions.execution_domain"
    f" AND {_TABLE}.execution_name = executions.execution_name"
)


class NodesApi:
    """Node executions as clients and propeller see them."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], Micros],
        *,
        executions: Executions,
        tasks: TasksApi,
    ) -> None:
        self._store = store
        self._now = now
        self._executions = executions
        self._tasks = tasks
        self.on_look: Callable[[ExecutionKey], None] = lambda _: None
        """Told whose nodes somebody is going to look at."""

    def create_node_event(self, request: Any) -> Any:
        """Answer CreateNodeEvent. What its id lacks, Admin notes in its log, and goes on."""
        event = request.event
        identifier = event.id.execution_id
        try:
            stored = self._executions.get(key_of(identifier))
        except Refusal as refusal:
            asked = f"Failed to get existing execution id: [{printed_message(identifier)}]"
            raise Refusal(refusal.code, f"{asked} with err: {refusal.details}") from refusal
        if not is_accepted(stored, event.producer_id):
            raise other_cluster(stored, event.producer_id)
        _require_closure(event)
        self.record(event)
        return event_pb2.NodeExecutionEventResponse()

    def record(self, event: Any) -> None:
        """
        Apply one `NodeExecutionEvent`.

        Raises:
            Refusal: The change is not allowed, or something that it names is not there.
        """
        node = self._find(event.id)
        if node is None:
            self._insert(event)
            return
        phase, announced = map(node_rows.phase_name, (node.closure.phase, event.phase))
        if phase == announced:
            raise Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                f"This phase was already recorded {phase} for {printed_message(event.id)}",
            )
        if node.closure.phase in TERMINAL:
            change = f"Invalid phase change from {phase} to {announced}"
            raise already_over(f"{change} for node execution {node.id}", announced)
        if event.HasField("workflow_node_metadata"):
            child = event.workflow_node_metadata.execution_id
            self._executions.get(key_of(child))
            if not node.closure.HasField("workflow_node_metadata"):
                node.closure.workflow_node_metadata.executionId.CopyFrom(child)
        _require_time(event, node)
        node.apply(event)
        changed = {**node.columns(), "updated_at": self._now()}
        assignments = ", ".join(f"{column} = ?" for column in changed)
        self._store.execute(
            f"UPDATE node_executions SET {assignments} WHERE id = ?",  # noqa: S608 - our own names
            [*changed.values(), node.id],
        )

    def _insert(self, event: Any) -> None:
        parent_id = parent_task_id = None
        if event.HasField("parent_task_metadata"):
            parent_task_id = self._tasks.get(event.parent_task_metadata.id).id
        if event.HasField("parent_node_metadata"):
            parent = identifier_pb2.NodeExecutionIdentifier(
                execution_id=event.id.execution_id, node_id=event.parent_node_metadata.node_id
            )
            parent_id = self._get(parent).id
        _require_time(event)
        node = node_rows.Node(
            id=0,
            key=event.id,
            input_uri="",
            started_at=None,
            closure=node_execution_pb2.NodeExecutionClosure(created_at=event.occurred_at),
            metadata=node_execution_pb2.NodeExecutionMetaData(
                retry_group=event.retry_group, spec_node_id=event.spec_node_id
            ),
            dynamic_workflow="",
        )
        node.apply(event)
        now = self._now()
        project, domain, name, node_id = node_values(event.id)
        self._store.insert(
            _TABLE,
            created_at=now,
            updated_at=now,
            execution_project=project,
            execution_domain=domain,
            execution_name=name,
            node_id=node_id,
            node_execution_created_at=wire.micros_of(wire.nanoseconds(event.occurred_at)),
            parent_id=parent_id,
            parent_task_execution_id=parent_task_id,
            **node.columns(),
        )

    def _find(self, identifier: Any) -> Node | None:
        # What an identifier leaves empty matches anything, as with executions.
        key = zip(_KEY, node_values(identifier), strict=True)
        given = {column: value for column, value in key if value}
        where = " AND ".join(f"{column} = ?" for column in given) or "TRUE"
        row = self._store.row(
            f"SELECT {node_rows.COLUMNS} FROM {_TABLE} WHERE {where} ORDER BY id LIMIT 1",  # noqa: S608 - our own text
            list(given.values()),
        )
        return None if row is None else node_rows.read(row)

    def _get(self, identifier: Any) -> Node:
        node = self._find(identifier)
        if node is None:
            asked = identifier_pb2.NodeExecutionIdentifier(
                node_id=identifier.node_id, execution_id=identifier.execution_id
            )
            raise no_such("node execution", asked)
        return node

    def get_node_execution(self, request: Any) -> Any:
        """Answer GetNodeExecution: the error uncut."""
        self.on_look(key_of(request.id.execution_id))
        return self._get(request.id).message()

    def list_node_executions(self, request: Any) -> Any:
        """Answer ListNodeExecutions: those at the top, or the children of one."""
        execution = request.workflow_execution_id
        if not all(key_of(execution)):
            raise missing("execution_id")
        require_limit(request.limit)
        self.on_look(key_of(execution))
        if request.unique_parent_id:
            parent = identifier_pb2.NodeExecutionIdentifier(
                execution_id=execution, node_id=request.unique_parent_id
            )
            return self._list(request, execution, f"{_TABLE}.parent_id = ?", self._get(parent).id)
        top = f"{_TABLE}.parent_id IS NULL AND {_TABLE}.parent_task_execution_id IS NULL"
        return self._list(request, execution, top)

    def list_node_executions_for_task(self, request: Any) -> Any:
        """Answer ListNodeExecutionsForTask: only what old propellers report as a task's nodes."""
        require_attempt(request, "task_execution_id")
        require_limit(request.limit)
        key = request.task_execution_id
        execution = key.node_execution_id.execution_id
        self.on_look(key_of(execution))
        of_task = f"{_TABLE}.parent_task_execution_id = ?"
        return self._list(request, execution, of_task, self._tasks.get(key).id)

    def _list(self, request: Any, execution: Any, where: str, *parameters: Value) -> Any:
        asked = rest_checked(request, NODE_EXECUTION, "ListNodeExecutions")
        joined = any(condition.entity is not NODE_EXECUTION for condition in asked.conditions)
        rows = selected(
            self._store,
            node_rows.COLUMNS,
            NODE_EXECUTION,
            asked,
            where=f"{_OF_EXECUTION} AND {where}",
            parameters=[*key_of(execution), *parameters],
            joins=_JOIN_EXECUTIONS if joined else "",
        )
        return node_execution_pb2.NodeExecutionList(
            node_executions=[node_rows.read(row).listed() for row in rows],
            token=asked.next_token(len(rows)),
        )


def _require_closure(event: Any) -> None:
    """Check that a dynamic workflow, where *event* has one, comes with what Admin is to store."""
    dynamic = event.task_node_metadata.dynamic_workflow
    if event.task_node_metadata.HasField("dynamic_workflow") and not dynamic.HasField(
        "compiled_workflow"
    ):
        workflow = printed_message(dynamic.id) if dynamic.HasField("id") else NIL
        raise Refusal(
            grpc.StatusCode.INTERNAL,
            f"Failed to upload dynamic workflow closure for node id [{printed_message(event.id)}]"
            f" and workflow id [{workflow}] with err: proto: Marshal called with nil",
        )


def _require_time(event: Any, node: Node | None = None) -> None:
    """Check that *event* says when it occurred, as far as Admin needs it for *node*."""
    if event.HasField("occurred_at"):
        return
    if event.phase == Phase.RUNNING:
        fault = f"failed to unmarshal occurredAt with error: {_NO_TIME}"
    elif node is None:
        fault = "failed to read event timestamp"
    elif event.phase in TERMINAL and node.closure.HasField("started_at"):
        fault = f"Failed to parse node execution occurred at timestamp: {_NO_TIME}"
    elif not wire.nanoseconds(event.reported_at):
        fault = "failed to parse updated at timestamp"
    else:
        return
    raise Refusal(grpc.StatusCode.INTERNAL, fault)
