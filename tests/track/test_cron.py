"""Cron lines mean what Flyte's scheduler takes them to mean, to the second, changes of the clock
included.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.time import SECOND, Micros, from_datetime
from exporter.track.cron import CronError, Line, in_zone, parse
from tests.rows import at

_VECTORS = [
    line.split("\t")
    for line in (Path(__file__).parent / "testdata" / "robfig-cron-3.0.1.tsv")
    .read_text(encoding="utf-8")
    .splitlines()
    if not line.startswith("#")
]
_MINUTE = timedelta(minutes=1)
_MANY = 200
"""Slots that are compared with a clock on the wall."""


def slots(line: str, start: Micros, count: int) -> list[str]:
    """Return the first *count* slots after *start* in seconds, as the vectors have them."""
    found = parse(line)
    if isinstance(found, timedelta):
        return [
            str(start // SECOND + (n + 1) * (found // timedelta(seconds=1))) for n in range(count)
        ]
    result: list[str] = []
    at = start
    while len(result) < count and (following := found.after(at)) is not None:
        at = following
        result.append(str(at // SECOND))
    return result if len(result) == count else [*result, "never"]


def test_the_schedulers_own_parser_agrees() -> None:
    """On each of its rules, and through every change of the clock, it has the same slots."""
    wrong = []
    read = 0
    for line, start, expected in _VECTORS:
        if start in {"invalid", "panic"}:
            continue
        read += 1
        found = slots(line, Micros(int(start) * SECOND), 5)
        if found != expected.split():
            wrong.append((line, start, found, expected))
    assert wrong == []
    assert read > 800


@pytest.mark.parametrize(
    ("line", "after", "due"),
    [
        ("CRON_TZ=Europe/Berlin 30 2 * * *", "03-28 11:00", "03-30 00:30"),
        ("0 0 */2 * 1", "09-01 12:00", "09-03 00:00"),
    ],
)
def test_where_libraries_disagree_the_scheduler_is_right(line: str, after: str, due: str) -> None:
    """The two examples that the module gives, as robfig/cron 3.0.1 has them; see there."""
    assert slots(line, at(after), 1) == [str(at(due) // SECOND)]


@pytest.mark.parametrize(
    ("line", "words"), [(line, words) for line, kind, words in _VECTORS if kind == "invalid"]
)
def test_what_the_scheduler_refuses_is_refused_in_its_words(line: str, words: str) -> None:
    """Whoever looks for the fault finds the same sentence here as in Admin's answer."""
    with pytest.raises(CronError) as refusal:
        parse(line)
    assert str(refusal.value) == words


def test_a_zone_with_nothing_after_it_is_refused() -> None:
    """The scheduler's parser panics there."""
    with pytest.raises(CronError, match="nothing after the time zone UTC"):
        parse("CRON_TZ=UTC")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/localtime", "America", "a\0b"])
def test_no_zone_is_a_path(name: str) -> None:
    """A launch plan's author cannot have files opened by the name of a zone."""
    with pytest.raises(CronError, match="unknown time zone"):
        parse(f"TZ={name} * * * * *")


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


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, list[frozenset[int]], bool]:
    """Return a line: its text, the values of its fields, and whether a day must match by both."""
    fields = [draw(st.lists(terms(place), min_size=1, max_size=2)) for place in range(5)]
    text = " ".join(",".join(term for term, _, _ in field) for field in fields)
    values = [frozenset[int]().union(*(found for _, found, _ in field)) for field in fields]
    return text, values, any(star for place in (2, 4) for _, _, star in fields[place])


