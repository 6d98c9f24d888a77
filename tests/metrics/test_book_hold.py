"""Prometheus sees every increment, because each series is seen at 0 before its first one."""

from datetime import timedelta

import pytest

from exporter.metrics import catalog
from exporter.model.events import Events
from exporter.model.executions import Phase
from tests.metrics.conftest import HOLD, Desk, launched, plan_labels, ran
from tests.rows import NOON, TARGET, execution

_LAUNCHED = (catalog.EXECUTIONS_LAUNCHED, plan_labels("nightly", "SCHEDULED"))
_SUCCEEDED = (catalog.EXECUTIONS_FINISHED, plan_labels("nightly", "SCHEDULED", "SUCCEEDED"))
_ABORTED = (catalog.EXECUTIONS_FINISHED, plan_labels("nightly", "SCHEDULED", "ABORTED"))
_JUST_BEFORE = HOLD - timedelta(microseconds=1)


def test_a_new_series_shows_0_until_its_hold_is_over(desk: Desk) -> None:
    """It is there at once, whatever it stands at; after the hold it shows that."""
    desk.count(ran())
    assert desk.value(_LAUNCHED) == 0
    desk.advance(_JUST_BEFORE)
    desk.release()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(timedelta(microseconds=1))
    desk.release()
    assert desk.value(_LAUNCHED) == 1


def test_a_histogram_is_held_in_all_its_parts(desk: Desk) -> None:
    """Buckets, count and sum agree, during the hold and after it."""
    desk.count(ran(lasted=30))
    family, labels = catalog.EXECUTION_DURATION, plan_labels("nightly")
    assert [desk.value((family, labels), suffix=s) for s in ("_count", "_sum")] == [0, 0]
    desk.advance(HOLD)
    desk.release()
    assert [desk.value((family, labels), suffix=s) for s in ("_count", "_sum")] == [1, 30]
    buckets = {
        dict(pairs)["le"]: value
        for (name, pairs), value in desk.shown().items()
        if name == f"{family.name}_bucket"
    }
    assert buckets == {"10.0": 0, "60.0": 1, "+Inf": 1}


@pytest.mark.parametrize(
    ("lasted", "place"),
    [(10, "10.0"), (10.000001, "60.0"), (60, "60.0"), (61, "+Inf")],
)
def test_a_bound_belongs_to_its_bucket(open_desk: Desk, lasted: float, place: str) -> None:
    """`le` means less than or equal."""
    open_desk.count(ran(lasted=lasted))
    reached = [
        dict(pairs)["le"]
        for (name, pairs), value in open_desk.shown().items()
        if name == f"{catalog.EXECUTION_DURATION.name}_bucket" and value
    ]
    assert reached[0] == place


def test_what_comes_after_the_hold_shows_at_once(desk: Desk) -> None:
    """Only the first sample is held, not the series for ever."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.release()
    desk.count(launched(execution("b")))
    assert desk.value(_LAUNCHED) == 2


def test_an_unlikely_outcome_is_born_when_it_happens(desk: Desk) -> None:
    """ABORTED has no series before the first one, and that one is held like any."""
    desk.count(launched(execution()))
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_ABORTED) is None
    desk.count(Events(finished=[execution(phase=Phase.ABORTED)]))
    assert desk.value(_ABORTED) == 0
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_ABORTED) == 1


def test_without_a_hold_everything_shows_at_once(open_desk: Desk) -> None:
    """Who sets the hold to zero has chosen to miss first increments."""
    open_desk.count(ran())
    assert open_desk.value(_LAUNCHED) == 1


def test_after_a_start_the_total_from_before_is_shown(desk: Desk) -> None:
    """What is caught up after a start is an increase only if the old total was seen first."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.release()
    desk.restart()
    desk.count(launched(execution("b"), execution("c")))
    assert desk.value(_LAUNCHED) == 1
    desk.advance(_JUST_BEFORE)
    desk.release()
    assert desk.value(_LAUNCHED) == 1
    desk.advance(timedelta(microseconds=1))
    desk.release()
    assert desk.value(_LAUNCHED) == 3


def test_a_series_that_was_never_shown_stays_at_0_after_a_start(desk: Desk) -> None:
    """Its hold begins anew: no scrape saw it since the start."""
    desk.count(launched(execution("a")))
    desk.restart()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 1


def test_a_second_crash_within_the_hold_shows_the_same_total(desk: Desk) -> None:
    """What was caught up but never shown is not shown by crashing again."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.release()
    desk.restart()
    desk.count(launched(execution("b")))
    desk.restart()
    assert desk.value(_LAUNCHED) == 1
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 2


def test_a_release_is_durable_before_it_is_shown(desk: Desk) -> None:
    """Shown first and forgotten by a crash, the counter would step back to 0."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.begin_release()
    assert desk.value(_LAUNCHED) == 0
    desk.write()
    assert desk.value(_LAUNCHED) == 0
    desk.take_over()
    assert desk.value(_LAUNCHED) == 1
    desk.restart()
    assert desk.value(_LAUNCHED) == 1


