"""
The attempts at a task's node: one row each, a failed one as well as the one that succeeds.

Source: flyteadmin `task_execution_manager.go`, `task_execution_validator.go`.
"""

from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import event_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.model.time import Micros
from exporter.sim import task_rows, wire
from exporter.sim.entities import TASK_EXECUTION
from exporter.sim.execution import ExecutionKey, key_of
from exporter.sim.executions import Executions
from exporter.sim.filters import Value
from exporter.sim.listing import require, require_limit, rest_checked, selected
from exporter.sim.phases import already_over
from exporter.sim.producers import is_accepted, other_cluster
from exporter.sim.refusal import Refusal, missing, no_such, printed_message
from exporter.sim.registry import require_identifier
from exporter.sim.store import Store
from exporter.sim.task_rows import TERMINAL, Attempt

_OF_NODE = "execution_project = ? AND execution_domain = ? AND execution_name = ? AND node_id = ?"
_OF_TASK = "project = ? AND domain = ? AND name = ? AND version = ? AND retry_attempt = ?"
_TABLE = "task_executions"
_SAME_EXECUTION = " AND ".join(
    f"{_TABLE}.{column} = {{other}}.{column}"
    for column in ("execution_project", "execution_domain", "execution_name")
)
_JOINS = {
    "e": f"INNER JOIN executions ON {_SAME_EXECUTION.format(other='executions')}",
    "ne": f"INNER JOIN node_executions ON {_SAME_EXECUTION.format(other='node_executions')}"
    f" AND {_TABLE}.node_id = node_executions.node_id",
    "t": "LEFT JOIN tasks ON "
    + " AND ".join(
        f"{_TABLE}.{column} = tasks.{column}" for column in ("project", "domain", "name", "version")
    ),
}


