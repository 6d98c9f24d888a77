"""
An execution as Admin lists it, freed of protobuf.

These are named tuples rather than dataclasses because one is built for every row of every page:
a frozen dataclass costs four times as much to construct.
"""

from enum import IntEnum
from typing import NamedTuple

from exporter.model.time import Micros


class Phase(IntEnum):
    """
    `WorkflowExecution.Phase` with Flyte's own numbers.

    UNRECOGNIZED stands for a number that a newer server sent; it counts as not finished, because
    only an outcome that we understand may be counted as one.

    Source: flyteidl `core/execution.proto`; terminal ones: flyteadmin `pkg/common/executions.go`.
    """

    UNRECOGNIZED = -1
    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDING = 3
    SUCCEEDED = 4
    FAILING = 5
    FAILED = 6
    ABORTED = 7
    TIMED_OUT = 8
    ABORTING = 9

    @property
    def is_terminal(self) -> bool:
        """Whether an execution in this phase is over."""
        return self in TERMINAL


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT})
NON_TERMINAL = tuple(
    phase for phase in Phase if phase not in TERMINAL and phase is not Phase.UNRECOGNIZED
)
"""The phases of the live set, as a filter can name them."""


class Mode(IntEnum):
    """
    `ExecutionMetadata.ExecutionMode` with Flyte's own numbers: how an execution came to be.

    Source: flyteidl `admin/execution.proto`.
    """

    UNRECOGNIZED = -1
    MANUAL = 0
    SCHEDULED = 1
    SYSTEM = 2
    RELAUNCH = 3
    CHILD_WORKFLOW = 4
    RECOVERED = 5
    TRIGGER = 6


GENERATED = ".flytegen."
"""How flyteadmin begins the name of what it makes around a single task."""


class ExecutionId(NamedTuple):
    """
    What makes an execution the same one within its target.

    The name alone does not: a row that was deleted may be followed by another of the same name.
    """

    name: str
    created_at: Micros


class Execution(NamedTuple):
    """One row as Admin answered it."""

    id: ExecutionId
    phase: Phase
    mode: Mode
    launch_plan: str
    """Name of the launch plan; `.flytegen.<task>` for a single-task execution, as Flyte has it."""
    started_at: Micros | None
    """When propeller first reported RUNNING; None when it never did. Propeller's clock."""
    updated_at: Micros
    """When the last event occurred; of a terminal row, its end. Propeller's clock."""
    duration: int | None
    """
    Microseconds from `started_at` to the end; None while it runs, or when it never ran.

    No `timedelta`, because of a million rows, making and reading those would take 0.3 s more.
    """
    scheduled_at: Micros | None = None
    """
    The slot of the schedule that it was launched for; None where nothing scheduled launched it.

    A relaunch repeats the slot of the execution that it repeats: that one alone filled it.
    """


VANISHED_AFTER = 2
"""Reconciles in a row that find no row before an execution leaves the live set."""


class Tracked(NamedTuple):
    """What we know of one execution."""

    phase: Phase
    mode: Mode = Mode.UNRECOGNIZED
    launch_plan: str = ""
    since: Micros = Micros(0)
    """When it entered its phase; first sight, where no timestamp marks that."""
    started: bool = False
    """Whether its start has been counted."""
    absences: int = 0
    """Reconciles in a row to which Admin answered NOT_FOUND."""
    stepped_back: bool = False
    """Whether it was seen unfinished after its end, and that was reported."""

    @property
    def is_live(self) -> bool:
        """Whether it belongs to the live set."""
        return self.phase not in TERMINAL and self.absences < VANISHED_AFTER


OVER = {phase: Tracked(phase) for phase in TERMINAL}
"""All that is kept of a finished execution. Shared, because there may be a million of them."""
