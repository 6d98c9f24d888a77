"""Rules may change, over a restart or a reload: what was counted stays counted, once."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ledger.records import Activity
from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.formats import Format
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.places import RETENTION
from exporter.model.executions import FAILURES, TERMINAL, Execution, Phase
from exporter.model.failures import ErrorKind, Failure
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from tests.metrics.conftest import HOLD, Desk, everything, launched, plan_labels, ran
from tests.rows import NOON, TARGET, execution

_DATES = Renaming(r"(.*)_\d{4}_\d{2}_\d{2}", "$1")
_COLLAPSE = Labelling(rules=[_DATES])
_OF_SCHEDULES = {catalog.SCHEDULE_MISSED, catalog.SCHEDULE_SKIPPED, catalog.SCHEDULE_DELAY}
_COUNTED = [
    family
    for family in FAMILIES
    if family.source is Source.LEDGER
    and family not in _OF_SCHEDULES
    and "task" not in family.labels
]
"""Those that executions alone add to."""
_LEVELS = [family for family in FAMILIES if family.source is Source.LIVE]
_WITH_PLAN = [family for family in _COUNTED if "launch_plan" in family.labels]
_LAUNCHED, _DURATION = catalog.EXECUTIONS_LAUNCHED, catalog.EXECUTION_DURATION
_ACTIVE, _OLDEST = catalog.EXECUTIONS_ACTIVE, catalog.EXECUTIONS_OLDEST
_NAMES = ("daily", "daily_2026_11_23", "daily_2026_11_24", "etl_2026_11_23", "x")

Change = Callable[[Desk], None]
"""How other rules come into effect."""

_rows = st.lists(
    st.builds(
        execution,
        st.just("x"),
        st.sampled_from(sorted(TERMINAL)),
        started=st.just(2),
        lasted=st.sampled_from([5, 30, 300]),
        launch_plan=st.sampled_from(_NAMES),
        cluster=st.sampled_from(["", "eu-west-1-a"]),
        failure=st.sampled_from([None, Failure(ErrorKind.SYSTEM, "OOMKilled")]),
    ),
    min_size=1,
    max_size=6,
)
_rules = st.lists(st.sampled_from([_DATES, Renaming("d(.*)", "$1"), Renaming(".*", "all")]))
_unnamed = st.sets(st.sampled_from([*_WITH_PLAN, *_LEVELS]))
_labellings = st.builds(Labelling, rules=_rules, unnamed=_unnamed)


class _Layout(NamedTuple):
    """Which series there are, and in which buckets."""

    labelling: Labelling = AS_THEY_ARE
    bounds: tuple[float, ...] = (10.0, 60.0)


_disabled = st.sets(st.sampled_from([*_COUNTED, *_LEVELS]), max_size=2)
_layouts = st.builds(
    _Layout,
    st.builds(Labelling, rules=_rules, unnamed=_unnamed, disabled=_disabled),
    st.sampled_from([(10.0, 60.0), (20.0,)]),
)
_changes = st.sampled_from([Desk.restart, Desk.reload])


@pytest.fixture(params=[Desk.restart, Desk.reload], ids=["restart", "reload"])
def change(request: pytest.FixtureRequest) -> Change:
    """Return how other rules come into effect."""
    found: Change = request.param
    return found


def owed(rows: list[Execution]) -> Counter[Family]:
    """Return how much each family owes to such executions."""
    of_all = Counter(dict.fromkeys(_COUNTED, len(rows)))
    failures = sum(row.phase in FAILURES for row in rows)
    of_all[catalog.EXECUTION_ERRORS] = of_all[catalog.EXECUTION_ERROR_CODES] = failures
    of_all[catalog.CLUSTER_EXECUTIONS_FINISHED] = sum(bool(row.cluster) for row in rows)
    of_all[_DURATION] = sum(row.phase is Phase.SUCCEEDED for row in rows)
    return of_all


def sums(desk: Desk) -> Counter[str]:
    """Return what /metrics shows of each family over all its series."""
    found: Counter[str] = Counter()
    for (name, _), value in desk.shown().items():
        if not name.endswith(("_bucket", "_sum")):
            found[name.removesuffix("_count")] += int(value)
    return found


def lines(desk: Desk) -> Counter[str]:
    """Return how many samples each family of the ledger has."""
    found: Counter[str] = Counter()
    for family in _COUNTED:
        for name, _ in desk.shown():
            found[family.name] += name.startswith(family.name)
    return found


def everything_of(desk: Desk) -> tuple[object, ...]:
    """Return all that is known of the series but for what is held back, and of whom."""
    rows = {(r.family, r.labels): (r.layout, r.value, r.born_at) for r in desk.ledger.series()}
    used = {family.name: desk.book.budget.used_by(family) for family in FAMILIES}
    return rows, sorted(desk.ledger.activity()), sorted(desk.book.places), used


def relabelled(desk: Desk, labelling: Labelling, change: Change) -> Desk:
    """Go on with other rules."""
    desk.labelling = labelling
    change(desk)
    return desk


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(_rows, _labellings, _changes, st.sampled_from([HOLD, timedelta(seconds=1)])),
        min_size=1,
        max_size=5,
    ),
    st.integers(20, 400),
)
def test_no_change_of_rules_loses_or_doubles_a_count(
    lives: list[tuple[list[Execution], Labelling, Change, timedelta]], limit: int
) -> None:
    """Over all series each family stands at what happened, and never showed less than before."""
    desk = Desk(limit=limit)
    happened: Counter[Family] = Counter()
    before: Counter[str] = Counter()
    for rows, labelling, change, pause in lives:
        relabelled(desk, labelling, change)
        assert all(sums(desk)[name] >= before[name] for name in before)
        desk.count(everything(rows))
        happened.update(owed(rows))
        desk.advance(pause)
        desk.release()
        assert {family: desk.total(family) for family in _COUNTED} == happened
        before = sums(desk)
        assert lines(desk) == {f.name: desk.book.budget.used_by(f) for f in _COUNTED}
        change(desk)
        assert sums(desk) == before
    desk.advance(HOLD)
    desk.release()
    assert {family: sums(desk)[family.name] for family in _COUNTED} == happened


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(_rows, _layouts, st.integers(15, 400), st.booleans()), min_size=1, max_size=5
    ),
    _rows,
)
def test_a_reload_makes_of_the_series_what_a_restart_does(
    lives: list[tuple[list[Execution], _Layout, int, bool]], rows: list[Execution]
) -> None:
    """The same in the ledger and the budget, and on /metrics once nothing is held back."""
    restarted, reloaded = Desk(), Desk()
    for counted, layout, limit, waits in [*lives, (rows, _Layout(), 400, True)]:
        for desk, change in ((restarted, Desk.restart), (reloaded, Desk.reload)):
            desk.count(everything(counted))
            desk.limit, desk.bounds = limit, {**desk.bounds, _DURATION: layout.bounds}
            relabelled(desk, layout.labelling, change)
            desk.advance(HOLD if waits else timedelta(seconds=1))
            desk.release()
        assert everything_of(reloaded) == everything_of(restarted)
        if waits:
            assert reloaded.shown() == restarted.shown()


def test_series_that_meet_become_one(open_desk: Desk, change: Change) -> None:
    """Counts, buckets and what was shown are added up, and the old series are gone."""
    for day, lasted in (("22", 5), ("23", 30), ("23", 300)):
        open_desk.count(ran(f"{day}-{lasted}", launch_plan=f"daily_2026_11_{day}", lasted=lasted))
    relabelled(open_desk, _COLLAPSE, change)
    assert open_desk.value((_LAUNCHED, plan_labels("daily", "SCHEDULED"))) == 3
    assert open_desk.value((_DURATION, plan_labels("daily")), suffix="_sum") == 335
    counts = {
        dict(pairs)["le"]: value
        for (name, pairs), value in open_desk.shown().items()
        if name == f"{_DURATION.name}_bucket"
    }
    assert counts == {"10.0": 1, "60.0": 2, "+Inf": 3}
    assert open_desk.book.places.launch_plans(TARGET) == ["daily"]
    assert [row.launch_plan for row in open_desk.ledger.activity()] == ["", "daily"]
    assert all("2026" not in label for row in open_desk.ledger.series() for label in row.labels)


def test_who_is_called_so_already_goes_on_as_it_was(desk: Desk, change: Change) -> None:
    """`increase` would take for failures of now what is only called otherwise now."""
    for number, plan in enumerate(("daily", "daily", "daily_2026_11_22", "daily_2026_11_23")):
        desk.count(ran(str(number), launch_plan=plan))
    desk.advance(HOLD)
    desk.release()
    daily, others = ((_LAUNCHED, plan_labels(name, "SCHEDULED")) for name in ("daily", OVERFLOW))
    number_of = {row.labels: row.id for row in desk.ledger.series() if row.family == _LAUNCHED.name}
    relabelled(desk, _COLLAPSE, change)
    assert (desk.value(daily), desk.value(others)) == (2, 2)
    desk.count(ran("new", launch_plan="daily_2026_11_24"))
    desk.advance(HOLD)
    desk.release()
    assert (desk.value(daily), desk.value(others)) == (3, 2)
    (row,) = [row for row in desk.ledger.series() if row.labels == daily[1]]
    assert row.id == number_of[daily[1]]
    assert desk.value((_DURATION, plan_labels(OVERFLOW)), suffix="_count") == 2
    assert not desk.observer.increments_of
    desk.advance(RETENTION)
    desk.count(ran("late", launch_plan="daily"))
    desk.advance(timedelta(seconds=1))
    desk.book.expire(desk.now, lambda *_: False)
    assert (desk.value(daily), desk.value(others)) == (4, None)


def test_a_name_that_somebody_gives_up_does_not_go_to_another(
    open_desk: Desk, change: Change
) -> None:
    """Where `b` stood at 1 and `a` at 3, `b` at 3 would be two that happened just then."""
    for number, plan in enumerate("aaab"):
        open_desk.count(ran(str(number), launch_plan=plan))
    swap = Labelling(rules=[Renaming("a", "b"), Renaming("b", "c")])
    relabelled(open_desk, swap, change)

    def stands_at(plan: str) -> float | None:
        return open_desk.value((_LAUNCHED, plan_labels(plan, "SCHEDULED")))

    assert [stands_at(plan) for plan in ("a", "b", "c", OVERFLOW)] == [None, None, 1, 3]
    open_desk.count(ran("new", launch_plan="a"))
    open_desk.release()
    assert [stands_at(plan) for plan in ("a", "b", "c", OVERFLOW)] == [None, 1, 1, 3]


def test_what_another_rule_made_is_left_alone(open_desk: Desk, change: Change) -> None:
    """A rule that is added does not have the others rename what they named."""
    prefix = Renaming("(.*)", "team.$1")
    relabelled(open_desk, Labelling(rules=[prefix]), change)
    open_desk.count(ran("a"))
    before = open_desk.shown()
    for labelling in (
        Labelling(rules=[Renaming("other", "o"), prefix]),
        Labelling(rules=[Renaming("other", "o"), prefix], unnamed=[_DURATION]),
    ):
        relabelled(open_desk, labelling, change)
        open_desk.release()
        after = open_desk.shown()
        assert {s for s in before if s[0] not in {name for name, _ in after}} == set()
        assert before.items() - after.items() == {
            (sample, value)
            for sample, value in before.items()
            if labelling.names_plans(_DURATION) is False and sample[0].startswith(_DURATION.name)
        }


def test_what_goes_to_nobody_stays_as_long_as_if_it_was_counted_now(
    open_desk: Desk, change: Change
) -> None:
    """Also where nothing was counted there for long."""
    relabelled(open_desk, Labelling(unnamed=[_LAUNCHED]), change)
    open_desk.count(ran("a", launch_plan="a"))
    relabelled(open_desk, AS_THEY_ARE, change)
    open_desk.advance(RETENTION - timedelta(hours=1))
    for plan in ("daily", "daily_2026_11_23"):
        open_desk.count(ran(plan, launch_plan=plan))
    relabelled(open_desk, _COLLAPSE, change)
    nobodys = (_LAUNCHED, plan_labels(OVERFLOW, "SCHEDULED"))
    for length in (timedelta(hours=2), RETENTION - timedelta(hours=3)):
        open_desk.advance(length)
        open_desk.book.expire(open_desk.now, lambda *_: False)
        assert open_desk.value(nobodys) == 2
    open_desk.advance(timedelta(hours=2))
    open_desk.book.expire(open_desk.now, lambda *_: False)
    assert open_desk.value(nobodys) is None


def test_a_rule_that_would_match_again_is_applied_once(open_desk: Desk, change: Change) -> None:
    """A restart by the same rules moves nothing."""
    labelling = Labelling(rules=[Renaming("(.*)_x", "$1")])
    open_desk.count(ran(launch_plan="a_x_x"))
    for _ in range(3):
        relabelled(open_desk, labelling, change)
        assert open_desk.book.places.launch_plans(TARGET) == ["a_x"]
    assert open_desk.value((_LAUNCHED, plan_labels("a_x", "SCHEDULED"))) == 1


def test_what_is_held_back_stays_so_when_it_moves(desk: Desk, change: Change) -> None:
    """Shown is the sum of what was shown, until the hold is over: also after a crash."""
    desk.count(ran("a", launch_plan="daily_2026_11_22"))
    desk.advance(HOLD)
    desk.release()
    desk.count(ran("b", launch_plan="daily_2026_11_23"))
    series = (_LAUNCHED, plan_labels("daily", "SCHEDULED"))
    for _ in range(2):
        relabelled(desk, _COLLAPSE, change)
        assert desk.value(series) == 1
    desk.advance(HOLD)
    desk.release()
    assert desk.value(series) == 2
    desk.restart()
    assert desk.value(series) == 2


def test_a_family_without_launch_plans_has_one_series_for_all(
    open_desk: Desk, change: Change
) -> None:
    """What there was is added up; the other families go on telling them apart."""
    open_desk.count(ran("a", launch_plan="a"))
    open_desk.count(ran("b", launch_plan="b"))
    relabelled(open_desk, Labelling(unnamed=[_LAUNCHED]), change)
    open_desk.count(ran("c", launch_plan="c"))
    open_desk.release()
    of_family = {s: v for s, v in open_desk.shown().items() if s[0] == _LAUNCHED.name}
    labels = (("domain", TARGET.domain), ("mode", "SCHEDULED"), ("project", TARGET.project))
    assert of_family == {(_LAUNCHED.name, labels): 3}
    assert open_desk.value((_DURATION, plan_labels("c")), suffix="_count") == 1


def test_launch_plans_that_are_told_apart_again_begin_anew(open_desk: Desk, change: Change) -> None:
    """What was counted for all is nobody's for as long as a series lives, and then goes."""
    open_desk.labelling = Labelling(unnamed=[_LAUNCHED])
    open_desk.restart()
    open_desk.count(ran("a", launch_plan="a"))
    relabelled(open_desk, AS_THEY_ARE, change)
    open_desk.count(ran("b", launch_plan="a"))
    nobodys = (_LAUNCHED, plan_labels(OVERFLOW, "SCHEDULED"))
    assert open_desk.value((_LAUNCHED, plan_labels("a", "SCHEDULED"))) == 1
    assert open_desk.value(nobodys) == 1
    open_desk.restart()
    assert open_desk.value(nobodys) == 1
    open_desk.advance(RETENTION + timedelta(seconds=1))
    open_desk.count(ran("c", launch_plan="a"))
    open_desk.book.expire(open_desk.now, lambda *_: False)
    open_desk.release()
    assert open_desk.value(nobodys) is None
    assert open_desk.value((_LAUNCHED, plan_labels("a", "SCHEDULED"))) == 2


