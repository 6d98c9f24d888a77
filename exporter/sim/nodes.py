"""
The nodes of an execution are rows of their own, which propeller's events make and move.

A list shows those at the top, or the children of one that it names: whoever wants all of them
walks down.

Source: flyteadmin `node_execution_manager.go`, `transformers/node_execution.go`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from flyteidl.admin import event_pb2, node_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2, identifier_pb2

from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.entities import NODE_EXECUTION
from exporter.sim.execution import ExecutionKey, key_of, trim_error
from exporter.sim.executions import Executions
from exporter.sim.filters import Value
from exporter.sim.listing import require_limit, rest_checked, selected
from exporter.sim.phases import already_over
from exporter.sim.producers import is_accepted, other_cluster
from exporter.sim.refusal import Refusal, missing, no_such, printed_message
from exporter.sim.store import Store
from exporter.sim.task_rows import reported_at
from exporter.sim.tasks import TasksApi, node_values, require_attempt

Phase = execution_pb2.NodeExecution
TERMINAL = frozenset(
    {
        Phase.SUCCEEDED,
        Phase.FAILED,
        Phase.ABORTED,
        Phase.SKIPPED,
        Phase.TIMED_OUT,
        Phase.RECOVERED,
    }
)
"""Phases that end a node. Source: flyteadmin `pkg/common/executions.go`."""

_TABLE = "node_executions"
_OF_EXECUTION = " AND ".join(
    f"{_TABLE}.{column} = ?"
    for column in ("execution_project", "execution_domain", "execution_name")
)
_COLUMNS = ", ".join(
    f"{_TABLE}.{column}"
    for column in (
        "id",
        "execution_project",
        "execution_domain",
        "execution_name",
        "node_id",
        "input_uri",
        "started_at",
        "closure",
        "node_execution_metadata",
        "dynamic_workflow_remote_closure_reference",
    )
)
_HAS_CHILDREN = f"EXISTS (SELECT 1 FROM {_TABLE} AS child WHERE child.parent_id = {_TABLE}.id)"  # noqa: S608 - our own text
_JOIN_EXECUTIONS = (
    f"INNER JOIN executions ON {_TABLE}.execution_project = executions.execution_project"
    f" AND {_TABLE}.execution_domain = executions.execution_domain"
    f" AND {_TABLE}.execution_name = executions.execution_name"
)


@dataclass(slots=True, kw_only=True)
class _Node:
    """One row, taken out to be changed."""

    id: int
    key: Any
    input_uri: str
    started_at: Micros | None
    closure: Any
    metadata: Any
    dynamic_workflow: str
    """Where the workflow that it made lies."""
    has_children: bool = False

    def message(self) -> Any:
        """Return it in full, as GetNodeExecution answers."""
        if self.has_children and not (self.metadata.is_parent_node or self.metadata.is_dynamic):
            self.metadata.is_parent_node = True
            self.metadata.is_dynamic = bool(self.dynamic_workflow)
        return node_execution_pb2.NodeExecution(
            id=self.key, input_uri=self.input_uri, closure=self.closure, metadata=self.metadata
        )

    def listed(self) -> Any:
        """Return it as lists answer: the error message cut."""
        message = self.message()
        trim_error(message.closure)
        return message

    def apply(self, event: Any) -> None:
        """Take over what *event* says."""
        closure = self.closure
        self.input_uri = self.input_uri or event.input_uri
        closure.phase = event.phase
        closure.updated_at.CopyFrom(reported_at(event))
        if event.phase == Phase.RUNNING:
            closure.started_at.CopyFrom(event.occurred_at)
            self.started_at = wire.micros_of(wire.nanoseconds(event.occurred_at))
        if event.phase in TERMINAL:
            self._end(event)
        if event.HasField("task_node_metadata"):
            self._note_task(event.task_node_metadata)
        # Not every event says it: it is set, and never unset.
        self.metadata.is_parent_node |= event.is_parent
        self.metadata.is_dynamic |= event.is_dynamic
        self.metadata.is_array |= event.is_array

    def _end(self, event: Any) -> None:
        closure = self.closure
        if self.started_at is not None:
            lasted = wire.nanoseconds(event.occurred_at) - wire.nanos_of(self.started_at)
            closure.duration.FromNanoseconds(lasted)
        if event.output_uri:
            closure.output_uri = event.output_uri
        elif event.HasField("error"):
            closure.error.CopyFrom(event.error)

    def _note_task(self, said: Any) -> None:
        noted = node_execution_pb2.TaskNodeMetadata(checkpoint_uri=said.checkpoint_uri)
        if said.HasField("catalog_key"):
            noted.cache_status = said.cache_status
            noted.catalog_key.CopyFrom(said.catalog_key)
        self.closure.task_node_metadata.CopyFrom(noted)
        dynamic = said.dynamic_workflow
        self.closure.dynamic_job_spec_uri = dynamic.dynamic_job_spec_uri
        if dynamic.HasField("id"):
            self.dynamic_workflow = "/".join(
                ("s3://flyte/metadata", *map(str, node_values(self.key)))
            )

    def columns(self) -> dict[str, Value | None]:
        """Return what changes in the row when the node does."""
        closure = self.closure
        failed = closure.HasField("error")
        kinds = execution_pb2.ExecutionError.ErrorKind
        cached = closure.task_node_metadata
        return {
            "phase": Phase.Phase.Name(closure.phase),
            "input_uri": self.input_uri,
            "closure": closure.SerializeToString(),
            "started_at": self.started_at,
            "node_execution_updated_at": wire.micros_of(wire.nanoseconds(closure.updated_at)),
            "duration": closure.duration.ToNanoseconds(),
            "node_execution_metadata": self.metadata.SerializeToString(),
            "error_kind": kinds.Name(closure.error.kind) if failed else None,
            "error_code": closure.error.code if failed else None,
            "cache_status": catalog_pb2.CatalogCacheStatus.Name(cached.cache_status)
            if cached.HasField("catalog_key")
            else None,
            "dynamic_workflow_remote_closure_reference": self.dynamic_workflow,
        }


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
        """Answer CreateNodeEvent. What an event lacks, Admin notes in its log, and goes on."""
        event = request.event
        identifier = event.id.execution_id
        try:
            stored = self._executions.get(key_of(identifier))
        except Refusal as refusal:
            asked = f"Failed to get existing execution id: [{printed_message(identifier)}]"
            raise Refusal(refusal.code, f"{asked} with err: {refusal.details}") from refusal
        if not is_accepted(stored, event.producer_id):
            raise other_cluster(stored, event.producer_id)
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
        phase, announced = map(Phase.Phase.Name, (node.closure.phase, event.phase))
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
            node.closure.workflow_node_metadata.execution_id.CopyFrom(child)
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
        node = _Node(
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

    def _find(self, identifier: Any) -> _Node | None:
        row = self._store.row(
            f"SELECT {_COLUMNS}, {_HAS_CHILDREN} FROM {_TABLE}"  # noqa: S608 - our own text
            f" WHERE {_OF_EXECUTION} AND node_id = ?",
            node_values(identifier),
        )
        return None if row is None else _read(row)

    def _get(self, identifier: Any) -> _Node:
        node = self._find(identifier)
        if node is None:
            raise no_such("node execution", identifier)
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
            f"{_COLUMNS}, {_HAS_CHILDREN}",
            NODE_EXECUTION,
            asked,
            where=f"{_OF_EXECUTION} AND {where}",
            parameters=[*key_of(execution), *parameters],
            joins=_JOIN_EXECUTIONS if joined else "",
        )
        return node_execution_pb2.NodeExecutionList(
            node_executions=[_read(row).listed() for row in rows],
            token=asked.next_token(len(rows)),
        )


def _read(row: Any) -> _Node:
    return _Node(
        id=row[0],
        key=identifier_pb2.NodeExecutionIdentifier(
            execution_id=identifier_pb2.WorkflowExecutionIdentifier(
                project=row[1], domain=row[2], name=row[3]
            ),
            node_id=row[4],
        ),
        input_uri=row[5],
        started_at=None if row[6] is None else Micros(row[6]),
        closure=node_execution_pb2.NodeExecutionClosure.FromString(row[7]),
        metadata=node_execution_pb2.NodeExecutionMetaData.FromString(row[8]),
        dynamic_workflow=row[9],
        has_children=bool(row[10]),
    )
