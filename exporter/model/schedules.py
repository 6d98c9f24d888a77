"""When a launch plan is to run, as it declares it."""

from datetime import timedelta
from typing import NamedTuple

from exporter.model.time import format_duration, parse_duration


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