def test_the_last_that_was_heard_of_any_keeps_all(open_desk: Desk, change: Change) -> None:
    """Launch plans that become one live for as long as the last of them."""
    open_desk.count(ran("a", launch_plan="daily_2026_11_22"))
    open_desk.advance(timedelta(days=10))
    open_desk.count(ran("b", launch_plan="daily_2026_11_23"))
    heard = open_desk.now
    relabelled(open_desk, _COLLAPSE, change)
    assert Activity(TARGET, "daily", heard) in open_desk.ledger.activity()
    open_desk.advance(RETENTION - timedelta(seconds=1))
    assert open_desk.book.expire(open_desk.now, lambda *_: False).removed == ()


def test_rules_make_room_at_once(open_desk: Desk, change: Change) -> None:
    """Who overflows and then adds a rule does not wait for old names to expire."""
    open_desk.limit = 65
    open_desk.restart()
    for day in (21, 22, 23, 24):
        open_desk.count(ran(f"{day}", launch_plan=f"daily_2026_11_{day}"))
    assert open_desk.observer.increments_of[_LAUNCHED] == 1
    relabelled(open_desk, _COLLAPSE, change)
    open_desk.count(ran("new", launch_plan="new"))
    assert open_desk.value((_LAUNCHED, plan_labels("new", "SCHEDULED"))) == 1
    assert open_desk.observer.increments_of[_LAUNCHED] == 1


