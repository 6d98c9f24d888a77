"""Other bounds, rules, families, limits and another hold, while the book is in use."""

from datetime import timedelta
from itertools import count

import pytest

from exporter.metrics import catalog
from exporter.metrics.formats import Format
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.places import RETENTION
from exporter.metrics.rebound import rebound_of
from exporter.model.events import Events
from exporter.model.executions import Phase
from exporter.model.failures import ErrorKind, Failure
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from tests.metrics.conftest import BOUNDS, HOLD, Desk, plan_labels, ran
from tests.rows import NOON, TARGET, execution

_ACTIVE = catalog.EXECUTIONS_ACTIVE
_LEVELS = (_ACTIVE, catalog.EXECUTIONS_OLDEST)
_DURATION = (catalog.EXECUTION_DURATION, plan_labels("nightly"))
_QUEUE = (catalog.EXECUTION_QUEUE_DURATION, (*TARGET,))
_WIDER = {**BOUNDS, catalog.EXECUTION_DURATION: (5.0, 20.0, 60.0, 600.0)}


def _rebind(desk: Desk) -> None:
    desk.bounds = _WIDER
    desk.reload()


def _lines_of(desk: Desk, launch_plan: str) -> list[bytes]:
    document = b"".join(desk.exposition.snapshot(Format.OPENMETRICS))
    return [line for line in document.splitlines() if f'"{launch_plan}"'.encode() in line]


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


@pytest.mark.parametrize(("room", "plans"), [(26, ["nightly"]), (27, ["nightly", "weekly"])])
def test_a_launch_plan_comes_in_with_the_new_bounds_or_not_at_all(
    open_desk: Desk, room: int, plans: list[str]
) -> None:
    """What it will need is reckoned with two more bounds: 27 series, not 25."""
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
    book, now = open_desk.book, open_desk.now
    same = rebound_of(book, bounds=BOUNDS, labelling=Labelling(), known={}, hold=HOLD, now=now)
    assert same is None


def test_what_is_not_committed_has_not_happened(open_desk: Desk) -> None:
    """Bounds that could not be made durable leave the old ones in use."""
    open_desk.count(ran())
    book, now = open_desk.book, open_desk.now
    assert rebound_of(book, bounds=_WIDER, labelling=AS_THEY_ARE, known={}, hold=HOLD, now=now)
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


# Other rules


def test_what_the_rules_are_not_about_goes_on_as_it_was(desk: Desk) -> None:
    """It keeps its exemplars, and no hold begins anew: the next count shows at once."""
    for plan in ("nightly", "weekly"):
        desk.count(ran(plan, launch_plan=plan))
    desk.advance(HOLD)
    desk.release()
    of_nightly = _lines_of(desk, "nightly")
    assert any(b"# {" in line for line in of_nightly)
    desk.labelling = Labelling(rules=[Renaming("weekly", "all")])
    desk.reload()
    assert _lines_of(desk, "nightly") == of_nightly
    assert _lines_of(desk, "weekly") == []
    for plan in ("nightly", "weekly"):
        desk.count(ran(f"{plan} again", launch_plan=plan))
    assert desk.value(_DURATION, "_count") == 2
    renamed = (catalog.EXECUTION_DURATION, plan_labels("all"))
    assert desk.value(renamed, "_count") == 1
    desk.advance(HOLD)
    desk.release()
    assert desk.value(renamed, "_count") == 2


def test_a_hold_that_had_begun_goes_on(desk: Desk) -> None:
    """It ends when it would have ended, whatever the rules for others are."""
    desk.count(ran())
    desk.advance(HOLD - timedelta(seconds=1))
    desk.labelling = Labelling(rules=[Renaming("weekly", "all")])
    desk.reload()
    assert desk.value(_DURATION, "_count") == 0
    desk.advance(timedelta(seconds=1))
    desk.release()
    assert desk.value(_DURATION, "_count") == 1


def test_what_was_never_committed_is_not_taken_along(open_desk: Desk) -> None:
    """A series that came to be for a posting that failed is nobody's, and costs nothing."""
    open_desk.post(ran())
    open_desk.fail()
    open_desk.labelling = Labelling(rules=[Renaming("nightly", "all")])
    open_desk.reload()
    assert open_desk.shown() == {}
    assert open_desk.ledger.series() == []
    assert open_desk.ledger.activity() == []
    assert not any(open_desk.book.budget.used_by(family) for family in catalog.FAMILIES)


