"""However many names there are, the limit holds and no count is lost."""

from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ledger.records import SeriesRow
from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW, Budget
from exporter.metrics.catalog import Family, Source
from exporter.metrics.owners import OTHER
from exporter.metrics.places import RETENTION
from exporter.model.events import Events
from exporter.model.executions import FAILURES, TERMINAL, Execution, Mode, Phase
from exporter.model.failures import NO_CODE, ErrorKind, Failure
from exporter.model.platform_codes import PLATFORM_CODES
from exporter.model.targets import Target
from tests.metrics.conftest import Desk, Sample, everything, launched, plan_labels, ran
from tests.rows import NOON, TARGET, execution

_TARGETS = [Target("a", "production"), Target("b", "production"), Target("c", "staging")]
_OF_SCHEDULES = {
    catalog.SCHEDULE_MISSED,
    catalog.SCHEDULE_SKIPPED,
    catalog.SCHEDULE_DELAY,
}
_COUNTED = [
    family
    for family in catalog.FAMILIES
    if family.source is Source.LEDGER
    and family not in _OF_SCHEDULES
    and "task" not in family.labels
]
"""What each execution adds to."""
_HISTOGRAMS = {catalog.EXECUTION_DURATION, catalog.EXECUTION_QUEUE_DURATION}

_rows = st.builds(
    execution,
    st.just("x"),
    st.sampled_from(sorted(TERMINAL)),
    started=st.just(2),
    lasted=st.sampled_from([5, 30, 300]),
    launch_plan=st.integers(0, 12).map("plan {}".format),
    mode=st.sampled_from([Mode.MANUAL, Mode.SCHEDULED]),
    cluster=st.just("") | st.integers(0, 5).map("cluster {}".format),
    failure=st.none()
    | st.builds(Failure, st.sampled_from(ErrorKind), st.integers(0, 9).map("code {}".format)),
)
_batches = st.lists(
    st.tuples(st.sampled_from(_TARGETS), st.lists(_rows, min_size=1, max_size=6)),
    min_size=1,
    max_size=6,
)


def expected(batches: list[tuple[Target, list[Execution]]]) -> Counter[Family]:
    """Return how much each family has gained, the plain way."""
    gained: Counter[Family] = Counter()
    for _, rows in batches:
        for family in _COUNTED:
            gained[family] += len(rows)
        gained[catalog.EXECUTION_DURATION] -= sum(row.phase is not Phase.SUCCEEDED for row in rows)
        gained[catalog.CLUSTER_EXECUTIONS_FINISHED] -= sum(not row.cluster for row in rows)
        for family in (catalog.EXECUTION_ERRORS, catalog.EXECUTION_ERROR_CODES):
            gained[family] -= sum(row.phase not in FAILURES for row in rows)
    return gained


def failed(code: str, kind: ErrorKind = ErrorKind.USER) -> Events:
    """Return the end of an execution that failed."""
    return Events(finished=[execution(phase=Phase.FAILED, failure=Failure(kind, code))])


def of(desk: Desk, family: Family) -> list[SeriesRow]:
    """Return what the ledger has of *family*."""
    return [row for row in desk.ledger.series() if row.family == family.name]


def ordinary(desk: Desk) -> list[Sample]:
    """Return the samples that are not of an overflow series."""
    return [sample for sample in desk.shown() if OVERFLOW not in dict(sample[1]).values()]


def of_last_resort(desk: Desk) -> list[Sample]:
    """Return the samples of the series that fit whatever the limit."""
    lasting = {("project", OVERFLOW), ("execution_cluster", OVERFLOW)}
    return [sample for sample in desk.shown() if lasting & set(sample[1])]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), _batches)
def test_no_count_is_lost(limit: int, batches: list[tuple[Target, list[Execution]]]) -> None:
    """Over all series each family stands at what happened, wherever that went."""
    desk = Desk(hold=timedelta(0), limit=limit)
    for target, rows in batches:
        desk.count(everything(rows), target)
    gained = expected(batches)
    assert {family: desk.total(family) for family in _COUNTED} == gained
    shown = desk.shown()
    for family in _COUNTED:
        name = f"{family.name}_count" if family in _HISTOGRAMS else family.name
        assert sum(v for (sample, _), v in shown.items() if sample == name) == gained[family]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), _batches, st.booleans())
