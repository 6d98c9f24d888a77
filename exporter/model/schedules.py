"""When a launch plan is meant to run, and what is remembered of how it did."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from exporter.model.time import format_duration


@dataclass(frozen=True, slots=True)
class Cron:
    """Runs at the times of a cron line, in the dialect that `track.cron` reads."""

    expression: str

    def __str__(self) -> str:
        """Return it as a label shows it."""
        return self.expression


@dataclass(frozen=True, slots=True)
class Rate:
    """Runs one *period* after its activation, and then one period after each run."""

    period: timedelta

    def __str__(self) -> str:
        """Return it as a label shows it."""
        return f"every {format_duration(self.period)}"


Schedule: TypeAlias = Cron | Rate


class Timetable(NamedTuple):
    """
    How an active launch plan is meant to run.

    Attributes:
        exclusive: Whether its concurrency policy skips a run while others are active.
    """

    schedule: Schedule
    exclusive: bool = False