def test_a_family_that_is_off_is_neither_counted_nor_kept_nor_shown(
    open_desk: Desk, change: Change
) -> None:
    """Its name is not even mentioned; switched on again, it begins at 0."""
    open_desk.count(ran("a"))
    relabelled(open_desk, Labelling(disabled=[_LAUNCHED, _ACTIVE]), change)
    open_desk.count(ran("b"))
    open_desk.book.levels.show(TARGET, "nightly", {Phase.RUNNING: (1, NOON)})
    document = b"".join(open_desk.exposition.snapshot(Format.TEXT))
    assert _LAUNCHED.name.encode() not in document
    assert _ACTIVE.name.encode() not in document
    assert _OLDEST.name.encode() in document
    assert open_desk.total(_LAUNCHED) == 0
    assert open_desk.book.budget.used_by(_LAUNCHED) == 0
    assert open_desk.total(catalog.EXECUTIONS_FINISHED) == 2
    relabelled(open_desk, AS_THEY_ARE, change)
    open_desk.count(ran("c"))
    assert open_desk.value((_LAUNCHED, plan_labels("nightly", "SCHEDULED"))) == 1


# Levels


@pytest.mark.parametrize("ledger", [True, False], ids=["with counters", "alone"])
def test_levels_need_no_counters(open_desk: Desk, ledger: bool, change: Change) -> None:
    """A launch plan of which nothing is counted shows what is live of it, after a restart too."""
    if not ledger:
        relabelled(open_desk, Labelling(disabled=_COUNTED), change)
    running = {Phase.RUNNING: (2, NOON)}
    series = (_ACTIVE, plan_labels("nightly", "RUNNING"))
    open_desk.count(launched(execution()))
    for _ in range(2):
        open_desk.book.levels.show(TARGET, "nightly", running)
        assert open_desk.value(series) == 2
        assert open_desk.book.places.launch_plans(TARGET) == ["nightly"]
        open_desk.restart()
    assert not open_desk.observer.increments_of


