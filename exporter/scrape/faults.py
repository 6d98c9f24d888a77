"""Whose fault it is that an execution's tasks could not be counted, and who is tried again."""

from enum import Enum
from typing import NamedTuple

from exporter.admin.errors import AdminError, NotSent, Throttled
from exporter.model.tasks import Due

_TRIES = 3
"""How often one fails, while others are answered, before that is taken for its own fault."""

_OF_ALL = frozenset({"UNAUTHENTICATED", "UNAVAILABLE", "UNIMPLEMENTED"})


class Fault(Enum):
    """What a failure says something about."""

    ALL = "all"
    """Whichever execution is asked about next would fail likewise."""
    TARGET = "target"
    """We may not ask about this target; about others perhaps."""
    UNKNOWN = "unknown"
    """The execution, or Admin: flyteadmin says UNKNOWN and INTERNAL when its database is away."""


def fault_of(error: AdminError) -> Fault:
    """Return what *error* says something about."""
    if isinstance(error, NotSent | Throttled) or error.code in _OF_ALL:
        return Fault.ALL
    return Fault.TARGET if error.code == "PERMISSION_DENIED" else Fault.UNKNOWN


class _Failures(NamedTuple):
    times: int
    answered: int


class Faults:
    """
    Tells executions that fail by themselves from those that fail with all others.

    A failure counts against an execution when another was answered since its last one.

    Args:
        most: How many executions are remembered; past it, who failed longest ago is forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: dict[Due, _Failures] = {}
        self._answered = 0

    def answered(self, due: Due) -> None:
        """Take note that Admin told what it knows of *due*."""
        self._answered += 1
        self.forget(due)

    def given_up(self, due: Due) -> bool:
        """Take note that *due* failed; return whether it is not worth another try."""
        times, answered = self._failures.pop(due, _Failures(0, -1))
        if answered != self._answered:
            times += 1
        self._failures[due] = _Failures(times, self._answered)
        if len(self._failures) > self._most:
            del self._failures[next(iter(self._failures))]
        return times >= _TRIES

    def forget(self, due: Due) -> None:
        """Take note that *due* is over."""
        self._failures.pop(due, None)
