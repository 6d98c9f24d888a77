"""How long a schedule leaves between two runs, weekends, months and seasons included."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model.schedules import Cron, Rate, Schedule
from exporter.model.time import Micros, from_datetime
from exporter.track.cron import Line, parse
from exporter.track.periods import longest_period, zoned

_FIRST = date(2001, 1, 1)
_CALENDAR = [_FIRST + timedelta(days=number) for number in range(33 * 365)]
"""28 years, after which all comes back, and as many more as may lie between two leap days."""
_SLOTS = 12
"""How many are looked up, one after the other."""


@pytest.mark.parametrize(
    ("schedule", "longest"),
    [
        (Rate(timedelta(hours=3)), timedelta(hours=3)),
        (Rate(timedelta()), None),
        (Cron("@every 90m"), timedelta(minutes=90)),
        (Cron("* * * * *"), timedelta(minutes=1)),
        (Cron("0 2 * * *"), timedelta(days=1)),
        (Cron("0 9 * * MON-FRI"), timedelta(days=3)),
        (Cron("*/5 9-17 * * 1-5"), timedelta(days=2, hours=15, minutes=5)),
        (Cron("0 0 1 * *"), timedelta(days=31)),
        (Cron("0 6 1-20 * *"), timedelta(days=12)),
        (Cron("0 6 1-15 * *"), timedelta(days=17)),
        (Cron("0 6 31 * *"), timedelta(days=61)),
        (Cron("0 6 * 1-6 *"), timedelta(days=185)),
        # From Tuesday, 25 January 2028, to 2 January: no other year before 2056 has as many days.
        (Cron("0 0 2 1 TUE"), timedelta(days=343)),
        (Cron("@yearly"), timedelta(days=366)),
        (Cron("0 0 29 2 *"), timedelta(days=1461)),
        (Cron("0 0 30 2 *"), None),
        (Cron("0 , * * *"), None),
        (Cron("nonsense"), None),
        (Cron("CRON_TZ=Europe/Berlin 30 2 * * *"), timedelta(days=1)),
    ],
)
def test_the_longest_period(schedule: Schedule, longest: timedelta | None) -> None:
    """What the calendar makes of a schedule, for whoever derives a limit from it."""
    assert longest_period(schedule) == longest


def field(first: int, last: int, most: int) -> st.SearchStrategy[frozenset[int]]:
    """Return what a field allows: all of it, or up to *most* values."""
    every = frozenset(range(first, last + 1))
    return st.just(every) | st.frozensets(st.sampled_from(sorted(every)), min_size=1, max_size=most)


@given(
    st.tuples(
        st.frozensets(st.integers(0, 59), min_size=1, max_size=3),
        st.frozensets(st.integers(0, 23), min_size=1, max_size=2),
        field(1, 31, 31),
        field(1, 12, 12),
        field(0, 6, 7),
    ),
    st.dates(date(2001, 1, 1), date(2095, 1, 1)),
)
@example(tuple(map(frozenset, ([0], [6], [29], [2], range(7)))), date(2026, 11, 10))
@example(tuple(map(frozenset, ([0], [6], range(1, 32), [2], [1]))), date(2026, 11, 10))
@example(tuple(map(frozenset, ([0], [6], range(1, 16), range(1, 13), range(7)))), _FIRST)
def test_the_longest_period_is_that_of_all_slots(
    values: tuple[frozenset[int], ...], start: date
) -> None:
    """In decades no two are further apart, and two are so far; from any day on it is no more."""
    minutes, hours, days, months, weekdays = values
    every_day, every_weekday = len(days) == 31, len(weekdays) == 7
    fields = [
        ",".join(map(str, minutes)),
        ",".join(map(str, hours)),
        "*" if every_day else ",".join(map(str, days)),
        ",".join(map(str, months)),
        "*" if every_weekday else ",".join(map(str, weekdays)),
    ]
    either = not (every_day or every_weekday)
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    slots = [
        day.toordinal() * 24 * 60 + time
        for day in _CALENDAR
        if day.month in months
        and (
            (day.day in days or day.isoweekday() % 7 in weekdays)
            if either
            else (day.day in days and day.isoweekday() % 7 in weekdays)
        )
        for time in times
    ]
    longest = longest_period(Cron(" ".join(fields)))
    if not slots:
        assert longest is None
        return
    assert longest == timedelta(minutes=max(later - sooner for sooner, later in pairwise(slots)))
    line = parse(" ".join(fields))
    assert isinstance(line, Line)
    found: list[Micros] = []
    at: Micros | None = from_datetime(datetime(start.year, start.month, start.day, tzinfo=UTC))
    while len(found) < _SLOTS and at is not None and (at := line.after(at)) is not None:
        found.append(at)
    assert found
    for sooner, later in pairwise(found):
        assert timedelta(microseconds=later - sooner) <= longest


def test_a_scheduler_of_another_zone_reads_cron_lines_in_it() -> None:
    """A fixed rate goes by no clock on a wall."""
    rate = Rate(timedelta(days=1))
    assert zoned(rate, "Europe/Berlin") == rate
    assert zoned(Cron("@daily"), "Europe/Berlin") == Cron("CRON_TZ=Europe/Berlin @daily")
    assert zoned(Cron("@daily"), "UTC") == Cron("@daily")