def test_levels_of_those_who_keep_their_name_stay(open_desk: Desk) -> None:
    """With every phase that they had; of who has another name, and of what is off, nothing is."""
    levels = {Phase.RUNNING: (2, NOON), Phase.QUEUED: (1, NOON)}
    for plan in ("nightly", "weekly"):
        open_desk.count(ran(plan, launch_plan=plan))
        open_desk.book.levels.show(TARGET, plan, levels)
    before = open_desk.shown()
    active = {sample for sample in before if sample[0] == _ACTIVE.name}
    open_desk.labelling = Labelling(
        rules=[Renaming("weekly", "all")], disabled=[catalog.EXECUTIONS_OLDEST]
    )
    open_desk.reload()
    after = open_desk.shown()
    kept = {sample for sample in active if ("launch_plan", "nightly") in sample[1]}
    assert len(kept) == 3
    assert {sample for sample in after if sample[0] == _ACTIVE.name} == kept
    assert all(after[sample] == before[sample] for sample in kept)
    budget = open_desk.book.budget
    assert budget.used_by(catalog.EXECUTIONS_OLDEST) == 0
    assert budget.used_by(_ACTIVE) == 3 + 2  # those of `all` have their places


def test_whoever_was_shown_keeps_their_levels_under_a_lower_limit(open_desk: Desk) -> None:
    """Only who is new is left out."""
    for plan in "abcd":
        open_desk.count(ran(plan, launch_plan=plan))
        open_desk.book.levels.show(TARGET, plan, {Phase.RUNNING: (1, NOON)})
    open_desk.family_limits = {_ACTIVE: 4}
    open_desk.labelling = Labelling(rules=[Renaming("other", "o")])
    open_desk.reload()
    assert [open_desk.value((_ACTIVE, plan_labels(plan, "RUNNING"))) for plan in "abcd"] == [1] * 4
    open_desk.count(ran("e", launch_plan="e"))
    open_desk.book.levels.show(TARGET, "e", {Phase.RUNNING: (1, NOON)})
    assert open_desk.value((_ACTIVE, plan_labels("e", "RUNNING"))) is None


def _expired_in_vain(desk: Desk) -> None:
    """Have a launch plan expire whose series could not be removed from the ledger."""
    desk.count(ran("a", launch_plan="old"))
    desk.advance(RETENTION + timedelta(seconds=1))
    desk.count(ran("b", launch_plan="new"))
    assert desk.book.expire(desk.now, lambda *_: False).removed


@pytest.mark.parametrize("name", ["old", "other"])
def test_what_the_ledger_was_still_to_be_told_is_told_with_it(open_desk: Desk, name: str) -> None:
    """Whoever is called like somebody who has expired meets nothing of theirs."""
    _expired_in_vain(open_desk)
    open_desk.labelling = Labelling(rules=[Renaming("new", name)])
    open_desk.reload()
    for _ in range(2):
        assert open_desk.value((_DURATION[0], plan_labels(name)), "_count") == 1
        assert open_desk.book.places.launch_plans(TARGET) == [name]
        open_desk.count(ran("c", launch_plan="elsewhere"), target=Target("x", "y"))
        open_desk.restart()


def test_other_limits_of_values_come_with_other_rules(open_desk: Desk) -> None:
    """The next error code has a place where the limit is higher from then on."""
    codes = [f"Code{number}" for number in range(5)]
    failures = [Failure(ErrorKind.USER, code) for code in codes]
    rows = [
        execution(code, Phase.FAILED, started=2, lasted=5, failure=failure)
        for code, failure in zip(codes, failures, strict=True)
    ]
    open_desk.count(Events(finished=rows[:4]))
    labels = [(*TARGET, "USER", code) for code in ("Code3", "Code4", "other")]
    family = catalog.EXECUTION_ERROR_CODES
    assert [open_desk.value((family, each)) for each in labels] == [None, None, 1]
    open_desk.varieties = {**open_desk.varieties, family: 4}
    open_desk.labelling = Labelling(rules=[Renaming("weekly", "all")])
    open_desk.reload()
    open_desk.count(Events(finished=rows[4:]))
    assert [open_desk.value((family, each)) for each in labels] == [None, 1, 1]


@pytest.mark.parametrize(("before", "after"), [(HOLD, timedelta(0)), (timedelta(0), HOLD)])
def test_what_begins_anew_is_held_as_long_as_is_asked_for_now(
    before: timedelta, after: timedelta
) -> None:
    """The hold and the bounds may change at once."""
    desk = Desk(hold=before)
    desk.count(ran())
    desk.hold, desk.bounds = after, _WIDER
    desk.reload()
    desk.count(ran("b"))
    assert desk.value(_DURATION, "_count") == (0 if after else 1)
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_DURATION, "_count") == 1