def test_the_limit_holds(
    limit: int, batches: list[tuple[Target, list[Execution]]], restarted: bool
) -> None:
    """Ordinary series leave a tenth free, overflow series fill it, and a handful always fits."""
    desk = Desk(hold=timedelta(0), limit=limit)
    for target, rows in batches:
        desk.count(everything(rows), target)
        for plan in desk.book.places.launch_plans(target):
            levels = dict.fromkeys((Phase.RUNNING, Phase.QUEUED), (1, NOON))
            desk.book.levels.show(target, plan, levels)
        if restarted:
            desk.restart()
        assert len(ordinary(desk)) <= max(0, limit - limit // 10)
        assert len(desk.shown()) - len(of_last_resort(desk)) <= limit


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), _batches)
def test_each_increment_that_overflows_is_told(
    limit: int, batches: list[tuple[Target, list[Execution]]]
) -> None:
    """The overflow counters say exactly what the overflow series stand at."""
    desk = Desk(hold=timedelta(0), limit=limit)
    for target, rows in batches:
        desk.count(everything(rows), target)
    spilled: Counter[Family] = Counter()
    for row in desk.ledger.series():
        if OVERFLOW in row.labels:
            family = catalog.BY_NAME[row.family]
            spilled[family] += round(sum(row.value.buckets) or row.value.total)
    assert +desk.observer.increments_of == +spilled


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), _batches, st.booleans())
def test_a_familys_own_limit_holds(
    limit: int, batches: list[tuple[Target, list[Execution]]], restarted: bool
) -> None:
    """However many codes and clusters somebody makes up, few are told apart, restarts or not."""
    desk = Desk(hold=timedelta(0), limit=limit)
    for target, rows in batches:
        desk.count(everything(rows), target)
        if restarted:
            desk.restart()
    told: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in desk.ledger.series():
        if row.family == catalog.EXECUTION_ERROR_CODES.name:
            told[row.labels[:2]].add(row.labels[3])
        elif row.family == catalog.CLUSTER_EXECUTIONS_FINISHED.name:
            told[()].add(row.labels[0])
    known = PLATFORM_CODES | {NO_CODE, OVERFLOW, OTHER}
    assert all(len(values - known) <= 3 for values in told.values())


def test_a_code_too_many_counts_as_other() -> None:
    """First come, first served, each target by itself; and that is no overflow of the budget."""
    desk = Desk(hold=timedelta(0))
    for code in ("a", "b", "c", "d", "e", "a"):
        desk.count(failed(code))
    desk.count(failed("e"), _TARGETS[0])
    desk.restart()
    for code in ("f", "c"):
        desk.count(failed(code))
    codes = catalog.EXECUTION_ERROR_CODES
    assert {row.labels: row.value.total for row in of(desk, codes)} == {
        (*TARGET, "USER", "a"): 2,
        (*TARGET, "USER", "b"): 1,
        (*TARGET, "USER", "c"): 2,
        (*TARGET, "USER", OTHER): 3,
        (*_TARGETS[0], "USER", "e"): 1,
    }
    assert +desk.observer.increments_of == Counter()


def test_a_code_of_two_kinds_is_one() -> None:
    """The limit is of codes, not of their series."""
    desk = Desk(hold=timedelta(0))
    for code in ("a", "b", "c"):
        for kind in (ErrorKind.USER, ErrorKind.SYSTEM):
            desk.count(failed(code, kind))
    assert len(of(desk, catalog.EXECUTION_ERROR_CODES)) == 6


def test_what_is_past_both_limits_overflows() -> None:
    """With no room for `other`, the counts go where those of all families go."""
    desk = Desk(hold=timedelta(0), limit=0)
    desk.count(failed("a"))
    assert [row.labels for row in of(desk, catalog.EXECUTION_ERROR_CODES)] == [
        (OVERFLOW, OVERFLOW, "USER", OVERFLOW)
    ]
    assert desk.observer.increments_of[catalog.EXECUTION_ERROR_CODES] == 1


def test_codes_that_were_forgotten_make_room() -> None:
    """A target that comes back after all of it expired begins anew."""
    desk = Desk(hold=timedelta(0))
    for code in ("a", "b", "c"):
        desk.count(failed(code))
    desk.advance(RETENTION + timedelta(seconds=1))
    posting = desk.book.expire(desk.now, lambda *_: False)
    desk.queued.append(posting)
    desk.settle()
    desk.count(failed("d"))
    assert [row.labels[3] for row in of(desk, catalog.EXECUTION_ERROR_CODES)] == ["d"]


def test_a_clusters_counts_outlive_its_targets() -> None:
    """They belong to all targets together, so no target's end is theirs."""
    desk = Desk(hold=timedelta(0))
    desk.count(Events(finished=[execution(phase=Phase.SUCCEEDED, cluster="eu")]))
    desk.advance(RETENTION + timedelta(seconds=1))
    desk.queued.append(desk.book.expire(desk.now, lambda *_: False))
    desk.settle()
    desk.restart()
    assert desk.value((catalog.CLUSTER_EXECUTIONS_FINISHED, ("eu", "SUCCEEDED"))) == 1
    assert desk.value((catalog.CLUSTER_EXECUTIONS_FINISHED, ("eu", "FAILED"))) == 0


