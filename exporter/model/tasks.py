"""
The nodes of an execution and the attempts at their tasks, freed of protobuf.

Only what is counted of them: of an execution that is over, Admin tells far more.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from exporter.model.executions import ExecutionId
from exporter.model.targets import Target
from exporter.model.time import Micros


class TaskPhase(IntEnum):
    """
    `TaskExecution.Phase` with Flyte's own numbers.

    UNRECOGNIZED stands for a number that a newer server sent.

    Source: flyteidl `core/execution.proto`.
    """

    UNRECOGNIZED = -1
    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    ABORTED = 4
    FAILED = 5
    INITIALIZING = 6
    WAITING_FOR_RESOURCES = 7
    RETRYABLE_FAILED = 8


class CacheStatus(IntEnum):
    """
    `CatalogCacheStatus` with Flyte's own numbers: what the cache did for a task.

    Source: flyteidl `core/catalog.proto`.
    """

    UNRECOGNIZED = -1
    CACHE_DISABLED = 0
    CACHE_MISS = 1
    CACHE_HIT = 2
    CACHE_POPULATED = 3
    CACHE_LOOKUP_FAILURE = 4
    CACHE_PUT_FAILURE = 5
    CACHE_SKIPPED = 6
    CACHE_EVICTED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    One node of an execution.

    Attributes:
        id: Its name, unique in the execution.
        has_attempts: Whether its task, if it has one, was tried at all: it was not where the cache
            had the answer, or where the node is a part of something else.
        is_parent: Whether it has nodes of its own, which are listed by it.
        cache: What the cache did for it; None where it was not asked.
        cached_task: The task that the cache was asked about; empty where Admin does not say.
    """

    id: str
    has_attempts: bool
    is_parent: bool
    cache: CacheStatus | None
    cached_task: str


class SubTask(NamedTuple):
    """One attempt at one of the inputs of a map task."""

    place: int
    """Which of the inputs."""
    attempt: int
    phase: TaskPhase
    cache: CacheStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One attempt at a task.

    Attributes:
        task: Name of the task.
        phase: The last that was told of it.
        created_at: When it was first heard of.
        started_at: When it began to run; None when it never did.
        duration: Microseconds from then to its end; None while it runs, or when it never did.
        sub_tasks: Of a map task, what became of each input; None of any other.
    """

    task: str
    phase: TaskPhase
    created_at: Micros
    started_at: Micros | None
    duration: int | None
    sub_tasks: tuple[SubTask, ...] | None


class Due(NamedTuple):
    """A finished execution whose tasks are still to be counted."""

    target: Target
    id: ExecutionId
    launch_plan: str


class Visited(NamedTuple):
    """A node, and the attempts at its task."""

    node: Node
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What is to be counted, by the names of tasks.

    Attributes:
        attempts: How many ended in which phase.
        lookups: How often the cache did what.
        ran: How long those ran that succeeded, in microseconds.
        waited: How long each waited before it ran, in microseconds.
    """

    attempts: Counter[tuple[str, TaskPhase]] = field(default_factory=Counter)
    lookups: Counter[tuple[str, CacheStatus]] = field(default_factory=Counter)
    ran: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    waited: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that it is about."""
        counted = {task for task, _ in self.attempts} | {task for task, _ in self.lookups}
        return frozenset(counted | self.ran.keys() | self.waited.keys())
