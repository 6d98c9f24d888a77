"""One execution, out of its row: what it holds, and how Get and lists show it."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.model.executions import Mode, Phase
from exporter.model.time import Micros

LISTED_MESSAGE_BYTES = 100
"""Lists cut error messages here, on a character. Source: `transformers/execution.go`."""


class ExecutionKey(NamedTuple):
    """What Admin's primary key holds."""

    project: str
    domain: str
    name: str

    def message(self) -> Any:
        """Return it as protobuf."""
        return identifier_pb2.WorkflowExecutionIdentifier(
            project=self.project, domain=self.domain, name=self.name
        )


def offloaded(*place: str) -> str:
    """Return where Admin keeps outputs that come with an event; its default is not to inline."""
    return "s3://flyte/metadata/" + "/".join((*place, "offloaded_outputs"))


def key_of(identifier: Any) -> ExecutionKey:
    """Return which execution a `WorkflowExecutionIdentifier` names."""
    return ExecutionKey(identifier.project, identifier.domain, identifier.name)


class ErrorSeen(NamedTuple):
    """An execution error as propeller reports it."""

    kind: str
    """UNKNOWN, USER or SYSTEM."""
    code: str
    message: str

    def proto(self) -> Any:
        """Return it as protobuf."""
        return core_execution_pb2.ExecutionError(
            kind=core_execution_pb2.ExecutionError.ErrorKind.Value(self.kind),
            code=self.code,
            message=self.message,
        )


class Finish(NamedTuple):
    """That an execution ended, and when a client could first have known."""

    known_at: Micros
    key: ExecutionKey
    launch_plan: str
    mode: Mode
    phase: Phase


@dataclass(slots=True, kw_only=True)
class Stored:
    """One row, taken out to be changed."""

    place: int
    key: ExecutionKey
    spec: Any
    closure: Any
    started_at: Micros | None
    """As the column has it: cut to microseconds."""
    abort_cause: str
    cluster: str
    inputs: bytes
    id: int | None
    """What Admin's sequence gave it; None while the row is not written yet."""

    @property
    def phase(self) -> Phase:
        """The phase it is in."""
        return Phase(self.closure.phase)

    @property
    def launch_plan(self) -> str:
        """The launch plan it counts for; `.flytegen.<task>` for a single task."""
        if self.spec.launch_plan.resource_type == identifier_pb2.TASK:
            return str(self.closure.workflow_id.name)
        return str(self.spec.launch_plan.name)

    def message(self) -> Any:
        """Return it in full, as GetExecution answers."""
        closure = self.closure
        if self.phase is Phase.ABORTED and not closure.HasField("abort_metadata"):
            closure = execution_pb2.ExecutionClosure()
            closure.CopyFrom(self.closure)
            closure.abort_metadata.cause = self.abort_cause
        return execution_pb2.Execution(id=self.key.message(), spec=self.spec, closure=closure)

    def listed(self) -> bytes:
        """Return it serialized as lists answer: the error message cut, inputs left out."""
        message = self.message()
        trim_error(message.closure)
        message.spec.ClearField("inputs")
        message.closure.ClearField("computed_inputs")
        return bytes(message.SerializeToString())


def trim_error(closure: Any) -> None:
    """Cut the error message of *closure*, if it has one, as lists do."""
    if closure.HasField("error"):
        error = closure.error
        error.message = error.message.encode()[:LISTED_MESSAGE_BYTES].decode(errors="ignore")


def digest(*parts: object) -> str:
    """Return *parts* as a name has them that must differ from all others: a hash."""
    text = "/".join(map(str, parts))
    return hashlib.sha256(text.encode()).hexdigest()
