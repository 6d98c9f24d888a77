"""How long a schedule leaves between two runs, weekends and ends of months included."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.schedules import Cron, Rate, Schedule
from exporter.model.time import Micros
from exporter.track.cron import Line, parse
from exporter.track.periods import longest_period
from tests.rows import at


@pytest.mark.parametrize(
    ("schedule", "longest"),
    [
        (Rate(timedelta(hours=3)), timedelta(hours=3)),
        (Cron("@every 90m"), timedelta(minutes=90)),
        (Cron("0 2 * * *"), timedelta(days=1)),
        (Cron("0 9 * * MON-FRI"), timedelta(days=3)),
        (Cron("*/5 9-17 * * 1-5"), timedelta(days=2, hours=15, minutes=5)),
        (Cron("0 0 1 * *"), timedelta(days=31)),
        (Cron("0 0 30 2 *"), None),
        (Cron("nonsense"), None),
    ],
)
def test_the_longest_period(schedule: Schedule, longest: timedelta | None) -> None:
    """What a weekend or a long month makes of a schedule, for whoever derives a limit from it."""
    assert longest_period(schedule, at("09-01 00:00")) == longest


@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 23), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True),
)
def test_the_longest_period_is_that_of_all_slots(
    minutes: list[int], hours: list[int], weekdays: list[int]
) -> None:
    """Two weeks of slots, one after the other, have no longer gap, and one as long."""
    fields = (",".join(map(str, field)) for field in (minutes, hours, weekdays))
    expression = "{} {} * * {}".format(*fields)
    line = parse(expression)
    assert isinstance(line, Line)
    times = [at("09-01 00:00")]
    while times[-1] < at("09-16 00:00"):
        following = line.after(times[-1])
        assert following is not None
        times.append(following)
    longest = max(later - sooner for sooner, later in pairwise(times[1:]))
    assert longest_period(Cron(expression), times[0]) == timedelta(microseconds=longest)


def test_a_slot_a_minute_is_no_more_work_than_one_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """What freshness follows from is worked out between two breaths of the event loop."""
    searches = 0
    after = Line.after

    def counted(line: Line, instant: Micros) -> Micros | None:
        nonlocal searches
        searches += 1
        return after(line, instant)

    monkeypatch.setattr(Line, "after", counted)
    assert longest_period(Cron("* * * * *"), at("09-01 00:00")) == timedelta(minutes=1)
    assert searches < 20
