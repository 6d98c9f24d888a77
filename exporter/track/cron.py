"""
Cron lines as Flyte's scheduler reads them, and when each is due next.

The scheduler's parser is robfig/cron's `ParseStandard`, and its dialect is nobody else's: `?` is
`*`; `N/step` goes on to the end; 7 is no day of the week; day of month and day of week are an "or"
only where neither has a star, and `*/2` is none. What it makes of a clock that is put forward or
back is its own as well: a time that is skipped does not happen that day, one that comes twice
happens twice, and around a midnight or an hour that is not there it loses a slot. A slot that the
scheduler never sees is not missed by anybody, so all of that is followed here step by step; no
library for cron does. After noon of 28 March 2026 in Berlin, whose clocks go forward that night,
`30 2 * * *` is due on the 30th at 02:30 by robfig/cron 3.0.1, but on the 29th at 03:00 by croniter
7.0.0 and cronsim 2.8, and at 03:30 by APScheduler 3.11.3. After noon of 1 September 2026 in UTC,
`0 0 */2 * 1` is due on the 3rd by robfig/cron and croniter, on the 7th by cronsim, and on the 15th
by APScheduler.

Source: robfig/cron v3.0.1 `parser.go`, `spec.go`; Go `time.Date`, `time.ParseDuration`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from exporter.model.time import SECOND, Micros, from_datetime, time_zone

_EVERY = "@every "
_ZONE = re.compile(r"(?:CRON_)?TZ=")
_LOCAL = "Local"
"""The scheduler's own zone, by the name that Go has for it."""
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT64 = 2**63
_MINUTE = 60
_HOUR = 3600
_NOON = 12
_YEARS = 5
"""How far ahead the scheduler looks before it holds that a line is never due."""


class CronError(ValueError):
    """The scheduler cannot read a cron line; the text is what it says itself."""


class _Field(NamedTuple):
    """What one field of a line may hold."""

    first: int
    last: int
    names: Mapping[str, int]