def test_after_a_start_a_release_is_durable_as_well(desk: Desk) -> None:
    """What was counted during that hold is held in the ledger, too, which must hear of its end."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.release()
    desk.restart()
    desk.count(launched(execution("b")))
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 2
    desk.restart()
    assert desk.value(_LAUNCHED) == 2


def test_a_release_that_cannot_be_written_is_tried_again(desk: Desk) -> None:
    """The series stays held until the ledger can be told, and is not forgotten."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    for _ in range(2):
        desk.begin_release()
        desk.fail()
        assert desk.value(_LAUNCHED) == 0
    desk.release()
    assert desk.value(_LAUNCHED) == 1


def test_a_series_that_is_counted_while_it_is_released_is_not_held_again(desk: Desk) -> None:
    """A posting behind the release, in the same queue, must not bring the hold back."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.begin_release()
    desk.post(launched(execution("b")))
    desk.settle()
    assert desk.value(_LAUNCHED) == 2
    assert all(row.shown is None for row in desk.ledger.series())


def test_a_dropped_posting_has_not_happened(desk: Desk) -> None:
    """Neither shown nor in the ledger; posted again, it counts once."""
    desk.post(ran())
    desk.fail()
    assert desk.shown() == {}
    assert desk.ledger.series() == []
    desk.count(ran())
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 1
    assert desk.value(_SUCCEEDED) == 1


def test_a_series_first_shown_after_a_failed_commit_is_held(desk: Desk) -> None:
    """A hold begins when the series can first be seen, and not when it was first wanted."""
    desk.post(ran())
    desk.fail()
    desk.advance(3 * HOLD)
    desk.release()
    desk.count(ran())
    assert desk.value(_LAUNCHED) == 0
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 1


def test_a_dropped_posting_of_a_known_series_leaves_it_as_it_was(desk: Desk) -> None:
    """What is shown and what it stands at do not move."""
    desk.count(launched(execution("a")))
    desk.advance(HOLD)
    desk.release()
    before = desk.shown()
    desk.post(launched(execution("b")))
    desk.fail()
    assert desk.shown() == before
    desk.count(launched(execution("b")))
    assert desk.value(_LAUNCHED) == 2


def test_two_postings_may_wait_at_once(desk: Desk) -> None:
    """Both add to a series that neither has made visible yet."""
    desk.post(launched(execution("a")))
    desk.post(launched(execution("b"), execution("c")))
    desk.settle()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 3


def test_when_the_first_of_two_postings_fails_the_second_counts(desk: Desk) -> None:
    """It brings the series with it, although the first was to make it."""
    desk.post(launched(execution("a")))
    desk.post(launched(execution("b")))
    desk.fail()
    desk.settle()
    desk.advance(HOLD)
    desk.release()
    assert desk.value(_LAUNCHED) == 1
    desk.restart()
    assert desk.value(_LAUNCHED) == 1


def test_levels_are_never_held(desk: Desk) -> None:
    """A gauge says how things are, so it has no first increment to lose."""
    desk.count(launched(execution()))
    desk.book.levels.show(TARGET, "nightly", {Phase.RUNNING: (3, NOON)})
    labels = plan_labels("nightly", "RUNNING")
    assert desk.value((catalog.EXECUTIONS_ACTIVE, labels)) == 3
    assert desk.value((catalog.EXECUTIONS_OLDEST, labels)) == NOON / 1e6


def test_levels_stay_where_an_execution_has_been(desk: Desk) -> None:
    """UNDEFINED and RUNNING always have a number; another phase once it was seen, then 0."""
    desk.count(launched(execution()))
    desk.book.levels.show(TARGET, "nightly", {Phase.QUEUED: (1, NOON)})
    desk.book.levels.show(TARGET, "nightly", {})
    active = {
        dict(pairs)["phase"]: value
        for (name, pairs), value in desk.shown().items()
        if name == catalog.EXECUTIONS_ACTIVE.name
    }
    assert active == {"UNDEFINED": 0, "RUNNING": 0, "QUEUED": 0}
    assert desk.value((catalog.EXECUTIONS_OLDEST, plan_labels("nightly", "QUEUED"))) is None


def test_dropped_levels_leave_the_counters(desk: Desk) -> None:
    """A target that is scraped no longer has no levels, and its counters stay."""
    desk.count(launched(execution()))
    desk.book.levels.show(TARGET, "nightly", {Phase.RUNNING: (1, NOON)})
    desk.book.levels.drop_target(TARGET)
    names = {name for name, _ in desk.shown()}
    assert catalog.EXECUTIONS_ACTIVE.name not in names
    assert catalog.EXECUTIONS_OLDEST.name not in names
    assert desk.value(_LAUNCHED) == 0


def test_a_slow_commit_does_not_shorten_the_hold(desk: Desk) -> None:
    """However long the disk took: from when it can first be seen, a series is at 0 for so long."""
    desk.post(launched(execution()))
    desk.advance(HOLD)
    desk.settle()
    desk.release()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(_JUST_BEFORE)
    desk.release()
    assert desk.value(_LAUNCHED) == 0


def test_a_clock_that_was_ahead_holds_nobody_for_ever(desk: Desk) -> None:
    """When it is set back by a day, a hold lasts as long as it should from then on."""
    desk.advance(timedelta(days=1))
    desk.count(launched(execution()))
    desk.advance(-timedelta(days=1))
    desk.release()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(_JUST_BEFORE)
    desk.release()
    assert desk.value(_LAUNCHED) == 0
    desk.advance(timedelta(microseconds=1))
    desk.release()
    assert desk.value(_LAUNCHED) == 1
