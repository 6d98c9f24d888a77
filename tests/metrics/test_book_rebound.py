"""Other bounds, rules, families, limits and another hold, while the book is in use."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count

import pytest

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.metrics.labelling import AS_THEY_ARE
from exporter.metrics.rebound import Rebound, rebound_of
from exporter.model.executions import Phase
from tests.metrics.conftest import BOUNDS, HOLD, Desk, plan_labels, ran
from tests.rows import TARGET

_DURATION = (catalog.EXECUTION_DURATION, plan_labels("nightly"))
_QUEUE = (catalog.EXECUTION_QUEUE_DURATION, (*TARGET,))
_WIDER = {**BOUNDS, catalog.EXECUTION_DURATION: (5.0, 20.0, 60.0, 600.0)}


def _rebind(desk: Desk) -> None:
    desk.bounds = _WIDER
    desk.reload()


def _rebound_of(desk: Desk, bounds: Mapping[Family, Sequence[float]]) -> Rebound | None:
    return rebound_of(desk.book, bounds=bounds, labelling=AS_THEY_ARE, hold=desk.hold, now=desk.now)


def _bounds(desk: Desk) -> list[str]:
    return [
        dict(labels)["le"]
        for name, labels in desk.shown()
        if name == "flyte_execution_duration_seconds_bucket"
    ]


def test_a_histogram_with_other_bounds_begins_anew_it_alone(open_desk: Desk) -> None:
    """Its buckets are the new ones, at 0; every other series stands where it stood."""
    open_desk.count(ran())
    before = open_desk.shown()
    _rebind(open_desk)
    after = open_desk.shown()
    assert _bounds(open_desk) == ["5.0", "20.0", "60.0", "600.0", "+Inf"]
    for shown in (before, after):
        for sample in [each for each in shown if "execution_duration" in each[0]]:
            del shown[sample]
    assert after == before
    assert open_desk.value(_DURATION, "_count") == 0

    open_desk.count(ran("b", lasted=30))
    assert open_desk.value(_DURATION, "_count") == 1
    assert open_desk.value(_DURATION, "_sum") == 30
    assert open_desk.total(catalog.EXECUTION_DURATION) == 1
    assert open_desk.total(catalog.EXECUTION_QUEUE_DURATION) == 2


def test_the_new_bounds_are_what_the_ledger_has(open_desk: Desk) -> None:
    """Read with the new bounds it is all there; nothing of the old ones is left in it."""
    open_desk.count(ran())
    _rebind(open_desk)
    open_desk.count(ran("b", lasted=30))
    rows = [row for row in open_desk.ledger.series() if row.family == _DURATION[0].name]
    assert [row.layout for row in rows] == ["5.0,20.0,60.0,600.0"]
    assert [row.value.buckets for row in rows] == [(0, 0, 1, 0, 0)]


def test_the_budget_follows_the_bounds(open_desk: Desk) -> None:
    """Two more bounds cost two more series."""
    open_desk.count(ran())
    used = open_desk.book.budget.used_by(catalog.EXECUTION_DURATION)
    _rebind(open_desk)
    assert open_desk.book.budget.used_by(catalog.EXECUTION_DURATION) == used + 2


@pytest.mark.parametrize(("room", "plans"), [(15, ["nightly"]), (16, ["nightly", "weekly"])])
def test_a_launch_plan_comes_in_with_the_new_bounds_or_not_at_all(
    open_desk: Desk, room: int, plans: list[str]
) -> None:
    """What it will need is reckoned with two more bounds: 16 series, not 14."""
    open_desk.count(ran())
    _rebind(open_desk)
    budget = open_desk.book.budget
    used = sum(budget.used_by(family) for family in catalog.FAMILIES)
    limit = next(limit for limit in count(used) if limit - limit // 10 == used + room)
    open_desk.book.set_limits(limit=limit, varieties={}, hold=timedelta(0))
    open_desk.count(ran("b", launch_plan="weekly"))
    assert open_desk.book.places.launch_plans(TARGET) == plans


def test_a_launch_plan_whose_bounds_changed_is_forgotten_like_any_other(open_desk: Desk) -> None:
    """The new series goes with its launch plan, from the page, the ledger and the budget."""
    open_desk.count(ran())
    _rebind(open_desk)
    open_desk.advance(timedelta(days=40))
    open_desk.queued.append(open_desk.book.expire(open_desk.now, lambda *_: False))
    open_desk.settle()
    assert _bounds(open_desk) == []
    assert open_desk.ledger.series() == []
    assert open_desk.book.budget.used_by(catalog.EXECUTION_DURATION) == 0


def test_the_new_series_is_held_back_like_any_other(desk: Desk) -> None:
    """Prometheus sees it at 0 before it sees a count; the old one's hold is forgotten."""
    desk.count(ran())
    _rebind(desk)
    desk.count(ran("b"))
    assert desk.value(_DURATION, "_count") == 0
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_DURATION, "_count") == 1
    assert _bounds(desk) == ["5.0", "20.0", "60.0", "600.0", "+Inf"]


def test_nothing_changed_is_nothing_to_commit(open_desk: Desk) -> None:
    """The same bounds once more leave all series as they are."""
    open_desk.count(ran())
    assert _rebound_of(open_desk, BOUNDS) is None


def test_what_is_not_committed_has_not_happened(open_desk: Desk) -> None:
    """Bounds that could not be made durable leave the old ones in use."""
    open_desk.count(ran())
    assert _rebound_of(open_desk, _WIDER) is not None
    open_desk.count(ran("b", lasted=30))
    assert _bounds(open_desk) == ["10.0", "60.0", "+Inf"]
    assert open_desk.value(_DURATION, "_count") == 2


def test_a_higher_limit_lets_the_next_ones_in(open_desk: Desk) -> None:
    """Who overflowed has a series of its own from then on; the old counts stay."""
    open_desk.book.set_limits(limit=10, varieties={}, hold=timedelta(0))
    open_desk.count(ran())
    key = (catalog.EXECUTIONS_FINISHED, plan_labels("nightly", "SCHEDULED", Phase.SUCCEEDED.name))
    assert open_desk.value(key) is None
    open_desk.book.set_limits(limit=1000, varieties={}, hold=timedelta(0))
    open_desk.count(ran("b"))
    assert open_desk.value(key) == 1
    assert open_desk.total(catalog.EXECUTIONS_FINISHED) == 2


def test_a_shorter_hold_is_heeded_by_those_who_wait(desk: Desk) -> None:
    """Nobody waits longer than the hold that is in effect."""
    desk.count(ran())
    desk.book.set_limits(limit=1000, varieties={}, hold=timedelta(seconds=10))
    desk.release()
    desk.advance(timedelta(seconds=10))
    desk.release()
    assert desk.value(_QUEUE, "_count") == 1
