"""What propeller reports of an execution's nodes and tasks, in the few words that a test needs."""

from collections.abc import Callable, Mapping
from typing import Any

from flyteidl.admin import event_pb2

from exporter.model.time import SECOND, Micros
from exporter.sim import wire
from exporter.sim.execution import ExecutionKey

CACHED = {"catalog_key": {"dataset_id": {"name": "flyte_task-lookup"}}}


class Propeller:
    """
    Reports what happens in one execution to the simulator's *calls*.

    Times are in seconds after *began*; phases are Flyte's names for them.
    """

    def __init__(
        self, calls: Mapping[str, Callable[[Any], Any]], key: ExecutionKey, began: Micros
    ) -> None:
        self._calls = calls
        self._key = key
        self._began = began

    def node(self, name: str, phase: str, at: float, *, parent: str = "", **about: Any) -> None:
        """Report that a node, perhaps one within *parent*, entered *phase*."""
        if parent:
            about["parent_node_metadata"] = {"node_id": parent}
        event = event_pb2.NodeExecutionEventRequest(
            event={
                "id": self._id(name),
                "phase": phase,
                "occurred_at": self._at(at),
                "event_version": 1,
                **about,
            }
        )
        self._calls["CreateNodeEvent"](event)

    def task(
        self, node: str, task: str, phase: str, at: float, *, attempt: int = 0, **about: Any
    ) -> None:
        """Report that an attempt at the task of a node entered *phase*."""
        event = event_pb2.TaskExecutionEventRequest(
            event={
                "task_id": {
                    "resource_type": "TASK",
                    **self._where(),
                    "name": task,
                    "version": "v1",
                },
                "parent_node_execution_id": self._id(node),
                "retry_attempt": attempt,
                "phase": phase,
                "occurred_at": self._at(at),
                **about,
            }
        )
        self._calls["CreateTaskEvent"](event)

    def ran(
        self,
        node: str,
        task: str,
        times: tuple[float, float, float],
        *,
        phase: str = "SUCCEEDED",
        attempt: int = 0,
        parent: str = "",
        **about: Any,
    ) -> None:
        """Report one attempt: when it was queued, when it started, and when it ended in *phase*."""
        queued, started, ended = times
        if attempt == 0:
            self.node(node, "RUNNING", queued, parent=parent)
        self.task(node, task, "QUEUED", queued, attempt=attempt)
        self.task(node, task, "RUNNING", started, attempt=attempt)
        self.task(node, task, phase, ended, attempt=attempt, **about)

    def _id(self, node: str) -> Any:
        return {"execution_id": self._key._asdict(), "node_id": node}

    def _where(self) -> Mapping[str, str]:
        return {"project": self._key.project, "domain": self._key.domain}

    def _at(self, seconds: float) -> Any:
        return wire.timestamp(wire.nanos_of(Micros(self._began + round(seconds * SECOND))))


def inputs(*told: tuple[int, int, str, str]) -> Any:
    """Return what is told of the inputs of a map task: place, attempt, phase, and of the cache."""
    return {
        "task_type": "container_array",
        "metadata": {
            "external_resources": [
                {"index": place, "retry_attempt": attempt, "phase": phase, "cache_status": cache}
                for place, attempt, phase, cache in told
            ]
        },
    }
