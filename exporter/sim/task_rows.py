"""
One attempt at a task, out of its row and back.

Source: flyteadmin `transformers/task_execution.go`: what later events add is merged into what
earlier ones said, and sub-tasks of a map task keep their places by index and attempt.
"""

from dataclasses import dataclass
from typing import Any

from flyteidl.admin import task_execution_pb2
from flyteidl.core import execution_pb2, identifier_pb2
from flyteidl.event import event_pb2

from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.execution import key_of, offloaded
from exporter.sim.filters import Value
from exporter.sim.refusal import enum_name

Phase = execution_pb2.TaskExecution
TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED})
"""Phases that end an attempt. Source: flyteadmin `pkg/common/executions.go`."""

COLUMNS = (
    "task_executions.id, task_executions.project, task_executions.domain, task_executions.name,"
    " task_executions.version, task_executions.execution_project,"
    " task_executions.execution_domain, task_executions.execution_name, task_executions.node_id,"
    " task_executions.retry_attempt, task_executions.input_uri, task_executions.phase_version,"
    " task_executions.started_at, task_executions.closure,"
    " EXISTS (SELECT 1 FROM node_executions AS child"
    " WHERE child.parent_task_execution_id = task_executions.id)"
)
"""What `read` reads, in its order."""

_PENDING = frozenset({Phase.QUEUED, Phase.INITIALIZING})


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One row, taken out to be changed."""

    id: int
    """0 of one that is not a row yet."""
    key: Any
    """`TaskExecutionIdentifier`."""
    input_uri: str
    phase_version: int
    started_at: Micros | None
    """As the column has it: cut to microseconds."""
    closure: Any
    is_parent: bool = False

    def message(self) -> Any:
        """Return it as Admin answers; no list cuts anything of it."""
        return task_execution_pb2.TaskExecution(
            id=self.key, input_uri=self.input_uri, closure=self.closure, is_parent=self.is_parent
        )

    def apply(self, event: Any) -> None:
        """Take over what *event* says."""
        closure = self.closure
        if not self.input_uri:
            self.input_uri = event.input_uri
        before = closure.phase
        closure.phase = event.phase
        # Admin's ORM leaves a column alone where the new value is zero.
        self.phase_version = event.phase_version or self.phase_version
        closure.updated_at.CopyFrom(reported_at(event))
        _put_logs(closure.logs, _shown_logs(_merged_logs(closure.logs, event.logs), event.phase))
        self._give_reasons(event)
        if event.phase == Phase.RUNNING != before and self.started_at is None:
            self.started_at = wire.micros_of(wire.nanoseconds(event.occurred_at))
            closure.started_at.CopyFrom(event.occurred_at)
        if event.phase in TERMINAL:
            self._end(event)
        if event.HasField("custom_info"):
            _merge_custom(closure.custom_info, event.custom_info)
        if event.HasField("metadata"):
            _merge_metadata(closure.metadata, event.metadata)
        # Of a first event Admin keeps the logs of sub-tasks as they are.
        if self.id and event.phase != before:
            for resource in closure.metadata.external_resources:
                _put_logs(resource.logs, _shown_logs(resource.logs, event.phase))
        closure.task_type = closure.task_type or event.task_type
        closure.event_version = max(closure.event_version, event.event_version)

    def _give_reasons(self, event: Any) -> None:
        closure = self.closure
        given = list(event.reasons)
        if not given and event.reason and event.reason != closure.reason:
            given = [event_pb2.EventReason(occurred_at=event.occurred_at, reason=event.reason)]
        for reason in given:
            told = closure.reasons.add(message=reason.reason)
            if reason.HasField("occurred_at"):
                told.occurred_at.CopyFrom(reason.occurred_at)
            closure.reason = reason.reason

    def _end(self, event: Any) -> None:
        closure = self.closure
        if self.started_at is not None:
            closure.started_at.CopyFrom(wire.timestamp(wire.nanos_of(self.started_at)))
            lasted = wire.nanoseconds(event.occurred_at) - wire.nanos_of(self.started_at)
            closure.duration.FromNanoseconds(lasted)
        if event.output_uri:
            closure.output_uri = event.output_uri
        elif event.HasField("output_data"):
            closure.output_uri = _offloaded(self.key)
        elif event.HasField("error"):
            closure.error.CopyFrom(event.error)

    def columns(self) -> dict[str, Value | None]:
        """Return what changes in the row when the attempt does."""
        closure = self.closure
        return {
            "phase": phase_name(closure.phase),
            "phase_version": self.phase_version,
            "input_uri": self.input_uri,
            "closure": closure.SerializeToString(),
            "started_at": self.started_at,
            "task_execution_updated_at": wire.micros_of(wire.nanoseconds(closure.updated_at)),
            "duration": closure.duration.ToNanoseconds(),
        }


def read(row: Any) -> Attempt:
    """Return the attempt of a row of `COLUMNS`."""
    return Attempt(
        id=row[0],
        key=identifier_pb2.TaskExecutionIdentifier(
            task_id=identifier_pb2.Identifier(
                resource_type=identifier_pb2.TASK,
                project=row[1],
                domain=row[2],
                name=row[3],
                version=row[4],
            ),
            node_execution_id=identifier_pb2.NodeExecutionIdentifier(
                execution_id=identifier_pb2.WorkflowExecutionIdentifier(
                    project=row[5], domain=row[6], name=row[7]
                ),
                node_id=row[8],
            ),
            retry_attempt=row[9],
        ),
        input_uri=row[10] or "",
        phase_version=row[11],
        started_at=None if row[12] is None else Micros(row[12]),
        closure=task_execution_pb2.TaskExecutionClosure.FromString(row[13]),
        is_parent=bool(row[14]),
    )


def phase_name(phase: int) -> str:
    """Return what Admin calls *phase*, also one that came later than it."""
    return enum_name(Phase.Phase.DESCRIPTOR, phase)


def key_of_event(event: Any) -> Any:
    """Return which attempt a `TaskExecutionEvent` is about."""
    key = identifier_pb2.TaskExecutionIdentifier(
        task_id=event.task_id,
        node_execution_id=event.parent_node_execution_id,
        retry_attempt=event.retry_attempt,
    )
    key.task_id.resource_type = identifier_pb2.TASK
    return key


def reported_at(event: Any) -> Any:
    """Return when *event* was sent; when it occurred, where it does not say."""
    reported = event.reported_at
    return reported if reported.seconds or reported.nanos else event.occurred_at


def _merged_logs(existing: Any, latest: Any) -> list[Any]:
    """Return *latest*, and what of *existing* neither its addresses nor its names replace."""
    addresses = {log.uri for log in latest}
    names = {log.name for log in latest if log.name}
    kept = [log for log in existing if log.uri not in addresses and log.name not in names]
    return [*latest, *kept]


def _put_logs(field: Any, logs: list[Any]) -> None:
    """Have *field* hold *logs*, some of which may be its own until then."""
    copies = task_execution_pb2.TaskExecutionClosure(logs=logs).logs
    del field[:]
    field.extend(copies)


def _shown_logs(logs: list[Any], phase: int) -> list[Any]:
    return [
        log
        for log in logs
        if not (phase in TERMINAL and log.HideOnceFinished)
        and not (phase in _PENDING and not log.ShowWhilePending)
    ]


def _offloaded(key: Any) -> str:
    node, task = key.node_execution_id, key.task_id
    return offloaded(
        *key_of(node.execution_id),
        node.node_id,
        *(task.project, task.domain, task.name, task.version, str(key.retry_attempt)),
    )


def _merge_custom(existing: Any, latest: Any) -> None:
    """Merge the `Struct` *latest* into *existing*, down to the last level."""
    for name, value in latest.fields.items():
        known = existing.fields[name]
        if value.HasField("struct_value") and known.HasField("struct_value"):
            _merge_custom(known.struct_value, value.struct_value)
        else:
            known.CopyFrom(value)


def _merge_metadata(existing: Any, latest: Any) -> None:
    """Merge *latest* into *existing*: sub-tasks by index and attempt, the rest where it is set."""
    found = {(r.index, r.retry_attempt): r for r in existing.external_resources}
    for resource in latest.external_resources:
        place = (resource.index, resource.retry_attempt)
        known = found.setdefault(place, event_pb2.ExternalResourceInfo())
        logs = _merged_logs(known.logs, resource.logs)
        if resource.HasField("custom_info"):
            known.ClearField("custom_info")
        known.MergeFrom(resource)
        known.phase = resource.phase
        _put_logs(known.logs, logs)
    merged = [found[place] for place in sorted(found)]
    copies = event_pb2.TaskExecutionMetadata(external_resources=merged).external_resources
    del existing.resource_pool_info[:]
    existing.MergeFrom(latest)
    del existing.external_resources[:]
    existing.external_resources.extend(copies)