def _numbered(names: str, first: int) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names.split(), start=first)}


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    _Field(0, 6, _numbered("sun mon tue wed thu fri sat", 0)),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Line:
    """
    A cron line that was understood.

    Attributes:
        both_days: Whether a day must match by month and by week; either will do where not.
        zone: Whose clock it goes by.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool
    zone: tzinfo

    def after(self, instant: Micros) -> Micros | None:
        """Return the first slot after *instant*; None if there is none in five years."""
        walk = _Walk(self, instant)
        limit = walk.at.year + _YEARS
        while walk.at.year <= limit:
            if walk.month() and walk.day() and walk.hour() and walk.minute() and walk.second():
                return from_datetime(walk.at)
        return None


@lru_cache(maxsize=10_000)
def parse(text: str) -> Line | timedelta:
    """
    Return what the scheduler makes of *text*: a line, or the period of an `@every`.

    Its own zone is taken to be UTC, as in its image; for one that has another, see `in_zone`.

    Raises:
        CronError: It cannot read it.
    """
    zone: tzinfo = UTC
    if not text:
        raise CronError("empty spec string")
    if prefix := _ZONE.match(text):
        name, blank, rest = text[prefix.end() :].partition(" ")
        if not blank:
            raise CronError(f"nothing after the time zone {name}")
        zone, text = _zone(name), rest.strip()
    if text.startswith(_EVERY):
        return _period(text)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        found = f"found {len(fields)}: [{' '.join(fields)}]"
        raise CronError(f"expected exactly {len(_FIELDS)} fields, {found}")
    minutes, hours, days, months, weekdays = map(_values, fields, _FIELDS)
    return Line(
        minutes=minutes.allowed,
        hours=hours.allowed,
        days=days.allowed,
        months=months.allowed,
        weekdays=weekdays.allowed,
        both_days=days.star or weekdays.star,
        zone=zone,
    )


def in_zone(text: str, local: str) -> str:
    """
    Return *text* with the zone written out in which a scheduler reads it whose own is *local*.

    A line that names a zone, and an `@every`, which needs none, stand as they are; so does any
    line where *local* is UTC, in which `parse` reads what names no zone.
    """
    name, rest = _LOCAL, text
    if prefix := _ZONE.match(text):
        name, _, rest = text[prefix.end() :].partition(" ")
    if local == "UTC" or name != _LOCAL or rest.lstrip().startswith(_EVERY):
        return text
    return f"CRON_TZ={local} {rest}"


def _zone(name: str) -> tzinfo:
    # Go calls UTC by the empty name, too.
    if name in {"", _LOCAL}:
        return UTC
    try:
        return time_zone(name)
    except ValueError as error:
        raise CronError(f"provided bad location {name}: {error}") from error


def _period(text: str) -> timedelta:
    length = text.removeprefix(_EVERY)
    rest, sign = length, 1
    if rest[:1] in {"+", "-"}:
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    total = 0.0
    while rest != "0":
        part = _DURATION_PART.match(rest)
        fault = ""
        if part is None:
            fault = f'invalid duration "{length}"'
        elif not part[2]:
            fault = f'missing unit in duration "{length}"'
        elif part[2] not in _NANOSECONDS:
            fault = f'unknown unit "{part[2]}" in duration "{length}"'
        if part is None or fault:
            raise CronError(f"failed to parse duration {text}: time: {fault}")
        total += float(part[1]) * _NANOSECONDS[part[2]]
        rest = rest[part.end() :]
        if not rest:
            break
    # Whole seconds, and at least one.
    return timedelta(seconds=max(1, int(sign * total // 1_000_000_000)))


class _Values(NamedTuple):
    """What a field allows, and whether by a star."""

    allowed: frozenset[int]
    star: bool


def _values(field: str, allowed: _Field) -> _Values:
    found: set[int] = set()
    star = False
    for expression in filter(None, field.split(",")):
        values = _range(expression, allowed)
        found.update(values)
        # A star with a step is none, unless it steps by one.
        star = star or (expression[0] in "*?" and values.step == 1)
    return _Values(frozenset(found), star)


def _range(expression: str, allowed: _Field) -> range:
    bounds, *steps = expression.split("/")
    first, last = _bounds(expression, bounds.split("-"), allowed)
    step = 1
    if len(steps) > 1:
        raise CronError(f"too many slashes: {expression}")
    if steps:
        step = _number(steps[0])
        # N/step goes on to the end.
        last = last if "-" in bounds else allowed.last
    if first < allowed.first:
        fault = f"beginning of range ({first}) below minimum ({allowed.first})"
    elif last > allowed.last:
        fault = f"end of range ({last}) above maximum ({allowed.last})"
    elif first > last:
        fault = f"beginning of range ({first}) beyond end of range ({last})"
    elif step == 0:
        fault = "step of range should be a positive number"
    else:
        return range(first, last + 1, step)
    raise CronError(f"{fault}: {expression}")


def _bounds(expression: str, ends: list[str], allowed: _Field) -> tuple[int, int]:
    if ends[0] in {"*", "?"}:
        return allowed.first, allowed.last
    first = _number(ends[0], allowed.names)
    if len(ends) > 2:  # noqa: PLR2004 - the two ends of a range
        raise CronError(f"too many hyphens: {expression}")
    return first, _number(ends[-1], allowed.names)


def _number(text: str, names: Mapping[str, int] | None = None) -> int:
    if names and (named := names.get(text.lower())) is not None:
        return named
    if not _INTEGER.fullmatch(text):
        raise CronError(
            f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
        )
    number = int(text)
    if not -_INT64 <= number < _INT64:
        fault = "value out of range"
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": {fault}')
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number


class _Walk:
    """
    The scheduler's search for the next slot, from one unit of the calendar to the next smaller.

    Each step answers whether its unit matches; where it does not before the next larger unit
    changes, the search begins again from there.

    Attributes:
        at: How far it has come, by the line's clock.
    """

    def __init__(self, line: Line, instant: Micros) -> None:
        self._line = line
        self._begun = False
        self._seconds = instant // SECOND + 1
        self.at = datetime.fromtimestamp(self._seconds, line.zone)

    def month(self) -> bool:
        """Go on to a month that matches."""
        while self.at.month not in self._line.months:
            if not self._begun:
                self._set(day=1)
            self._set(months=1, day=self.at.day, hour=self.at.hour, minute=self.at.minute)
            if self.at.month == 1:
                return False
        return True

    def day(self) -> bool:
        """Go on to a day that matches."""
        while not self._is_day():
            if not self._begun:
                self._set(day=self.at.day)
            day = self.at.day + self._days_on()
            self._set(day=day, hour=self.at.hour, minute=self.at.minute)
            if self.at.hour > _NOON:
                self._add((24 - self.at.hour) * _HOUR)
            elif self.at.hour:
                self._add(-self.at.hour * _HOUR)
            if self.at.day == 1:
                return False
        return True

    def hour(self) -> bool:
        """Go on to an hour that matches."""
        while self.at.hour not in self._line.hours:
            if not self._begun:
                self._set(day=self.at.day, hour=self.at.hour)
            self._add(_HOUR)
            if self.at.hour == 0:
                return False
        return True

    def minute(self) -> bool:
        """Go on to a minute that matches."""
        while self.at.minute not in self._line.minutes:
            if not self._begun:
                self._begun = True
                self._add(-self.at.second)
            self._add(_MINUTE)
            if self.at.minute == 0:
                return False
        return True

    def second(self) -> bool:
        """Go on to a full minute."""
        if self.at.second == 0:
            return True
        self._begun = True
        self._add(_MINUTE - self.at.second)
        return False

    def _is_day(self, at: datetime | None = None) -> bool:
        at = at or self.at
        by_month = at.day in self._line.days
        by_week = at.isoweekday() % 7 in self._line.weekdays
        return (by_month and by_week) if self._line.both_days else (by_month or by_week)

    def _days_on(self) -> int:
        """Return in how many days to look again: at once at the right one, where days are alike."""
        days = 1
        while self._line.zone is UTC:
            at = self.at + timedelta(days=days)
            if at.day == 1 or self._is_day(at):
                break
            days += 1
        return days

    def _add(self, seconds: int) -> None:
        self._seconds += seconds
        self.at = datetime.fromtimestamp(self._seconds, self._line.zone)

    def _set(self, *, day: int, months: int = 0, hour: int = 0, minute: int = 0) -> None:
        """Go where Go's `time.Date` puts a date: it has its own way with times that are not."""
        self._begun = True
        years, month = divmod(self.at.month - 1 + months, 12)
        start = datetime(self.at.year + years, month + 1, 1, tzinfo=UTC)
        length = timedelta(days=day - 1, hours=hour, minutes=minute)
        clock = int((start + length).timestamp())
        zone = self._line.zone
        offset = _offset(clock - _offset(clock, zone), zone)
        self._seconds = clock - offset
        self.at = datetime.fromtimestamp(self._seconds, zone)


def _offset(seconds: int, zone: tzinfo) -> int:
    """Return how far *zone* is ahead of UTC, in seconds."""
    offset = datetime.fromtimestamp(seconds, zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
