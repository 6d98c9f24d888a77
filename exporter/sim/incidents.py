"""
What goes wrong, when, and for how long: `failure-spike@2m+5m`, counted from the start.

Each is a nuisance that a real Flyte Admin has, so a demo can show it and a test can survive it.
"""

import difflib
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from exporter.model.time import Micros, format_duration, micros, parse_duration


class Trouble(StrEnum):
    """The kinds of incident, by the names a person types."""

    FAILURE_SPIKE = "failure-spike"
    """Most executions that end, fail."""
    STUCK = "stuck"
    """Executions stop moving, then catch up."""
    SCHEDULER_SILENCE = "scheduler-silence"
    """The scheduler is down: slots are missed, and caught up on beside later ones after it."""
    ADMIN_SLOW = "admin-slow"
    """Every call takes seconds."""
    ADMIN_UNAVAILABLE = "admin-unavailable"
    """Every call is UNAVAILABLE."""
    ADMIN_UNKNOWN = "admin-unknown"
    """A share of calls ends in an UNKNOWN database fault."""
    ADMIN_HANG = "admin-hang"
    """No call is answered before the client gives up."""
    ADMIN_PANIC = "admin-panic"
    """Every call that gets as far as Admin has it panic: INTERNAL, without a text."""
    THROTTLED = "throttled"
    """A proxy refuses every call as one too many: RESOURCE_EXHAUSTED."""
    PROXY_DENIED = "proxy-denied"
    """A proxy forbids every call: PERMISSION_DENIED."""
    TOKENS_REVOKED = "tokens-revoked"
    """At its start, all access tokens become worthless; new ones are good."""
    IDENTITY_DOWN = "identity-down"
    """No new access tokens are to be had; the old ones are good until they expire."""
    PAGE_SHIFT = "page-shift"
    """Rows leave and come between two pages of one list."""
    LATE_ROWS = "late-rows"
    """Rows appear up to 30 s after their created_at, out of order."""
    ARCHIVED_ROWS = "archived-rows"
    """Executions are archived the moment they end."""
    DELETED_ROWS = "deleted-rows"
    """Old rows, and a few live ones, are deleted."""
    CLOCK_SKEW = "clock-skew"
    """Propeller's clock is behind Admin's: executions start before they were created."""
    FUTURE_ROW = "future-row"
    """One row is dated a day ahead."""
    OVERSIZED_PAGE = "oversized-page"
    """Rows are so large that a page of 500 exceeds what a client receives."""


OF_AUTHENTICATION = frozenset({Trouble.TOKENS_REVOKED, Trouble.IDENTITY_DOWN})
"""They concern nobody where no tokens are asked for."""


class Incident(NamedTuple):
    """One trouble and its window, relative to the start of the simulation."""

    trouble: Trouble
    starts_after: timedelta
    lasts: timedelta

    def __str__(self) -> str:
        """Return it as a person types it."""
        start, length = format_duration(self.starts_after), format_duration(self.lasts)
        return f"{self.trouble}@{start}+{length}"


class Window(NamedTuple):
    """One trouble on the wall clock."""

    trouble: Trouble
    since: Micros
    until: Micros


class Agenda:
    """All incidents of one simulation."""

    def __init__(self, incidents: Iterable[Incident], *, start: Micros) -> None:
        self.windows = tuple(
            Window(
                incident.trouble,
                Micros(start + micros(incident.starts_after)),
                Micros(start + micros(incident.starts_after + incident.lasts)),
            )
            for incident in incidents
        )

    def until(self, trouble: Trouble, now: Micros) -> Micros | None:
        """Return when *trouble* that is on at *now* ends; None when it is not on."""
        ends = [
            window.until
            for window in self.windows
            if window.trouble is trouble and window.since <= now < window.until
        ]
        return max(ends, default=None)

    def is_on(self, trouble: Trouble, now: Micros) -> bool:
        """Whether *trouble* is on at *now*."""
        return self.until(trouble, now) is not None


def parse_incident(text: str) -> Incident:
    """
    Read an incident such as `failure-spike@2m+5m`: name, start, length.

    Raises:
        ValueError: *text* is not one; the message says which part, and what would be.
    """
    name, at, window = text.partition("@")
    start, plus, length = window.partition("+")
    if not (at and plus):
        raise ValueError(f'expected an incident such as "failure-spike@2m+5m", got "{text}"')
    try:
        return Incident(_trouble(name), parse_duration(start), parse_duration(length))
    except ValueError as error:
        raise ValueError(f'incident "{text}": {error}') from error


def _trouble(name: str) -> Trouble:
    names = [trouble.value for trouble in Trouble]
    if name in names:
        return Trouble(name)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise ValueError(f'"{name}" is not known.{hint} Known are {", ".join(names)}.')
