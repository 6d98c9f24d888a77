"""However many names there are, the limit holds and no count is lost."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW, Budget
from exporter.metrics.catalog import Family, Source
from exporter.model.events import Events
from exporter.model.executions import TERMINAL, Execution, Mode, Phase
from exporter.model.targets import Target
from tests.metrics.conftest import Desk, Sample, launched, plan_labels, ran
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
)
_batches = st.lists(
    st.tuples(st.sampled_from(_TARGETS), st.lists(_rows, min_size=1, max_size=6)),
    min_size=1,
    max_size=6,
)


def everything(rows: list[Execution]) -> Events:
    """Return the events of executions that began and ended between two polls."""
    return Events(launched=rows, started=rows, finished=rows)


def expected(batches: list[tuple[Target, list[Execution]]]) -> Counter[Family]:
    """Return how much each family has gained, the plain way."""
    gained: Counter[Family] = Counter()
    for _, rows in batches:
        for family in _COUNTED:
            gained[family] += len(rows)
        gained[catalog.EXECUTION_DURATION] -= sum(row.phase is not Phase.SUCCEEDED for row in rows)
    return gained


def ordinary(desk: Desk) -> list[Sample]:
    """Return the samples that are not of an overflow series."""
    return [sample for sample in desk.shown() if OVERFLOW not in dict(sample[1]).values()]


def of_last_resort(desk: Desk) -> list[Sample]:
    """Return the samples of the series that fit whatever the limit."""
    return [s for s in desk.shown() if dict(s[1]).get("project") == OVERFLOW]


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
        for plan in desk.book.plans(target):
            levels = dict.fromkeys((Phase.RUNNING, Phase.QUEUED), (1, NOON))
            desk.book.set_levels(target, plan, levels)
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


def test_a_launch_plan_comes_in_whole_or_not_at_all() -> None:
    """One that could not have its histogram does not get a counter that lacks it either."""
    # A launch plan takes 3 counters, 5 lines of a histogram and 4 levels; the target itself 5.
    # Of a limit of 18, a tenth, that is 1, is kept for the overflow.
    fits_exactly = Desk(hold=timedelta(0), limit=18)
    one_short = Desk(hold=timedelta(0), limit=17)
    for desk in (fits_exactly, one_short):
        desk.count(ran())
    labels = plan_labels("nightly", "SCHEDULED")
    assert fits_exactly.value((catalog.EXECUTIONS_LAUNCHED, labels)) == 1
    assert one_short.value((catalog.EXECUTIONS_LAUNCHED, labels)) is None
    assert one_short.book.plans(TARGET) == []


def test_the_tenth_that_is_kept_takes_the_overflow() -> None:
    """A target's overflow keeps the target's name while there is room for it."""
    desk = Desk(hold=timedelta(0), limit=40)
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
    desk.book.set_levels(TARGET, "nightly", {Phase.RUNNING: (1, NOON)})
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