@given(
    lines(),
    st.sampled_from(["", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"]),
    st.sampled_from(
        [
            datetime(2026, 3, 7, 23, 17, tzinfo=UTC),
            datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC),
            datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
            datetime(2026, 11, 1, 4, 1, tzinfo=UTC),
            datetime(2027, 12, 31, 12, tzinfo=UTC),
            datetime(2028, 2, 28, 23, 59, tzinfo=UTC),
        ]
    ),
)
def test_a_clock_on_the_wall_agrees(
    line: tuple[str, list[frozenset[int]], bool], zone: str, start: datetime
) -> None:
    """The slots are the minutes at which a clock in that zone shows what the line says."""
    text, (minutes, hours, days, months, weekdays), both = line
    found = parse(f"CRON_TZ={zone} {text}" if zone else text)
    assert isinstance(found, Line)
    clock = ZoneInfo(zone or "UTC")
    at = start.replace(second=0)
    expected = []
    for _ in range(3 * 24 * 60):
        at += _MINUTE
        shown = at.astimezone(clock)
        by_month, by_week = shown.day in days, shown.isoweekday() % 7 in weekdays
        if (
            shown.minute in minutes
            and shown.hour in hours
            and shown.month in months
            and ((by_month and by_week) if both else (by_month or by_week))
        ):
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


def test_a_time_that_is_skipped_does_not_happen() -> None:
    """Clocks in Berlin go from 2 to 3 on 29 March 2026: half past two is on the day after."""
    line = parse("CRON_TZ=Europe/Berlin 30 2 * * *")
    assert isinstance(line, Line)
    before = from_datetime(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert line.after(before) == from_datetime(datetime(2026, 3, 30, 0, 30, tzinfo=UTC))


def test_a_time_that_comes_twice_happens_twice() -> None:
    """Clocks in New York go from 2 back to 1 on 1 November 2026."""
    line = parse("CRON_TZ=America/New_York 30 1 1 11 *")
    assert isinstance(line, Line)
    first = line.after(from_datetime(datetime(2026, 10, 30, tzinfo=UTC)))
    assert first == from_datetime(datetime(2026, 11, 1, 5, 30, tzinfo=UTC))
    assert line.after(first) == from_datetime(datetime(2026, 11, 1, 6, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("0 6 * * *", "CRON_TZ=Europe/Berlin 0 6 * * *"),
        ("@daily", "CRON_TZ=Europe/Berlin @daily"),
        ("CRON_TZ=Local 0 6 * * *", "CRON_TZ=Europe/Berlin 0 6 * * *"),
        ("TZ=Local  @weekly", "CRON_TZ=Europe/Berlin  @weekly"),
        ("TZ=Asia/Tokyo 0 6 * * *", "TZ=Asia/Tokyo 0 6 * * *"),
        ("CRON_TZ=UTC 0 6 * * *", "CRON_TZ=UTC 0 6 * * *"),
        ("CRON_TZ= 0 6 * * *", "CRON_TZ= 0 6 * * *"),
        ("@every 1h", "@every 1h"),
        ("CRON_TZ=Local @every 1h", "CRON_TZ=Local @every 1h"),
    ],
)
def test_a_scheduler_has_a_zone_of_its_own(line: str, read: str) -> None:
    """It is that of lines that name none, and of those that name the local one; no other's."""
    assert in_zone(line, "Europe/Berlin") == read
    assert in_zone(read, "Europe/Berlin") == read
    assert in_zone(line, "UTC") == line


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("0 6 * * *", ["10-24 04:00", "10-25 05:00", "10-26 05:00"]),
        ("CRON_TZ=Local 0 6 * * *", ["10-24 04:00", "10-25 05:00", "10-26 05:00"]),
        ("@daily", ["10-23 22:00", "10-24 22:00", "10-25 23:00"]),
        ("30 2 25 * *", ["10-25 00:30", "10-25 01:30", "11-25 01:30"]),
        ("CRON_TZ=UTC 0 6 * * *", ["10-24 06:00", "10-25 06:00", "10-26 06:00"]),
        ("TZ= @daily", ["10-24 00:00", "10-25 00:00", "10-26 00:00"]),
        ("@every 24h", ["10-24 20:00", "10-25 20:00", "10-26 20:00"]),
    ],
)
def test_the_clock_of_a_scheduler_in_berlin(line: str, due: list[str]) -> None:
    """It is put back on 25 October 2026, and lines with a zone of their own take no notice."""
    expected = [str(at(instant) // SECOND) for instant in due]
    assert slots(in_zone(line, "Europe/Berlin"), at("10-23 20:00"), 3) == expected


@pytest.mark.parametrize(
    "line", ["", "0 6 * *", "@never", "CRON_TZ=Local", "TZ=Mars/Phobos * * * * *"]
)
def test_no_zone_makes_a_line_readable(line: str) -> None:
    """What the scheduler cannot read in UTC, it cannot read anywhere."""
    with pytest.raises(CronError):
        parse(in_zone(line, "Europe/Berlin"))
