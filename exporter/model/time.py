"""
Instants are whole microseconds since the Unix epoch, UTC; lengths of time are `timedelta`.

Microseconds because that is Admin's own precision: its columns hold them, so a cursor made of
them compares exactly, where a float of seconds would round and a row on the boundary would be
lost or read twice.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NewType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Micros = NewType("Micros", int)
"""An instant: microseconds since 1970-01-01T00:00:00Z."""

EPOCH = Micros(0)
"""1970-01-01T00:00:00Z, where instants begin."""

SECOND = 1_000_000
"""Microseconds in a second."""

_DATETIME_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def micros(length: timedelta) -> int:
    """Return *length* in whole microseconds."""
    return length // _MICROSECOND


def earlier(instant: Micros, by: timedelta) -> Micros:
    """Return the instant that was *by* before *instant*, or where instants begin."""
    return Micros(max(EPOCH, instant - micros(by)))


def from_datetime(moment: datetime) -> Micros:
    """
    Return the instant of an aware *moment*.

    Raises:
        ValueError: *moment* has no timezone, so nobody can say which instant it is.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no timezone")
    return Micros((moment - _DATETIME_EPOCH) // _MICROSECOND)


def time_zone(name: str) -> tzinfo:
    """
    Return the time zone that IANA calls *name*.

    Raises:
        ValueError: There is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def to_datetime(instant: Micros) -> datetime:
    """Return *instant* as an aware UTC datetime."""
    return _DATETIME_EPOCH + timedelta(microseconds=instant)


def seconds(instant: Micros) -> float:
    """Return *instant* as Prometheus wants it: float seconds since the epoch."""
    return instant / SECOND


def rfc3339(instant: Micros) -> str:
    """
    Return *instant* as RFC 3339 text with microseconds and a `Z`.

    Admin's filters split on `+`, so an offset such as `+00:00` cannot be sent, and PostgreSQL
    rounds finer digits than it stores: exactly six are always given.
    """
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_duration(text: str) -> timedelta:
    """
    Read a duration such as `30s`, `1h30m`, `250ms` or `2d`, the way Prometheus writes them.

    Raises:
        ValueError: *text* is not one; the message says what was found.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f'expected a duration such as "30s" or "1h30m", got "{text}"')
    total = timedelta()
    for number, unit in _PART.findall(text):
        total += float(number) * _UNITS[unit]
    return total


def format_duration(length: timedelta) -> str:
    """Return *length* as `parse_duration` reads it, largest units first: `1h30m`, `0s`."""
    rest = micros(length)
    parts = []
    for unit in ("w", "d", "h", "m", "s", "ms"):
        size = micros(_UNITS[unit])
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