class TasksApi:
    """Task executions as clients and propeller see them."""

    def __init__(self, store: Store, now: Callable[[], Micros], *, executions: Executions) -> None:
        self._store = store
        self._now = now
        self._executions = executions
        self.on_look: Callable[[ExecutionKey], None] = lambda _: None
        """Told whose attempts somebody is going to look at."""

    def create_task_event(self, request: Any) -> Any:
        """Answer CreateTaskEvent."""
        event = request.event
        if not request.HasField("event"):
            raise missing("event")
        if not event.HasField("occurred_at"):
            raise missing("occurred_at")
        if not event.HasField("parent_node_execution_id"):
            raise missing("node_execution_id")
        require_node(event.parent_node_execution_id)
        _require_task(event)
        stored = self._executions.get(key_of(event.parent_node_execution_id.execution_id))
        if not is_accepted(stored, event.producer_id):
            raise other_cluster(stored, event.producer_id)
        self.record(event)
        return event_pb2.TaskExecutionEventResponse()

    def record(self, event: Any) -> None:
        """
        Apply one `TaskExecutionEvent`.

        Raises:
            Refusal: The change is not allowed, or there is no such node.
        """
        key = task_rows.key_of_event(event)
        attempt = self.find(key)
        if attempt is None:
            self._insert(key, event)
            return
        phase, announced = map(task_rows.phase_name, (attempt.closure.phase, event.phase))
        if phase == announced and attempt.phase_version >= event.phase_version:
            raise Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                f"have already recorded task execution phase {announced}"
                f" (version: {event.phase_version}) for {printed_message(key)}",
            )
        if attempt.closure.phase in TERMINAL:
            change = f"invalid phase change from {phase} to {announced}"
            raise already_over(f"{change} for task execution {printed_message(key)}", announced)
        attempt.apply(event)
        changed = {**attempt.columns(), "updated_at": self._now()}
        assignments = ", ".join(f"{column} = ?" for column in changed)
        self._store.execute(
            f"UPDATE task_executions SET {assignments} WHERE id = ?",  # noqa: S608 - our own names
            [*changed.values(), attempt.id],
        )

    def _insert(self, key: Any, event: Any) -> None:
        node = node_values(key.node_execution_id)
        if self._store.row(f"SELECT id FROM node_executions WHERE {_OF_NODE}", node) is None:  # noqa: S608 - our own text
            asked = printed_message(key.node_execution_id)
            raise Refusal(
                grpc.StatusCode.NOT_FOUND,
                f"Failed to get existing node execution id: [{asked}] with err: entry not found",
            )
        attempt = Attempt(
            id=0,
            key=key,
            input_uri="",
            phase_version=0,
            started_at=None,
            closure=task_execution_pb2.TaskExecutionClosure(created_at=event.occurred_at),
        )
        attempt.apply(event)
        now = self._now()
        task = key.task_id
        self._store.insert(
            _TABLE,
            created_at=now,
            updated_at=now,
            project=task.project,
            domain=task.domain,
            name=task.name,
            version=task.version,
            execution_project=node[0],
            execution_domain=node[1],
            execution_name=node[2],
            node_id=node[3],
            retry_attempt=key.retry_attempt,
            task_execution_created_at=wire.micros_of(wire.nanoseconds(event.occurred_at)),
            **attempt.columns(),
        )

    def find(self, key: Any) -> Attempt | None:
        """Return the attempt that a `TaskExecutionIdentifier` names; None if there is none."""
        task = key.task_id
        row = self._store.row(
            f"SELECT {task_rows.COLUMNS} FROM {_TABLE} WHERE {_OF_NODE} AND {_OF_TASK}",  # noqa: S608 - our own text
            [
                *node_values(key.node_execution_id),
                *(task.project, task.domain, task.name, task.version, key.retry_attempt),
            ],
        )
        return None if row is None else task_rows.read(row)

    def get(self, key: Any) -> Attempt:
        """
        Return the attempt that a `TaskExecutionIdentifier` names.

        Raises:
            Refusal: NOT_FOUND.
        """
        attempt = self.find(key)
        if attempt is None:
            asked = identifier_pb2.TaskExecutionIdentifier(
                task_id=key.task_id, node_execution_id=key.node_execution_id
            )
            asked.task_id.resource_type = identifier_pb2.UNSPECIFIED
            raise no_such("task execution", asked)
        return attempt

    def get_task_execution(self, request: Any) -> Any:
        """Answer GetTaskExecution."""
        require_attempt(request, "id")
        self.on_look(key_of(request.id.node_execution_id.execution_id))
        return self.get(request.id).message()

    def list_task_executions(self, request: Any) -> Any:
        """Answer ListTaskExecutions; of a node that there is not, there are none."""
        if not request.HasField("node_execution_id"):
            raise missing("id")
        require_node(request.node_execution_id)
        require_limit(request.limit)
        asked = rest_checked(request, TASK_EXECUTION, "ListTaskExecutions")
        self.on_look(key_of(request.node_execution_id.execution_id))
        joins = {_JOINS.get(condition.entity.code, "") for condition in asked.conditions}
        rows = selected(
            self._store,
            task_rows.COLUMNS,
            TASK_EXECUTION,
            asked,
            where=" AND ".join(f"{_TABLE}.{part}" for part in _OF_NODE.split(" AND ")),
            parameters=node_values(request.node_execution_id),
            joins=" ".join(sorted(joins)),
        )
        return task_execution_pb2.TaskExecutionList(
            task_executions=[task_rows.read(row).message() for row in rows],
            token=asked.next_token(len(rows)),
        )


def node_values(identifier: Any) -> list[Value]:
    """Return what a `NodeExecutionIdentifier` says, in the order of the columns of its key."""
    execution = identifier.execution_id
    return [execution.project, execution.domain, execution.name, identifier.node_id]


def require_node(identifier: Any) -> None:
    """
    Check that a `NodeExecutionIdentifier` is complete.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not identifier.HasField("execution_id"):
        raise missing("execution_id")
    require(identifier, "node_id")
    require(identifier.execution_id, "project", "domain", "name")


def require_attempt(request: Any, field: str) -> None:
    """
    Check that *field* of the request, a `TaskExecutionIdentifier`, is complete.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not request.HasField(field):
        raise missing("id")
    identifier = getattr(request, field)
    if identifier.HasField("task_id") and not identifier.task_id.resource_type:
        identifier.task_id.resource_type = identifier_pb2.TASK
    if not identifier.HasField("node_execution_id"):
        raise missing("node_execution_id")
    require_node(identifier.node_execution_id)
    _require_task(identifier)


def _require_task(holder: Any) -> None:
    if not holder.HasField("task_id"):
        raise missing("task_id")
    require_identifier(holder, identifier_pb2.TASK, field="task_id")
