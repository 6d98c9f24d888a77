"""A new process goes on with the series of the one before."""

from exporter.ledger.records import Commit, SeriesDelta
from exporter.metrics import catalog
from exporter.model.targets import Target
from tests.metrics.conftest import BOUNDS, HOLD, Desk, launched, plan_labels, ran
from tests.rows import NOON, execution

_LAUNCHED = (catalog.EXECUTIONS_LAUNCHED, plan_labels("nightly", "SCHEDULED"))
_DURATION = (catalog.EXECUTION_DURATION, plan_labels("nightly"))
_QUEUE = catalog.EXECUTION_QUEUE_DURATION


def released(desk: Desk) -> Desk:
    """Let the hold pass."""
    desk.advance(HOLD)
    desk.release()
    return desk


def test_all_is_as_it_was(desk: Desk) -> None:
    """Every sample is shown again, the same, and the same series go on being counted."""
    desk.count(ran("a"))
    desk.count(ran("b", launch_plan="adhoc", lasted=0.1))
    before = released(desk).shown()
    used = {family: desk.book.budget.used_by(family) for family in catalog.FAMILIES}
    desk.restart()
    assert desk.shown() == before
    assert used == {family: desk.book.budget.used_by(family) for family in catalog.FAMILIES}
    desk.count(ran("c"))
    assert released(desk).value(_LAUNCHED) == 2
    assert len(desk.ledger.series()) == len({(r.family, r.labels) for r in desk.ledger.series()})


def test_a_changed_layout_resets_that_histogram_alone(desk: Desk) -> None:
    """It is shown at 0 from the start on, held like a new one; counters and others go on."""
    desk.count(ran())
    released(desk)
    desk.bounds = {**BOUNDS, catalog.EXECUTION_DURATION: (5.0, 10.0, 60.0)}
    desk.restart()
    assert desk.value(_DURATION, suffix="_count") == 0
    assert desk.value(_LAUNCHED) == 1
    assert desk.value((_QUEUE, plan_labels("")[:2]), suffix="_count") == 1
    desk.count(ran("b"))
    assert desk.value(_DURATION, suffix="_count") == 0
    assert released(desk).value(_DURATION, suffix="_count") == 1
    desk.restart()
    assert desk.value(_DURATION, suffix="_count") == 1


def test_a_changed_layout_is_counted_in_the_new_bounds(desk: Desk) -> None:
    """No old bucket remains in the ledger, and the new ones are all there."""
    desk.count(ran(lasted=30))
    desk.bounds = {**BOUNDS, catalog.EXECUTION_DURATION: (100.0,)}
    desk.restart()
    desk.count(ran("b", lasted=30))
    released(desk)
    bounds = {
        dict(pairs)["le"]: value
        for (name, pairs), value in desk.shown().items()
        if name == f"{catalog.EXECUTION_DURATION.name}_bucket"
    }
    assert bounds == {"100.0": 1, "+Inf": 1}


def test_a_layout_that_changes_while_it_is_held_resets_too(desk: Desk) -> None:
    """What was never shown has nothing to show in other bounds."""
    desk.count(ran())
    desk.bounds = {**BOUNDS, catalog.EXECUTION_DURATION: (1.0,)}
    desk.restart()
    assert released(desk).value(_DURATION, suffix="_count") == 0


def test_a_family_that_is_no_more_is_removed(desk: Desk) -> None:
    """A series of an older release goes, from the ledger as well, and disturbs nobody."""
    gone = SeriesDelta(1, "flyte_abandoned_total", ("x",), "", NOON, None, 5, {})
    desk.ledger.commit([Commit(deltas=[gone])])
    desk.restart()
    assert desk.ledger.series() == []
    desk.count(ran())
    assert released(desk).value(_LAUNCHED) == 1


def test_admission_outlives_the_process(desk: Desk) -> None:
    """Who was in stays in, and who overflowed still does, whatever order they come in now."""
    # Room for one launch plan beside the target's own series.
    desk.limit = 35
    desk.restart()
    for plan in ("first", "second"):
        desk.count(launched(execution(plan, launch_plan=plan)))
    desk.restart()
    for plan in ("second", "first"):
        desk.count(launched(execution(f"{plan} again", launch_plan=plan)))
    released(desk)
    family = catalog.EXECUTIONS_LAUNCHED
    assert desk.value((family, plan_labels("first", "SCHEDULED"))) == 2
    assert desk.value((family, plan_labels("second", "SCHEDULED"))) is None
    assert desk.value((family, plan_labels("__overflow__", "SCHEDULED"))) == 2


def test_a_lower_limit_throws_nobody_out(desk: Desk) -> None:
    """What has a series keeps it; only who is new overflows."""
    desk.count(launched(execution(launch_plan="nightly")))
    released(desk)
    desk.limit = 1
    desk.restart()
    desk.count(launched(execution("b"), execution("c", launch_plan="new")))
    assert released(desk).value(_LAUNCHED) == 2
    assert desk.total(catalog.EXECUTIONS_LAUNCHED) == 3


def test_the_same_launch_plan_in_two_targets_is_two(open_desk: Desk) -> None:
    """Targets share names, never series."""
    other = Target("other", "production")
    open_desk.count(launched(execution()))
    open_desk.count(launched(execution()), target=other)
    labels = (*other, "nightly", "SCHEDULED")
    assert open_desk.value((catalog.EXECUTIONS_LAUNCHED, labels)) == 1
    assert open_desk.value(_LAUNCHED) == 1
    assert open_desk.book.places.launch_plans(other) == ["nightly"]
