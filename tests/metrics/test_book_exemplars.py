"""OpenMetrics names an execution behind a number; the text format, and what is held, do not."""

import re
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)

from exporter.metrics import catalog
from exporter.metrics.formats import Format
from exporter.metrics.measure import measure
from exporter.model.events import Events
from exporter.model.executions import Execution, Phase
from exporter.model.failures import ErrorKind, Failure
from exporter.model.time import seconds
from tests.metrics.conftest import Desk
from tests.rows import NOON, TARGET, after, execution

Named = dict[str, tuple[str, float, float]]
"""By sample: the execution that it names, its value and its time, in seconds after noon."""


def document(desk: Desk, media: Format) -> str:
    """Return what a scrape gets."""
    return b"".join(desk.exposition.snapshot(media)).decode()


def named(desk: Desk) -> Named:
    """Return the exemplars, as a strict parser reads them."""
    text = document(desk, Format.OPENMETRICS)
    found: Named = {}
    for family in parse_openmetrics(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is None:
                continue
            assert sample.exemplar.labels.keys() == {"execution"}
            key = sample.labels.get("le") or sample.labels.get("error_kind", "")
            found[f"{sample.name.removeprefix('flyte_')} {key}".strip()] = (
                sample.exemplar.labels["execution"],
                sample.exemplar.value,
                round(float(sample.exemplar.timestamp) - seconds(NOON), 3),
            )
    return found


def over(name: str, ended: float, *, lasted: float = 30, phase: Phase = Phase.SUCCEEDED) -> Events:
    """Return the end of an execution."""
    return Events(finished=[row(name, ended, lasted=lasted, phase=phase)])


def row(
    name: str, ended: float, *, lasted: float = 30, phase: Phase = Phase.SUCCEEDED
) -> Execution:
    """Return an execution that is over; with an error, should it have failed."""
    failure = Failure(ErrorKind.SYSTEM, "OOMKilled") if phase is Phase.FAILED else None
    return execution(name, phase, updated=ended, lasted=lasted, failure=failure)


def test_a_success_is_named_by_its_counter_and_its_bucket(open_desk: Desk) -> None:
    """With 1 or how long it took, and when it ended."""
    open_desk.count(over("a1", 90.25, lasted=42.5))
    assert named(open_desk) == {
        "executions_finished_total": ("a1", 1, 90.25),
        "execution_duration_seconds_bucket 60.0": ("a1", 42.5, 90.25),
    }


def test_a_failure_is_named_by_its_counters(open_desk: Desk) -> None:
    """The one of its phase and the one of its kind; codes are the target's, and name nobody."""
    open_desk.count(over("a1", 90, phase=Phase.FAILED))
    assert named(open_desk) == {
        "executions_finished_total": ("a1", 1, 90),
        "execution_errors_total SYSTEM": ("a1", 1, 90),
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_newest_end_is_named(open_desk: Desk, order: tuple[int, ...]) -> None:
    """Of each bucket by itself; whatever the order they came in."""
    ended = [("a", 10.0, 5.0), ("b", 20.0, 30.0), ("c", 30.0, 31.0)]
    for name, at, lasted in [ended[place] for place in order]:
        open_desk.count(over(name, at, lasted=lasted))
    assert named(open_desk) == {
        "executions_finished_total": ("c", 1, 30),
        "execution_duration_seconds_bucket 10.0": ("a", 5, 10),
        "execution_duration_seconds_bucket 60.0": ("c", 31, 30),
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_many_at_once_the_last_and_the_longest_are_named(
    open_desk: Desk, order: tuple[int, ...]
) -> None:
    """The one that explains a slow bucket is there, however many others ended with it."""
    ended = [("a", 10.0, 300.0), ("b", 20.0, 5.0), ("c", 30.0, 30.0)]
    rows = [row(*ended[place][:2], lasted=ended[place][2]) for place in order]
    open_desk.count(Events(finished=rows))
    assert named(open_desk) == {
        "executions_finished_total": ("c", 1, 30),
        "execution_duration_seconds_bucket 60.0": ("c", 30, 30),
        "execution_duration_seconds_bucket +Inf": ("a", 300, 10),
    }


def test_the_trace_of_the_poll_is_named_with_its_executions(open_desk: Desk) -> None:
    """Where that trace is kept; the next poll's may not be."""
    increments = measure(TARGET, over("a1", 90))
    posting = open_desk.book.post(TARGET, increments, open_desk.now, trace_id="0af7651916cd43dd")
    open_desk.queued.append(posting)
    open_desk.settle()
    traced = ' # {execution="a1",trace_id="0af7651916cd43dd"} 1 '
    assert document(open_desk, Format.OPENMETRICS).count(traced) == 1
    open_desk.count(over("a2", 95))
    assert traced not in document(open_desk, Format.OPENMETRICS)


def test_the_text_format_has_none_and_is_else_the_same(open_desk: Desk) -> None:
    """Version 0.0.4 knows no exemplars: its readers would take a line with one for broken."""
    open_desk.count(over("a1", 90))
    open_desk.count(over("a2", 95, phase=Phase.FAILED))
    text, openmetrics = (
        [line for line in document(open_desk, media).splitlines() if not line.startswith("#")]
        for media in (Format.TEXT, Format.OPENMETRICS)
    )
    assert not [line for line in text if " # " in line]
    assert [re.sub(r" # \{.*", "", line) for line in openmetrics] == text


def test_what_is_held_names_nobody(desk: Desk) -> None:
    """A sample that shows 0 counted nobody; once the hold is over, it names who it counted."""
    desk.count(over("a1", 90))
    assert named(desk) == {}
    desk.advance(timedelta(minutes=3))
    desk.release()
    assert named(desk)["executions_finished_total"] == ("a1", 1, 90)


def test_a_restart_forgets(open_desk: Desk) -> None:
    """Exemplars are in memory only; the counts are not."""
    open_desk.count(over("a1", 90))
    open_desk.restart()
    open_desk.release()
    assert named(open_desk) == {}
    open_desk.count(over("a2", 95))
    assert named(open_desk)["executions_finished_total"] == ("a2", 1, 95)


def test_what_was_not_committed_is_not_named(open_desk: Desk) -> None:
    """Nothing of it has happened."""
    open_desk.count(over("a1", 90))
    open_desk.post(over("a2", 95))
    open_desk.fail()
    assert named(open_desk)["executions_finished_total"] == ("a1", 1, 90)


def test_who_overflowed_is_named_all_the_same() -> None:
    """An execution is an example also of those that are counted together."""
    desk = Desk(hold=timedelta(0), limit=0)
    desk.count(over("a1", 90))
    assert named(desk)["executions_finished_total"] == ("a1", 1, 90)


@pytest.mark.parametrize(("length", "is_named"), [(79, True), (80, False)])
def test_a_name_that_is_too_long_is_left_out(
    open_desk: Desk, length: int, *, is_named: bool
) -> None:
    """OpenMetrics allows 128 characters, label names included; half a name would name another."""
    open_desk.count(over("n" * length, 90))
    assert bool(named(open_desk)) is is_named


def test_a_name_with_a_quote_is_left_out(open_desk: Desk) -> None:
    """Some readers take it for the end of the name, however it is escaped, and refuse it all."""
    open_desk.count(over('a"b', 90))
    assert named(open_desk) == {}


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a # {b}", "é" * 60, "a,b=c"])
def test_any_name_comes_back(open_desk: Desk, name: str) -> None:
    """Escaped as labels are."""
    open_desk.count(over(name, 90))
    assert named(open_desk)["executions_finished_total"][0] == name


def test_every_family_that_promises_exemplars_has_them(open_desk: Desk) -> None:
    """As the catalog has it, and no other."""
    open_desk.count(over("a1", 90))
    open_desk.count(over("a2", 95, phase=Phase.FAILED))
    found = {sample.split()[0].removesuffix("_bucket") for sample in named(open_desk)}
    assert {f"flyte_{name}" for name in found} == {
        family.name for family in catalog.FAMILIES if family.exemplars
    }
    assert after(0) == NOON
