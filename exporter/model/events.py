"""What can happen to executions, as the tracker tells it and the measure counts it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from exporter.model.ends import Ends, ends_of
from exporter.model.executions import Execution, ExecutionId, Phase


class Vanished(NamedTuple):
    """Admin no longer has an execution whose end was never seen."""

    id: ExecutionId
    launch_plan: str


class SteppedBack(NamedTuple):
    """An execution was seen unfinished after its end, as after a restore of Admin's database."""

    execution: Execution
    was: Phase


@dataclass(frozen=True)
class Events:
    """
    What happened, by kind. An execution is in each list at most once; in several, if it must be.

    Lists of rows rather than an object for each event: there are three for every execution that
    began and ended between two polls, and a backlog has hundreds of thousands of those.

    Attributes:
        primed: There when we first looked: not counted, but their launch plans are known now.
        launched: Seen for the first time.
        started: Seen for the first time with a start.
        finished: Seen for the first time in a terminal phase.
        vanished: Gone from Admin.
        stepped_back: Unfinished again.
    """

    primed: list[Execution] = field(default_factory=list)
    launched: list[Execution] = field(default_factory=list)
    started: list[Execution] = field(default_factory=list)
    finished: list[Execution] = field(default_factory=list)
    vanished: list[Vanished] = field(default_factory=list)
    stepped_back: list[SteppedBack] = field(default_factory=list)

    @cached_property
    def ends(self) -> Ends:
        """Those that finished, by how they did; to be asked for once all are told."""
        return ends_of(self.finished)