def test_levels_of_all_launch_plans_together(open_desk: Desk, change: Change) -> None:
    """A family without launch plans shows one level for each phase, the other goes on as ever."""
    relabelled(open_desk, Labelling(unnamed=[_ACTIVE]), change)
    open_desk.count(launched(execution()))
    book = open_desk.book
    assert book.levels.of_targets
    book.levels.show(TARGET, "nightly", {Phase.QUEUED: (1, NOON)})
    book.levels.show_target(TARGET, {Phase.RUNNING: (3, NOON)})
    shown = {s: v for s, v in open_desk.shown().items() if s[0] in {_ACTIVE.name, _OLDEST.name}}
    target = (("domain", TARGET.domain),)
    assert shown == {
        (_ACTIVE.name, (*target, ("phase", "RUNNING"), ("project", TARGET.project))): 3,
        (_ACTIVE.name, (*target, ("phase", "UNDEFINED"), ("project", TARGET.project))): 0,
        (
            _OLDEST.name,
            (
                *target,
                ("launch_plan", "nightly"),
                ("phase", "QUEUED"),
                ("project", TARGET.project),
            ),
        ): NOON / 1_000_000,
    }
    book.levels.drop_target(TARGET)
    assert not any(name in {_ACTIVE.name, _OLDEST.name} for name, _ in open_desk.shown())


