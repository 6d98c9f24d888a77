"""What a schedule comes to: its slots, and how long it is from one to the next at most."""

from datetime import timedelta

from exporter.model.schedules import Rate, Schedule
from exporter.model.time import Micros, micros
from exporter.track.cron import CronError, Line, parse

_GAPS = 13
_GAPS_WITHIN = micros(timedelta(days=8))


def slots_of(schedule: Schedule) -> Line | timedelta | None:
    """Return what the slots follow: a cron line or a period; None if nobody can read it."""
    if isinstance(schedule, Rate):
        return schedule.period if schedule.period > timedelta() else None
    try:
        return parse(schedule.expression)
    except CronError:
        return None


def longest_period(schedule: Schedule, now: Micros) -> timedelta | None:
    """
    Return the longest time between two of the next slots; None if there are none.

    Looks at a week at least and at a dozen days with slots at least, so at each weekend and each
    month's end; all days with slots are alike, so a slot a minute costs no more than one a day.
    """
    slots = slots_of(schedule)
    if slots is None or isinstance(slots, timedelta):
        return slots
    slot, longest, gaps = slots.after(now), 0, 0
    if slot is not None:
        longest = micros(slots.longest_gap_of_day())
    while slot is not None and (gaps < _GAPS or slot < now + _GAPS_WITHIN):
        last = slots.last_of_day(slot)
        following = slots.after(last)
        if following is not None:
            longest = max(longest, following - last)
        slot, gaps = following, gaps + 1
    return timedelta(microseconds=longest) if longest else None
