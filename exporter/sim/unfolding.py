"""
The nodes of an execution, told as propeller would have told them, once somebody looks.

Nobody looks at most executions, so none of this happens for them. What happens is drawn from the
execution's own name and fits its own times: the same whoever looks, and whenever.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from flyteidl.core import catalog_pb2, execution_pb2, identifier_pb2
from flyteidl.event import event_pb2

from exporter.model.executions import Phase
from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.anatomy import Form, Part
from exporter.sim.execution import ExecutionKey
from exporter.sim.producers import DEFAULT_PRODUCER

NODE = execution_pb2.NodeExecution
TASK = execution_pb2.TaskExecution
Event: TypeAlias = Any
"""A `NodeExecutionEvent` or a `TaskExecutionEvent`."""

_HIT_SHARE = 0.5
_MOST_ATTEMPTS = 3
_WAITING = 0.1
"""Part of a node's time that it waits before it runs."""
_MAP_TYPE, _PYTHON_TYPE = "container_array", "python-task"


class _Outcome(NamedTuple):
    """How the last node that runs ends."""

    node: int
    task: int
    error: Any = None


class _Times(NamedTuple):
    """When something was queued, began to run, and ended."""

    queued: float
    runs: float
    ended: float


_SUCCESS = _Outcome(NODE.SUCCEEDED, TASK.SUCCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolding:
    """
    One execution, to be told in events.

    Attributes:
        key: Which one.
        version: Of its tasks.
        child: The execution that its node of that form launched, if there is one.
        chance: Its own source of chance.
    """

    key: ExecutionKey
    version: str
    child: ExecutionKey | None
    chance: random.Random

    def whole(
        self, parts: Sequence[Part], *, began: Micros, ended: Micros, phase: Phase, error: Any
    ) -> Iterator[Event]:
        """Yield all that happened in an execution that is over."""
        outcome = _SUCCESS
        if phase is Phase.ABORTED:
            outcome = _Outcome(NODE.ABORTED, TASK.ABORTED)
        elif phase is not Phase.SUCCEEDED:
            outcome = _Outcome(NODE.FAILED, TASK.FAILED, error)
        if outcome is not _SUCCESS:
            parts = parts[: self.chance.randrange(len(parts)) + 1]
        yield self._node("start-node", NODE.SUCCEEDED, began)
        yield from self._row(parts, "", began, ended, outcome)
        if outcome is _SUCCESS:
            yield self._node("end-node", NODE.SUCCEEDED, ended)

    def beginning(self, parts: Sequence[Part], *, began: Micros) -> Iterator[Event]:
        """Yield what is certain of an execution that still runs: that it began."""
        yield self._node("start-node", NODE.SUCCEEDED, began)
        yield self._node(parts[0].node_id, NODE.QUEUED, began)

    def _row(
        self, parts: Sequence[Part], parent: str, began: float, ended: float, outcome: _Outcome
    ) -> Iterator[Event]:
        """Yield what happened in *parts*, one after the other; the last of them ends them."""
        total = sum(part.share for part in parts)
        at = began
        for part in parts:
            until = at + (ended - began) * part.share / total
            last = outcome if part is parts[-1] else _SUCCESS
            yield from self._part(part, parent, at, until, last)
            at = until

    def _part(
        self, part: Part, parent: str, at: float, until: float, outcome: _Outcome
    ) -> Iterator[Event]:
        node_id = part.node_id
        about: dict[str, Any] = {"spec_node_id": part.node_id}
        if parent:
            node_id = f"{parent}-0-{part.node_id}"
            about["parent_node_metadata"] = {"node_id": parent}
        yield self._node(node_id, NODE.QUEUED, at, **about)
        hit = part.cached and part.form is Form.TASK and self.chance.random() < _HIT_SHARE
        if hit and outcome is _SUCCESS:
            yield self._node(
                node_id, NODE.SUCCEEDED, at, **about,
                task_node_metadata=_cached(part, catalog_pb2.CACHE_HIT),
            )  # fmt: skip
            return
        runs_at = at + (until - at) * _WAITING
        times = _Times(at, runs_at, until)
        match part.form:
            case Form.TASK:
                yield self._node(node_id, NODE.RUNNING, runs_at, **about)
                yield from self._attempts(part, node_id, times, outcome)
            case Form.MAP:
                yield self._node(node_id, NODE.RUNNING, runs_at, is_array=True, **about)
                yield from self._map(part, node_id, times, outcome)
            case Form.SUB_WORKFLOW:
                yield self._node(node_id, NODE.RUNNING, runs_at, is_parent=True, **about)
                yield from self._row(part.parts, node_id, runs_at, until, outcome)
            case Form.DYNAMIC:
                yield self._node(node_id, NODE.RUNNING, runs_at, **about)
                decided = runs_at + (until - runs_at) * _WAITING
                deciding = times._replace(ended=decided)
                yield from self._attempts(part, node_id, deciding, _SUCCESS)
                yield self._node(
                    node_id, NODE.DYNAMIC_RUNNING, decided, is_parent=True, is_dynamic=True, **about
                )
                yield from self._row(part.parts, node_id, decided, until, outcome)
            case Form.CHILD:
                launched = {}
                if self.child is not None:
                    launched = {"workflow_node_metadata": {"execution_id": self.child._asdict()}}
                yield self._node(node_id, NODE.RUNNING, runs_at, **about, **launched)
        noted = {}
        if part.cached and part.form is Form.TASK and outcome is _SUCCESS:
            noted["task_node_metadata"] = _cached(part, catalog_pb2.CACHE_POPULATED)
        yield self._node(node_id, outcome.node, until, outcome.error, **about, **noted)

    def _attempts(
        self, part: Part, node_id: str, times: _Times, outcome: _Outcome
    ) -> Iterator[Event]:
        """Yield attempts until one ends as *outcome*, each as long as the others."""
        count = 1
        while count < _MOST_ATTEMPTS and self.chance.random() < part.flaky:
            count += 1
        length = (times.ended - times.runs) / count
        for attempt in range(count):
            runs = times.runs + attempt * length
            queued = times.queued if attempt == 0 else runs
            last = attempt == count - 1
            yield self._task(part, node_id, attempt, TASK.QUEUED, queued)
            yield self._task(part, node_id, attempt, TASK.RUNNING, runs + length * _WAITING)
            phase, error = (outcome.task, outcome.error) if last else (TASK.FAILED, _RETRIED)
            yield self._task(part, node_id, attempt, phase, runs + length, error=error)

    def _map(self, part: Part, node_id: str, times: _Times, outcome: _Outcome) -> Iterator[Event]:
        """Yield the one attempt of a map task, whose sub-tasks are repeated by themselves."""
        begun, ended = [], []
        for index in range(part.size):
            resource: dict[str, Any] = {"index": index, "external_id": f"{node_id}-{index}"}
            if part.cached and self.chance.random() < _HIT_SHARE:
                hit = {"phase": TASK.SUCCEEDED, "cache_status": catalog_pb2.CACHE_HIT}
                ended.append({**resource, **hit})
                continue
            begun.append({**resource, "phase": TASK.RUNNING})
            if self.chance.random() < part.flaky:
                ended.append({**resource, "phase": TASK.FAILED})
                resource |= {"retry_attempt": 1, "external_id": f"{node_id}-{index}-1"}
            phase = outcome.task if index == part.size - 1 else TASK.SUCCEEDED
            if part.cached and phase == TASK.SUCCEEDED:
                resource["cache_status"] = catalog_pb2.CACHE_POPULATED
            ended.append({**resource, "phase": phase})
        yield self._task(part, node_id, 0, TASK.QUEUED, times.queued)
        yield self._task(part, node_id, 0, TASK.RUNNING, times.runs, resources=begun)
        yield self._task(
            part, node_id, 0, outcome.task, times.ended, error=outcome.error, resources=ended
        )

    def _node(
        self, node_id: str, phase: int, at: float, error: Any = None, **about: Any
    ) -> event_pb2.NodeExecutionEvent:
        occurred = wire.timestamp(wire.nanos_of(Micros(round(at))))
        return event_pb2.NodeExecutionEvent(
            id=self._node_id(node_id),
            producer_id=DEFAULT_PRODUCER,
            phase=phase,
            occurred_at=occurred,
            reported_at=occurred,
            node_name=node_id,
            error=error,
            event_version=1,
            **({"spec_node_id": node_id} | about),
        )

    def _task(
        self,
        part: Part,
        node_id: str,
        attempt: int,
        phase: int,
        at: float,
        *,
        error: Any = None,
        resources: Sequence[Any] = (),
    ) -> event_pb2.TaskExecutionEvent:
        occurred = wire.timestamp(wire.nanos_of(Micros(round(at))))
        return event_pb2.TaskExecutionEvent(
            task_id=identifier_pb2.Identifier(
                resource_type=identifier_pb2.TASK,
                project=self.key.project,
                domain=self.key.domain,
                name=part.task,
                version=self.version,
            ),
            parent_node_execution_id=self._node_id(node_id),
            retry_attempt=attempt,
            phase=phase,
            producer_id=DEFAULT_PRODUCER,
            occurred_at=occurred,
            reported_at=occurred,
            error=error,
            task_type=_MAP_TYPE if part.form is Form.MAP else _PYTHON_TYPE,
            metadata={"external_resources": resources},
            event_version=1,
        )

    def _node_id(self, node_id: str) -> identifier_pb2.NodeExecutionIdentifier:
        return identifier_pb2.NodeExecutionIdentifier(
            execution_id=self.key.message(), node_id=node_id
        )


def _cached(part: Part, status: int) -> event_pb2.TaskNodeMetadata:
    key = {"dataset_id": {"name": f"flyte_task-{part.task}"}}
    return event_pb2.TaskNodeMetadata(cache_status=status, catalog_key=key)


_RETRIED = execution_pb2.ExecutionError(
    kind=execution_pb2.ExecutionError.SYSTEM,
    code="Interrupted",
    message="The node was low on resource: memory.",
)
