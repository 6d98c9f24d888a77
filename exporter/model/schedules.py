"""When a launch plan is to run, as it declares it."""

from datetime import timedelta
from typing import NamedTuple

from exporter.model.time import EPOCH, Micros, format_duration, parse_duration


class Cron(NamedTuple):
    """By a cron expression, in Flyte's own dialect and as it was written."""

    expression: str

    def __str__(self) -> str:
        return self.expression


class Rate(NamedTuple):
    """Again and again, a fixed time after the last time."""

    period: timedelta

    def __str__(self) -> str:
        return f"{_EVERY}{format_duration(self.period)}"


Schedule = Cron | Rate

_EVERY = "every "


def parse_schedule(text: str) -> Schedule | None:
    """Read a schedule as `str` writes it; None for the empty text."""
    if text.startswith(_EVERY):
        return Rate(parse_duration(text.removeprefix(_EVERY)))
    return Cron(text) if text else None


class Timetable(NamedTuple):
    """How an active launch plan is to run."""

    schedule: Schedule
    at_once: int | None = None
    """While so many run, its concurrency policy has the scheduler skip a slot; None without one."""
    since: Micros = EPOCH
    """When the launch plan was first seen active; another time after each activation."""


class ScheduledRun(NamedTuple):
    """A run that was launched for a slot."""

    slot: Micros
    created_at: Micros
    """Long after the slot when the scheduler catches up on what it had not seen to."""


class Span(NamedTuple):
    """A time during which an execution ran, both ends included."""

    start: Micros
    end: Micros


class ScheduleState(NamedTuple):
    """
    What is known of how a launch plan keeps its schedule.

    `track.schedules` makes it, and `track.verdicts` judges the slots. Those up to `judged` have
    their verdict and will get no other. Of what came later, as much is kept as their verdicts need.
    """

    last_run: Micros | None = None
    """The newest slot that a run was launched for."""
    schedule: str = ""
    """The schedule whose slots are judged, as text; empty while none is known."""
    exclusive: bool = False
    """Whether a slot may be skipped because others run."""
    since: Micros = EPOCH
    """No slot up to here is judged: nobody knows whether the scheduler knew of it."""
    judged: Micros = EPOCH
    """The newest slot with a verdict, or `since`. Of a fixed rate, the next ones count from it."""
    passed: Micros = EPOCH
    """The newest slot that is overdue by the grace time, or `since`; cron only."""
    last_due: Micros | None = None
    """The newest slot that was found to have run or to be missed."""
    runs: tuple[ScheduledRun, ...] = ()
    """Runs for, or launched after, slots not judged yet; of an hour where one of these has none."""
    busy: tuple[Span, ...] = ()
    """Executions, over by now, that ran later than the newest verdict."""


class Judgement(NamedTuple):
    """What became of a launch plan's slots when its schedule was looked at."""

    state: ScheduleState
    """What is known now."""
    missed: int = 0
    """Slots found to be missed."""
    skipped: int = 0
    """Slots found to be skipped."""
    last_due: Micros | None = None
    """The newest slot, overdue by the grace time, that nothing excuses."""
    next_due: Micros | None = None
    """The next slot."""
    again_at: Micros | None = None
    """When time alone will have changed any of this; None when it never will."""
