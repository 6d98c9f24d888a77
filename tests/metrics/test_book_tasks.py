"""Tasks are owners of series like launch plans: within the limit, and for as long as they live."""

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.labelling import Labelling
from exporter.metrics.measure import measure_tasks
from exporter.metrics.places import RETENTION
from exporter.model.renaming import Renaming
from exporter.model.tasks import CacheStatus, Tally, TaskPhase
from exporter.model.time import SECOND
from tests.metrics.conftest import Desk, ran
from tests.rows import TARGET

_DAY = timedelta(days=1)
_ATTEMPTS, _LOOKUPS = catalog.TASK_ATTEMPTS, catalog.CACHE_LOOKUPS


def worked(task: str = "work", *, times: int = 1) -> Tally:
    """Return what attempts that succeeded are owed."""
    found = Tally(attempts=Counter({(task, TaskPhase.SUCCEEDED): times}))
    found.ran[task] = [30 * SECOND] * times
    found.waited[task] = [2 * SECOND] * times
    return found


def succeeded(desk: Desk, task: str) -> float | None:
    """Return how many attempts are shown to have succeeded."""
    return desk.value((_ATTEMPTS, (*TARGET, task, "SUCCEEDED")))


def test_a_task_has_its_series_from_the_first_sight_on(open_desk: Desk) -> None:
    """Success and failure at 0, and both histograms; of other ends nothing is made up."""
    open_desk.count_tasks(Tally(lookups=Counter({("work", CacheStatus.CACHE_HIT): 3})))
    assert succeeded(open_desk, "work") == 0
    assert open_desk.value((_ATTEMPTS, (*TARGET, "work", "FAILED"))) == 0
    assert open_desk.value((_ATTEMPTS, (*TARGET, "work", "ABORTED"))) is None
    assert open_desk.value((_LOOKUPS, (*TARGET, "work", "CACHE_HIT"))) == 3
    for family in (catalog.TASK_DURATION, catalog.TASK_QUEUE_DURATION):
        assert open_desk.value((family, (*TARGET, "work")), suffix="_count") == 0


def test_seconds_are_counted_in_seconds() -> None:
    """What was in microseconds is in the unit of its family."""
    increments = measure_tasks(TARGET, worked())
    assert increments.observations == {
        (catalog.TASK_DURATION, (*TARGET, "work")): [30.0],
        (catalog.TASK_QUEUE_DURATION, (*TARGET, "work")): [2.0],
    }
    assert increments.launch_plans == frozenset()


def test_a_launch_plan_of_the_same_name_is_another(open_desk: Desk) -> None:
    """Neither keeps the other alive, and a task has no levels."""
    open_desk.count(ran(launch_plan="same"))
    open_desk.count_tasks(worked("same"))
    open_desk.count_tasks(worked("alone"))
    assert open_desk.book.places.launch_plans(TARGET) == ["same"]
    open_desk.advance(RETENTION / 2 + _DAY)
    open_desk.count_tasks(worked("same"))
    open_desk.advance(RETENTION / 2)
    open_desk.queued.append(open_desk.book.expire(open_desk.now, lambda _, name: name == ""))
    open_desk.settle()
    assert open_desk.book.places.launch_plans(TARGET) == []
    assert (succeeded(open_desk, "same"), succeeded(open_desk, "alone")) == (2, None)
    open_desk.restart()
    assert (succeeded(open_desk, "same"), succeeded(open_desk, "alone")) == (2, None)


def test_rules_for_launch_plans_leave_tasks_alone(open_desk: Desk) -> None:
    """They are not renamed, nor do they lose what they have when rules change."""
    open_desk.count_tasks(worked("work"))
    open_desk.labelling = Labelling(rules=[Renaming(".*", "all")])
    open_desk.restart()
    open_desk.count_tasks(worked("work"))
    open_desk.release()
    assert succeeded(open_desk, "work") == 2
    activity = {row.launch_plan for row in open_desk.ledger.activity()}
    assert len(activity) == 1
    assert "all" not in activity


def test_a_family_that_is_switched_off_is_not_counted(open_desk: Desk) -> None:
    """The others are."""
    open_desk.labelling = Labelling(disabled=[catalog.TASK_DURATION])
    open_desk.restart()
    open_desk.count_tasks(worked())
    assert open_desk.value((catalog.TASK_DURATION, (*TARGET, "work")), suffix="_sum") is None
    assert succeeded(open_desk, "work") == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_no_count_is_lost_to_the_limit(limit: int, tasks: list[int]) -> None:
    """Past it new tasks are counted under __overflow__, and ordinary series leave it room."""
    desk = Desk(hold=timedelta(0), limit=limit)
    for number in tasks:
        desk.count_tasks(worked(f"task {number}"))
    assert desk.total(_ATTEMPTS) == len(tasks)
    assert desk.total(catalog.TASK_DURATION) == len(tasks)
    shown = {dict(labels).get("task") for _, labels in desk.shown()}
    known = len(shown - {OVERFLOW})
    assert OVERFLOW in shown or known == len(set(tasks))
    assert known == 0 or known * 11 <= limit
