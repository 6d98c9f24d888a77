"""Instants and lengths of time survive being written down."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.time import (
    EPOCH,
    Micros,
    format_duration,
    from_datetime,
    micros,
    parse_duration,
    rfc3339,
    seconds,
    to_datetime,
)

_MOMENTS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001  # hypothesis wants its bounds naive
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))),
)


@given(_MOMENTS)
def test_an_instant_is_the_same_moment_in_any_zone(moment: datetime) -> None:
    """Nothing is lost on the way there and back, and the way back leads to UTC."""
    back = to_datetime(from_datetime(moment))
    assert back == moment
    assert back.tzinfo is UTC


@pytest.mark.parametrize("moment", [datetime(2026, 7, 1), datetime.min])  # noqa: DTZ001, DTZ901  # the point
def test_a_naive_datetime_is_refused(moment: datetime) -> None:
    """Without a timezone nobody can say which instant is meant."""
    with pytest.raises(ValueError, match=rf"^{moment.isoformat()} has no timezone$"):
        from_datetime(moment)


@given(_MOMENTS)
def test_a_written_instant_is_the_same_instant(moment: datetime) -> None:
    """RFC 3339 text gives every microsecond back, always in six digits and with a Z."""
    instant = from_datetime(moment)
    written = rfc3339(instant)
    assert from_datetime(datetime.fromisoformat(written)) == instant
    assert len(written) == len("2026-07-01T12:00:00.000000Z")
    assert written.endswith("Z")


@given(st.lists(_MOMENTS, min_size=2, max_size=2))
def test_written_instants_sort_as_the_instants_do(moments: list[datetime]) -> None:
    """The text is of one width, so comparing it compares time."""
    one, other = map(from_datetime, moments)
    assert (rfc3339(one) < rfc3339(other)) is (one < other)


def test_no_fraction_is_still_written_in_six_digits() -> None:
    """Whole seconds carry their zeros: Admin's filter must see microseconds."""
    assert rfc3339(EPOCH) == "1970-01-01T00:00:00.000000Z"


def test_prometheus_is_given_seconds() -> None:
    """A sample's value is seconds, with the fraction."""
    assert seconds(Micros(1_500_000)) == 1.5


@given(st.timedeltas(timedelta(0), timedelta(weeks=5200)))
def test_a_duration_is_read_as_it_was_written(length: timedelta) -> None:
    """To the millisecond, which is the finest unit there is."""
    whole = timedelta(milliseconds=micros(length) // 1000)
    assert parse_duration(format_duration(whole)) == whole


@given(st.timedeltas(timedelta(0), timedelta(weeks=5200)))
def test_a_written_duration_is_as_short_as_can_be(length: timedelta) -> None:
    """What is read and written again comes back letter by letter."""
    written = format_duration(length)
    assert format_duration(parse_duration(written)) == written


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5h", timedelta(minutes=90)),
        ("2w1d", timedelta(days=15)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_as_prometheus_writes_them(text: str, length: timedelta) -> None:
    """Each unit and a sum of them is read."""
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "30", "30 s", "s", "-5s", "1h 30m", "30S", "1e3s", "5y"])
def test_what_is_no_duration_is_quoted(text: str) -> None:
    """The refusal shows what was found beside what was expected."""
    with pytest.raises(ValueError, match="expected a duration") as refused:
        parse_duration(text)
    assert str(refused.value) == f'expected a duration such as "30s" or "1h30m", got "{text}"'