def test_a_launch_plan_comes_in_whole_or_not_at_all() -> None:
    """One that could not have its histogram does not get a counter that lacks it either."""
    # A launch plan takes 5 counters, 5 lines of a histogram and 4 levels, and may come to show 11
    # other gauges; the target itself takes 5. Of a limit of 33, 3 are kept for the overflow.
    fits_exactly = Desk(hold=timedelta(0), limit=33)
    one_short = Desk(hold=timedelta(0), limit=32)
    for desk in (fits_exactly, one_short):
        desk.count(ran())
    labels = plan_labels("nightly", "SCHEDULED")
    assert fits_exactly.value((catalog.EXECUTIONS_LAUNCHED, labels)) == 1
    assert one_short.value((catalog.EXECUTIONS_LAUNCHED, labels)) is None
    assert one_short.book.places.launch_plans(TARGET) == []


def test_the_tenth_that_is_kept_takes_the_overflow() -> None:
    """A target's overflow keeps the target's name while there is room for it."""
    desk = Desk(hold=timedelta(0), limit=49)
    desk.count(launched(*(execution(str(n), launch_plan=f"plan {n}") for n in range(9))))
    labels = plan_labels(OVERFLOW, "SCHEDULED")
    assert desk.value((catalog.EXECUTIONS_LAUNCHED, labels)) == 7


def test_with_no_room_at_all_even_the_target_overflows() -> None:
    """A limit of nothing still counts everything, under one name."""
    desk = Desk(hold=timedelta(0), limit=0)
    desk.count(ran())
    labels = (OVERFLOW, OVERFLOW, OVERFLOW, "SCHEDULED")
    assert desk.value((catalog.EXECUTIONS_LAUNCHED, labels)) == 1
    assert desk.value((catalog.EXECUTIONS_STARTED, (OVERFLOW, OVERFLOW))) == 1
    assert ordinary(desk) == []


def test_what_was_not_committed_did_not_overflow() -> None:
    """A posting whose commit fails is not told of; posted again, it is told of once."""
    desk = Desk(hold=timedelta(0), limit=0)
    desk.post(ran())
    desk.fail()
    assert +desk.observer.increments_of == Counter()
    desk.count(ran())
    assert desk.observer.increments_of[catalog.EXECUTIONS_LAUNCHED] == 1


def test_levels_of_who_overflowed_are_left_out_and_told() -> None:
    """A gauge of several launch plans together would mean nothing."""
    desk = Desk(hold=timedelta(0), limit=0)
    desk.count(ran())
    desk.book.levels.show(TARGET, "nightly", {Phase.RUNNING: (1, NOON)})
    assert catalog.EXECUTIONS_ACTIVE.name not in {name for name, _ in desk.shown()}
    assert desk.observer.increments_of[catalog.EXECUTIONS_ACTIVE] == 1


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_one_tenth_is_kept_for_the_overflow(limit: int, cost: int) -> None:
    """Ordinary series fit into nine tenths, those of the overflow into all."""
    budget = Budget(limit)
    assert budget.fits(cost) is (cost <= limit - limit // 10)
    assert budget.fits(cost, overflow=True) is (cost <= limit)


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
def test_a_familys_limit_is_within_that_of_all(limit: int, own: int, cost: int) -> None:
    """It works the same way, and whichever leaves less room is named."""
    family = catalog.EXECUTIONS_LAUNCHED
    budget = Budget(limit, {family: own})
    assert budget.fits_family(family, cost) is (cost <= own - own // 10)
    assert budget.fits_family(family, cost, overflow=True) is (cost <= own)
    assert budget.fits_family(catalog.EXECUTIONS_FINISHED, cost)
    assert budget.room_for(family) == min(limit - limit // 10, own - own // 10)
    assert budget.room_for(catalog.EXECUTIONS_FINISHED) == limit - limit // 10
    setting, value = budget.limit_of(family)
    assert value == min(limit, own)
    if own != limit:
        named = "metrics.families.flyte_executions_launched_total.series_limit"
        assert setting == (named if own < limit else "metrics.series_limit")
    assert budget.limit_of(catalog.EXECUTIONS_FINISHED) == ("metrics.series_limit", limit)


@pytest.mark.parametrize("given_back", [0, 3])
def test_what_is_given_back_can_be_used_again(given_back: int) -> None:
    """The budget is of what there is, not of what there ever was."""
    budget = Budget(9)
    budget.take(catalog.EXECUTIONS_LAUNCHED, 9)
    budget.give_back(catalog.EXECUTIONS_LAUNCHED, given_back)
    assert budget.used_by(catalog.EXECUTIONS_LAUNCHED) == 9 - given_back
    assert budget.fits(given_back)
    assert not budget.fits(given_back + 1)
