"""What is known of a launch plan beyond its counters. No I/O, no protobuf."""

from datetime import timedelta
from typing import NamedTuple, Protocol

from exporter.model.schedules import Schedule
from exporter.model.targets import Target
from exporter.model.time import EPOCH, Micros, micros

SHOWN_FOR = timedelta(days=14)
"""How long a launch plan that nobody expects to run is shown after its last run."""

KEPT_FOR = timedelta(days=35)
"""How long its state is kept for a run that may yet come: as long as its counters."""


class ActivePlan(NamedTuple):
    """The active version of a launch plan; of each name, there is one at most."""

    name: str
    version: str
    workflow: str
    """Name of the workflow that it runs."""
    schedule: Schedule | None
    """When Flyte's scheduler is to run it; None when only others do."""
    at_once: int | None = None
    """While so many run, its concurrency policy has the scheduler skip a slot; None without one."""

    @property
    def owed(self) -> Schedule | None:
        """The schedule for whose slots runs are due: none where its policy lets none run at all."""
        return self.schedule if self.at_once != 0 else None


class Activation(NamedTuple):
    """An active launch plan and its history."""

    plan: ActivePlan
    since: Micros
    """
    When it was first seen active, whatever its version was then. Our clock.

    Admin does not tell when that really was: activation leaves no date.
    """


class Run(NamedTuple):
    """An execution that is over and whose duration is known."""

    ended_at: Micros
    lasted: int
    """Microseconds."""


class PlanState(NamedTuple):
    """
    How the last root executions of one launch plan went.

    Every field keeps the newest by end time, or the newest few, of all that was ever seen. So it
    does not matter in which order ends become known, and what is kept is bounded. `track.plans`
    makes states and reads them.
    """

    ended_at: Micros = EPOCH
    """When the newest execution ended, whichever way."""
    succeeded_at: Micros | None = None
    """When the newest success ended."""
    failed_at: Micros | None = None
    """When the newest failure ended; timing out is failing."""
    newest: Run | None = None
    """The newest success or failure whose duration is known."""
    failures: tuple[Micros, ...] = ()
    """Ends of the newest failures after the newest success, in order."""
    successes: tuple[Run, ...] = ()
    """
    The newest successes, in order.

    Recent ones rather than a sketch of all: a launch plan changes with its code and its data, and
    what it took in spring says nothing about autumn, where a sketch would have to be made to
    forget. A few dozen numbers are small, exact, and the same in whichever order they came.
    """

    @property
    def has_outcome(self) -> bool:
        """Whether a success or a failure is known: an abort is neither."""
        return self.succeeded_at is not None or self.failed_at is not None


class Norms(NamedTuple):
    """What is asked of a launch plan, as far as somebody said it."""

    expected_duration: timedelta | None = None
    """As configured."""
    freshness: timedelta | None = None
    """As configured."""
    period: timedelta | None = None
    """The time between two runs of its schedule."""


class Standing(NamedTuple):
    """What is shown of a launch plan; what is unknown is None."""

    succeeded_at: Micros | None
    failed_at: Micros | None
    last_duration: timedelta | None
    consecutive_failures: int | None
    expected_duration: timedelta | None
    freshness_limit: timedelta | None


class PlanFacts(Protocol):
    """What discovery knows of launch plans, by the names that they have on /metrics."""

    def is_listed(self, target: Target, /) -> bool:
        """Whether it is known at all which launch plans of *target* are active."""

    def is_active(self, target: Target, launch_plan: str, /) -> bool:
        """Whether a version of the launch plan is active."""

    def is_scheduled(self, target: Target, launch_plan: str, /) -> bool:
        """Whether Flyte runs the launch plan by itself."""

    def period(self, target: Target, launch_plan: str, /) -> timedelta | None:
        """Return the longest time between two runs by its schedule; None where there is none."""


class NoPlanFacts:
    """What is known before anything was discovered."""

    def is_listed(self, _target: Target, /) -> bool:
        """Return False."""
        return False

    def is_active(self, _target: Target, _launch_plan: str, /) -> bool:
        """Return False."""
        return False

    def is_scheduled(self, _target: Target, _launch_plan: str, /) -> bool:
        """Return False."""
        return False

    def period(self, _target: Target, _launch_plan: str, /) -> timedelta | None:
        """Return None."""
        return None


def oldest_deactivation(now: Micros) -> Micros:
    """Return since when a launch plan may be off and still be known for it, without a state."""
    return Micros(now - micros(KEPT_FOR))
