"""
One node of an execution, out of its row and back.

Source: flyteadmin `transformers/node_execution.go`: what an event does not say stays as it was.
"""

from dataclasses import dataclass
from typing import Any

from flyteidl.admin import node_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2, identifier_pb2

from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.execution import key_of, offloaded, trim_error
from exporter.sim.filters import Value
from exporter.sim.refusal import enum_name
from exporter.sim.task_rows import reported_at

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

COLUMNS = (
    "node_executions.id, node_executions.execution_project, node_executions.execution_domain,"
    " node_executions.execution_name, node_executions.node_id, node_executions.input_uri,"
    " node_executions.started_at, node_executions.closure,"
    " node_executions.node_execution_metadata,"
    " node_executions.dynamic_workflow_remote_closure_reference,"
    " EXISTS (SELECT 1 FROM node_executions AS child WHERE child.parent_id = node_executions.id)"
)
"""What `read` reads, in its order."""


@dataclass(slots=True, kw_only=True)
class Node:
    """One row, taken out to be changed."""

    id: int
    """0 of one that is not a row yet."""
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
            closure.deck_uri = event.deck_uri
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
        elif event.HasField("output_data"):
            closure.output_uri = offloaded(*key_of(event.id.execution_id), event.id.node_id)
        elif event.HasField("error"):
            closure.error.CopyFrom(event.error)
        closure.deck_uri = event.deck_uri

    def _note_task(self, said: Any) -> None:
        noted = node_execution_pb2.TaskNodeMetadata(checkpoint_uri=said.checkpoint_uri)
        if said.HasField("catalog_key"):
            noted.cache_status = said.cache_status
            noted.catalog_key.CopyFrom(said.catalog_key)
        self.closure.task_node_metadata.CopyFrom(noted)
        dynamic = said.dynamic_workflow
        # Admin takes this over when a node changes, and not when it comes to be.
        if self.id and dynamic.dynamic_job_spec_uri:
            self.closure.dynamic_job_spec_uri = dynamic.dynamic_job_spec_uri
        if dynamic.HasField("id"):
            self.dynamic_workflow = f"s3://flyte/metadata/{dynamic.id.name}"

    def columns(self) -> dict[str, Value | None]:
        """Return what changes in the row when the node does."""
        closure = self.closure
        failed = closure.HasField("error")
        kinds = execution_pb2.ExecutionError.ErrorKind
        cached = closure.task_node_metadata
        return {
            "phase": phase_name(closure.phase),
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


def phase_name(phase: int) -> str:
    """Return what Admin calls *phase*, also one that came later than it."""
    return enum_name(Phase.Phase.DESCRIPTOR, phase)


def read(row: Any) -> Node:
    """Return the node of a row of `COLUMNS`."""
    return Node(
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
