"""Protobuf in, `exporter.model.tasks` out: nodes, and attempts at their tasks."""

from typing import Any

from exporter.admin.convert import duration_of, instant_of
from exporter.model.tasks import Attempt, CacheStatus, Node, SubTask, TaskPhase

_TASK_PHASES = {phase.value: phase for phase in TaskPhase}
_CACHE_STATUSES = {status.value: status for status in CacheStatus}
_BOUNDARIES = frozenset({"start-node", "end-node"})
_MAP_TASK = "container_array"
"""The type of a map task's attempts, whatever runs them. Source: flytepropeller `nodes/array`."""
_DATASET = "flyte_task-"
"""How propeller calls what it caches of a task. Source: flytepropeller `catalog/datacatalog`."""


def node(message: Any) -> Node:
    """
    Return one `flyteidl.admin.NodeExecution`.

    Raises:
        ValueError: It has no name, so nobody could ask about it.
    """
    closure, metadata = message.closure, message.metadata
    name = message.id.node_id
    if not name:
        raise ValueError("a node without a name")
    is_parent = metadata.is_parent_node or metadata.is_dynamic
    # A dynamic node is a task first. Of the others with nodes of their own none has a task, and
    # nor has one that launched another execution.
    has_task = metadata.is_dynamic or not (is_parent or closure.HasField("workflow_node_metadata"))
    cache, cached_task = None, ""
    if closure.task_node_metadata.HasField("catalog_key"):
        cache = _cache_status(closure.task_node_metadata.cache_status)
        cached_task = _cached_task(closure.task_node_metadata.catalog_key)
    return Node(
        id=name,
        has_attempts=has_task and closure.HasField("started_at") and name not in _BOUNDARIES,
        is_parent=is_parent,
        cache=cache,
        cached_task=cached_task,
    )


def attempt(message: Any) -> Attempt:
    """
    Return one `flyteidl.admin.TaskExecution`.

    Raises:
        ValueError: Nobody can say of which task it is, or when it was.
    """
    closure = message.closure
    task = message.id.task_id.name
    created_at = instant_of(closure.created_at)
    if not task or "\0" in task:
        raise ValueError(f"an attempt at a task called {task!r}")
    if created_at is None:
        raise ValueError(f"an attempt at the task {task!r} from a time that no calendar has")
    sub_tasks = None
    if closure.task_type == _MAP_TASK:
        sub_tasks = tuple(map(_sub_task, closure.metadata.external_resources))
    return Attempt(
        task=task,
        phase=_task_phase(closure.phase),
        created_at=created_at,
        started_at=instant_of(closure.started_at) or None,
        duration=duration_of(closure.duration) if closure.HasField("duration") else None,
        sub_tasks=sub_tasks,
    )


def _sub_task(resource: Any) -> SubTask:
    return SubTask(
        resource.index,
        resource.retry_attempt,
        _task_phase(resource.phase),
        _cache_status(resource.cache_status),
    )


def _cached_task(key: Any) -> str:
    """Return the task whose results *key* is about."""
    if key.HasField("source_task_execution"):
        return str(key.source_task_execution.task_id.name)
    dataset: str = key.dataset_id.name
    return dataset.removeprefix(_DATASET) if dataset.startswith(_DATASET) else ""


def _task_phase(number: int) -> TaskPhase:
    return _TASK_PHASES.get(number, TaskPhase.UNRECOGNIZED)


def _cache_status(number: int) -> CacheStatus:
    return _CACHE_STATUSES.get(number, CacheStatus.UNRECOGNIZED)
