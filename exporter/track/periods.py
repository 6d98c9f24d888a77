"""What a schedule comes to: its slots, and how long it is from one to the next at most."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from exporter.model.schedules import Cron, Rate, Schedule
from exporter.track.cron import CronError, Line, in_zone, parse

_DAYS = 28 * 365 + 7
"""After 28 years each date is on the same day of the week again, leap days included."""
_TWICE = (1 << 2 * _DAYS) - 1
_DAY = 24 * 60


def zoned(schedule: Schedule, local: str) -> Schedule:
    """Return *schedule* as a scheduler whose own zone is *local* reads it."""
    if isinstance(schedule, Rate):
        return schedule
    return Cron(in_zone(schedule.expression, local))


def slots_of(schedule: Schedule) -> Line | timedelta | None:
    """Return what the slots follow: a cron line or a period; None if nobody can read it."""
    if isinstance(schedule, Rate):
        return schedule.period if schedule.period > timedelta() else None
    try:
        return parse(schedule.expression)
    except CronError:
        return None


@lru_cache(maxsize=10_000)
def longest_period(schedule: Schedule) -> timedelta | None:
    """
    Return the longest time from one slot to the next, whenever that is; None if there are none.

    It is told by the clock that the slots go by. Where that is put forward or back, the real time
    may be longer: by an hour, or by a period where the slot itself is lost.
    """
    slots = slots_of(schedule)
    if slots is None or isinstance(slots, timedelta):
        return slots
    minutes, hours = sorted(slots.minutes), sorted(slots.hours)
    days = _longest_step(slots.days, slots.months, slots.weekdays, both=slots.both_days)
    if not (minutes and hours and days):
        return None
    to_next_hour = minutes[0] - minutes[-1]
    to_next_day = hours[0] * 60 - hours[-1] * 60 + to_next_hour
    gaps = [later - sooner for sooner, later in pairwise(minutes)]
    gaps += [(later - sooner) * 60 + to_next_hour for sooner, later in pairwise(hours)]
    return timedelta(minutes=max([*gaps, days * _DAY + to_next_day]))


class _Calendar(NamedTuple):
    """Which days are of a kind: a number each, with a bit for every day of `_DAYS`."""

    days: defaultdict[int, int]
    months: defaultdict[int, int]
    weekdays: defaultdict[int, int]


@cache
def _calendar() -> _Calendar:
    found = _Calendar(defaultdict(int), defaultdict(int), defaultdict(int))
    first = date(2001, 1, 1)
    for number in range(_DAYS):
        day, bit = first + timedelta(days=number), 1 << number
        found.days[day.day] |= bit
        found.months[day.month] |= bit
        found.weekdays[day.isoweekday() % 7] |= bit
    return found


@lru_cache(maxsize=1_000)
def _longest_step(
    days: frozenset[int], months: frozenset[int], weekdays: frozenset[int], *, both: bool
) -> int:
    """Return how many days it is at most from one that matches to the next; 0 if none does."""
    calendar = _calendar()
    by_month, by_week = _any(calendar.days, days), _any(calendar.weekdays, weekdays)
    matching = (by_month & by_week) if both else (by_month | by_week)
    matching &= _any(calendar.months, months)
    if not matching:
        return 0
    # Twice, because after the last day comes the first.
    idle = ~(matching | matching << _DAYS) & _TWICE
    step = 1
    while idle:
        # Takes a day off each run of days without a slot.
        idle &= idle << 1
        step += 1
    return step


def _any(kinds: Mapping[int, int], values: Iterable[int]) -> int:
    # No day is of two kinds, so that a sum is what any of them has.
    return sum(kinds[value] for value in values)