def test_levels_of_a_target_go_with_it(open_desk: Desk, change: Change) -> None:
    """And give back what they used."""
    relabelled(open_desk, Labelling(unnamed=_LEVELS), change)
    open_desk.count(ran())
    open_desk.book.levels.show_target(TARGET, {Phase.RUNNING: (1, NOON), Phase.QUEUED: (1, NOON)})
    assert open_desk.book.budget.used_by(_ACTIVE) == 3
    open_desk.advance(RETENTION + timedelta(seconds=1))
    open_desk.book.expire(open_desk.now, lambda *_: False)
    assert [open_desk.book.budget.used_by(family) for family in FAMILIES] == [0] * len(FAMILIES)


# Limits of single families


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_WITH_PLAN), st.integers(1, 40), st.lists(_rows, max_size=5))
def test_a_familys_limit_holds_and_loses_no_count(
    family: Family, limit: int, batches: list[list[Execution]]
) -> None:
    """What overflows there is counted there; other families have all launch plans."""
    desk = Desk(hold=timedelta(0), family_limits={family: limit})
    for rows in batches:
        desk.count(everything(rows))
    rows = [row for batch in batches for row in batch]
    assert desk.total(family) == owed(rows)[family]
    of_family = [s for s in desk.shown() if s[0].startswith(family.name)]
    ordinary = [s for s in of_family if OVERFLOW not in dict(s[1]).values()]
    last_resort = [s for s in of_family if dict(s[1])["project"] == OVERFLOW]
    assert len(ordinary) <= limit - limit // 10
    assert len(of_family) - len(last_resort) <= limit
    assert set(desk.observer.increments_of) <= {family}
    others = [other for other in _WITH_PLAN if other is not family]
    for other in others:
        named = {dict(pairs)["launch_plan"] for name, pairs in desk.shown() if other.name in name}
        assert named == {row.launch_plan for row in rows}


