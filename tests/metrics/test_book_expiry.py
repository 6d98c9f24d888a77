"""A launch plan of which nothing was heard for 35 days makes room, and one in use never does."""

from datetime import timedelta

import pytest

from exporter.ledger.records import Activity
from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.measure import measure
from exporter.metrics.places import RETENTION
from exporter.model.events import Events
from exporter.model.targets import Target
from tests.metrics.conftest import Desk, launched, plan_labels, ran
from tests.rows import TARGET, execution

_LAUNCHED = (catalog.EXECUTIONS_LAUNCHED, plan_labels("nightly", "SCHEDULED"))
_INSTANT = timedelta(microseconds=1)


def in_use(target: Target, launch_plan: str) -> bool:
    """Say that the target is scraped, and no launch plan has live executions."""
    return target == TARGET and not launch_plan


def expire(desk: Desk) -> None:
    """Forget what is old, in memory and in the ledger."""
    desk.queued.append(desk.book.expire(desk.now, in_use))
    desk.settle()


def test_after_35_days_a_launch_plan_is_forgotten(open_desk: Desk) -> None:
    """Its series leave the page, the ledger and the budget; the target's own stay."""
    open_desk.count(launched(execution()))
    open_desk.advance(RETENTION)
    expire(open_desk)
    assert open_desk.value(_LAUNCHED) == 1
    open_desk.advance(_INSTANT)
    expire(open_desk)
    assert {dict(pairs).get("launch_plan") for _, pairs in open_desk.shown()} == {None}
    assert {len(row.labels) for row in open_desk.ledger.series()} == {2}
    assert [row.launch_plan for row in open_desk.ledger.activity()] == [""]
    assert open_desk.book.budget.used_by(catalog.EXECUTIONS_LAUNCHED) == 0
    assert open_desk.book.budget.used_by(catalog.EXECUTIONS_ACTIVE) == 0
    assert open_desk.book.places.launch_plans(TARGET) == []


def test_each_execution_gives_it_35_days_more(open_desk: Desk) -> None:
    """A monthly launch plan never loses its counters."""
    for month in range(4):
        open_desk.count(launched(execution(str(month))))
        open_desk.advance(timedelta(days=31))
        expire(open_desk)
    assert open_desk.value(_LAUNCHED) == 4


def test_what_has_live_executions_is_kept(open_desk: Desk) -> None:
    """An execution may run for months."""
    open_desk.count(launched(execution()))
    open_desk.advance(2 * RETENTION)
    assert open_desk.book.expire(open_desk.now, lambda _target, _plan: True).is_empty
    assert open_desk.value(_LAUNCHED) == 1


def test_the_days_count_across_restarts(open_desk: Desk) -> None:
    """An exporter that restarts every night still forgets."""
    open_desk.count(launched(execution()))
    for _ in range(5):
        open_desk.advance(timedelta(days=7, microseconds=1))
        open_desk.restart()
    expire(open_desk)
    assert open_desk.value(_LAUNCHED) is None


def test_who_comes_back_begins_at_0(desk: Desk) -> None:
    """A new series, held like any other."""
    desk.count(launched(execution()))
    desk.advance(RETENTION + _INSTANT)
    desk.release()
    expire(desk)
    desk.count(launched(execution("b")))
    assert desk.value(_LAUNCHED) == 0
    desk.advance(timedelta(minutes=2))
    desk.release()
    assert desk.value(_LAUNCHED) == 1


def test_a_series_that_is_held_expires_in_silence(desk: Desk) -> None:
    """The end of its hold does not bring it back."""
    desk.count(launched(execution()))
    desk.advance(RETENTION + _INSTANT)
    expire(desk)
    desk.release()
    assert desk.value(_LAUNCHED) is None


def test_a_launch_plan_that_returns_before_its_removal_was_written_is_counted(
    open_desk: Desk,
) -> None:
    """While the disk was full its old series stayed in the ledger; the new ones replace them."""
    open_desk.count(launched(execution()))
    open_desk.advance(RETENTION + _INSTANT)
    open_desk.queued.append(open_desk.book.expire(open_desk.now, in_use))
    open_desk.fail()
    open_desk.count(launched(execution("b")))
    assert open_desk.value(_LAUNCHED) == 1
    open_desk.restart()
    assert open_desk.value(_LAUNCHED) == 1
    assert Activity(TARGET, "nightly", open_desk.now) in open_desk.ledger.activity()


def test_a_removal_that_could_not_be_written_is_said_again(open_desk: Desk) -> None:
    """Also when nothing is counted: the next look at what is old still has it."""
    open_desk.count(launched(execution()))
    open_desk.advance(RETENTION + _INSTANT)
    first = open_desk.book.expire(open_desk.now, in_use)
    again = open_desk.book.expire(open_desk.now, in_use)
    assert again == first
    assert not again.is_empty
    open_desk.queued.append(again)
    open_desk.settle()
    assert open_desk.book.expire(open_desk.now, in_use).is_empty
    assert open_desk.book.post(TARGET, measure(TARGET, Events()), open_desk.now).removed == ()


@pytest.mark.parametrize("limit", [0, 40])
def test_a_series_in_use_never_expires(limit: int) -> None:
    """Those that others overflow into have no executions of their own, and are not forgotten."""
    desk = Desk(hold=timedelta(0), limit=limit)
    days = 50
    for day in range(days):
        desk.count(ran(str(day), launch_plan=f"one-off {day}"))
        desk.advance(timedelta(days=1))
        if day % 10 == 0:
            desk.restart()
    family = catalog.EXECUTIONS_LAUNCHED
    before = overflowed(desk)
    expire(desk)
    assert overflowed(desk) == before > 0
    assert desk.total(family) <= days


def overflowed(desk: Desk) -> float:
    """Return how many launches the overflow series show."""
    return sum(
        value
        for (name, pairs), value in desk.shown().items()
        if name == catalog.EXECUTIONS_LAUNCHED.name and dict(pairs)["launch_plan"] == OVERFLOW
    )


def test_room_that_was_given_back_is_used() -> None:
    """When a launch plan is forgotten, one that overflowed gets series of its own."""
    desk = Desk(hold=timedelta(0), limit=33)
    desk.count(launched(execution(launch_plan="nightly")))
    desk.count(launched(execution("b", launch_plan="other")))
    assert "other" not in desk.book.places.launch_plans(TARGET)
    desk.advance(RETENTION + _INSTANT)
    expire(desk)
    desk.count(launched(execution("c", launch_plan="other")))
    assert "other" in desk.book.places.launch_plans(TARGET)
