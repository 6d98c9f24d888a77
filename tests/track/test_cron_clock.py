"""
Cron lines have their slots when a clock on the wall shows what they say.

That clock is the standard library's, looked at minute by minute: it knows nothing of how Flyte's
scheduler searches for a slot.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.time import from_datetime
from exporter.track.cron import Line, parse

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_MANY = 200
"""Slots that are compared."""

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = {
    3: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    4: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}


@st.composite
def terms(draw: st.DrawFn, place: int) -> tuple[str, frozenset[int], bool]:
    """Return one term of a field: its text, its values, and whether it is a star."""
    first, last = _FIELDS[place]
    low = draw(st.integers(first, last))
    high = draw(st.integers(low, last))
    step = draw(st.integers(1, last))
    match draw(st.sampled_from(["star", "star-step", "one", "range", "range-step", "one-step"])):
        case "star":
            return draw(st.sampled_from("*?")), frozenset(range(first, last + 1)), True
        case "star-step":
            return f"*/{step}", frozenset(range(first, last + 1, step)), step == 1
        case "one":
            names = _NAMES.get(place)
            text = draw(st.sampled_from([str(low), names[low - first]])) if names else str(low)
            return text, frozenset({low}), False
        case "range":
            return f"{low}-{high}", frozenset(range(low, high + 1)), False
        case "range-step":
            return f"{low}-{high}/{step}", frozenset(range(low, high + 1, step)), False
        case _:
            return f"{low}/{step}", frozenset(range(low, last + 1, step)), False


class Wall(NamedTuple):
    """A line, and what it says to somebody who looks at a clock on the wall."""

    text: str
    fields: Sequence[AbstractSet[int]]
    both_days: bool
    """Whether a day must match by month and by week."""

    def names(self, shown: datetime) -> bool:
        """Whether the clock shows a time that the line names."""
        minutes, hours, days, months, weekdays = self.fields
        by_month, by_week = shown.day in days, shown.isoweekday() % 7 in weekdays
        return (
            shown.minute in minutes
            and shown.hour in hours
            and shown.month in months
            and ((by_month and by_week) if self.both_days else (by_month or by_week))
        )


@st.composite
def lines(draw: st.DrawFn) -> Wall:
    """Return a line with anything in its fields."""
    fields = [draw(st.lists(terms(place), min_size=1, max_size=2)) for place in range(5)]
    text = " ".join(",".join(term for term, _, _ in field) for field in fields)
    values = [frozenset[int]().union(*(found for _, found, _ in field)) for field in fields]
    both_days = any(star for place in (2, 4) for _, _, star in fields[place])
    return Wall(text, values, both_days)


def compare(line: Wall, zone: str, start: datetime) -> None:
    """
    Hold the slots after *start* against a clock in *zone*, minute by minute.

    They are the minutes at which it shows what the line says: for a day and a half, or for so many.
    """
    found = parse(f"CRON_TZ={zone} {line.text}" if zone else line.text)
    assert isinstance(found, Line)
    clock = ZoneInfo(zone or "UTC")
    at = start.replace(second=0)
    expected = []
    for _ in range(36 * 60):
        at += _MINUTE
        if line.names(at.astimezone(clock)):
            expected.append(from_datetime(at))
            if len(expected) == _MANY:
                break
    slot = from_datetime(start)
    for one in expected:
        following = found.after(slot)
        assert following == one
        slot = one
    if len(expected) < _MANY:
        following = found.after(slot)
        assert following is None or following > from_datetime(at)


@given(
    lines(),
    st.sampled_from(["", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"]),
    st.sampled_from(
        [
            datetime(2026, 9, 1, 11, 30, tzinfo=UTC),
            datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2027, 12, 31, 12, tzinfo=UTC),
            datetime(2028, 2, 28, 23, 59, tzinfo=UTC),
        ]
    ),
)
def test_a_clock_on_the_wall_agrees(line: Wall, zone: str, start: datetime) -> None:
    """Whatever is written in the fields of a line."""
    compare(line, zone, start)


_ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "America/St_Johns",
    "Asia/Jerusalem",
    "Australia/Adelaide",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "Pacific/Auckland",
)
"""
Whose clocks are put forward and back by an hour, and never at midnight.

Elsewhere the scheduler loses slots that a clock on the wall has, and the vectors have those.
"""


@cache
def changes(zone: str) -> Sequence[datetime]:
    """Return the full hours at which clocks in *zone* are put forward or back, in three years."""
    clock = ZoneInfo(zone)
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + n * _HOUR for n in range(3 * 365 * 24)]
    days = [hours[n : n + 25] for n in range(0, len(hours), 24)]
    return [
        after
        for day in days
        if day[0].astimezone(clock).utcoffset() != day[-1].astimezone(clock).utcoffset()
        for before, after in pairwise(day)
        if before.astimezone(clock).utcoffset() != after.astimezone(clock).utcoffset()
    ]


@st.composite
def around_changes(draw: st.DrawFn) -> tuple[Wall, str, datetime]:
    """
    Return a line, its zone and a start, all within hours of a change of the clock.

    Each line has a slot there, and often others, at that hour or at those beside it.
    """
    zone = draw(st.sampled_from(_ZONES))
    change = draw(st.sampled_from(changes(zone)))
    slot = change + draw(st.integers(-90, 89)) * _MINUTE
    start = slot - draw(st.integers(1, 90 * 60)) * timedelta(seconds=1)
    shown = slot.astimezone(ZoneInfo(zone))
    near = shown + draw(st.integers(-3, 3)) * _HOUR
    values = (
        {shown.minute, *draw(st.lists(st.integers(0, 59), max_size=2))},
        {shown.hour, *draw(st.sampled_from([(), (near.hour,)]))},
        {shown.day, near.day},
        {shown.month},
        {shown.isoweekday() % 7},
    )
    stars = [draw(st.integers(0, 9)) < often for often in (1, 1, 6, 7, 6)]
    fields = [
        ("*", frozenset(range(first, last + 1)))
        if star
        else (",".join(map(str, sorted(found))), found)
        for star, found, (first, last) in zip(stars, values, _FIELDS, strict=True)
    ]
    text = " ".join(written for written, _ in fields)
    line = Wall(text, [found for _, found in fields], stars[2] or stars[4])
    return line, zone, start


@settings(max_examples=400, deadline=None)
@given(around_changes())
def test_a_clock_on_the_wall_agrees_when_it_is_changed(
    around: tuple[Wall, str, datetime],
) -> None:
    """What it does not show does not happen, and what it shows twice happens twice."""
    compare(*around)