def test_a_family_of_levels_has_its_own_limit(open_desk: Desk) -> None:
    """The launch plan that is left out of one is in the other, and comes in when there is room."""
    open_desk.family_limits = {_ACTIVE: 3}
    open_desk.restart()
    for plan in ("a", "b"):
        open_desk.count(launched(execution(plan, launch_plan=plan)))
        open_desk.book.levels.show(TARGET, plan, {Phase.RUNNING: (1, NOON)})
    assert open_desk.value((_ACTIVE, plan_labels("a", "RUNNING"))) == 1
    assert open_desk.value((_ACTIVE, plan_labels("b", "RUNNING"))) is None
    assert open_desk.value((_OLDEST, plan_labels("b", "RUNNING"))) is not None
    assert open_desk.observer.increments_of == {_ACTIVE: 1}
    open_desk.advance(RETENTION + timedelta(seconds=1))
    open_desk.book.expire(open_desk.now, lambda _, plan: plan != "a")
    open_desk.book.levels.show(TARGET, "b", {Phase.RUNNING: (1, NOON)})
    assert open_desk.value((_ACTIVE, plan_labels("b", "RUNNING"))) == 1


def test_two_targets_do_not_mix(open_desk: Desk, change: Change) -> None:
    """Levels and counters of all launch plans together are still those of one target."""
    relabelled(open_desk, Labelling(unnamed=[*_WITH_PLAN, *_LEVELS]), change)
    other = Target("other", "production")
    open_desk.count(ran("a"))
    open_desk.count(ran("b"), target=other)
    open_desk.count(ran("c"), target=other)
    assert open_desk.value((_LAUNCHED, plan_labels("", "SCHEDULED"))) == 1
    assert open_desk.value((_LAUNCHED, (*other, "", "SCHEDULED"))) == 2
