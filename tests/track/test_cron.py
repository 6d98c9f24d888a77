"""Cron lines mean what Flyte's scheduler takes them to mean, to the second, changes of the clock
included.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

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
