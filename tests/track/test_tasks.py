"""What is counted of a finished execution's tasks follows the rules of `track.tasks`."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.model.tasks import (
    Attempt,
    CacheStatus,
    Node,
    SubTask,
    Tally,
    TaskPhase,
    Visited,
)
from exporter.model.time import SECOND
from exporter.track.tasks import tally
from tests.rows import after

HIT, MISS, POPULATED = (
    CacheStatus.CACHE_HIT,
    CacheStatus.CACHE_MISS,
    CacheStatus.CACHE_POPULATED,
)
OFF = CacheStatus.CACHE_DISABLED


def node(*, cache: CacheStatus | None = None, task: str = "") -> Node:
    """Return a node."""
    return Node(id="n0", has_attempts=True, is_parent=False, cache=cache, cached_task=task)


def attempt(
    phase: TaskPhase = TaskPhase.SUCCEEDED,
    *,
    task: str = "work",
    started: float | None = 2,
    lasted: float | None = 10,
    sub_tasks: tuple[SubTask, ...] | None = None,
) -> Attempt:
    """Return an attempt that was heard of at noon."""
    return Attempt(
        task=task,
        phase=phase,
        created_at=after(0),
        started_at=None if started is None else after(started),
        duration=None if lasted is None else round(lasted * SECOND),
        sub_tasks=sub_tasks,
    )


def of(*attempts: Attempt, about: Node | None = None) -> Tally:
    """Return what is counted of one node."""
    return tally([Visited(about or node(), attempts)])


def test_an_attempt_counts_with_its_times() -> None:
    """How it ended, how long it waited, and how long it ran."""
    found = of(attempt())
    assert found.attempts == {("work", TaskPhase.SUCCEEDED): 1}
    assert found.waited == {"work": [2 * SECOND]}
    assert found.ran == {"work": [10 * SECOND]}
    assert not found.lookups


def test_every_attempt_counts_and_only_success_lasts() -> None:
    """A task that failed at once must not look fast."""
    found = of(
        attempt(TaskPhase.FAILED, lasted=1),
        attempt(TaskPhase.RETRYABLE_FAILED, lasted=1),
        attempt(),
    )
    assert found.attempts == {("work", TaskPhase.FAILED): 2, ("work", TaskPhase.SUCCEEDED): 1}
    assert found.ran == {"work": [10 * SECOND]}
    assert len(found.waited["work"]) == 3


def test_what_did_not_end_or_did_not_start_is_unknown() -> None:
    """Neither 0 seconds nor an attempt is made up."""
    assert of(attempt(TaskPhase.RUNNING)) == Tally()
    failed = of(attempt(TaskPhase.FAILED, started=None, lasted=None))
    assert failed.attempts == {("work", TaskPhase.FAILED): 1}
    assert not failed.waited
    assert not of(attempt(lasted=0)).ran


def test_clocks_that_disagree_make_no_negative_wait() -> None:
    """The start may be told by a clock that is behind."""
    assert of(attempt(started=-3)).waited == {"work": [0]}


def test_a_map_task_counts_by_its_inputs() -> None:
    """Each attempt at each input, and one duration: of their times nothing is kept."""
    found = of(
        attempt(
            sub_tasks=(
                SubTask(0, 0, TaskPhase.SUCCEEDED, OFF),
                SubTask(1, 0, TaskPhase.FAILED, OFF),
                SubTask(1, 1, TaskPhase.SUCCEEDED, OFF),
                SubTask(2, 0, TaskPhase.RUNNING, OFF),
            )
        )
    )
    assert found.attempts == {("work", TaskPhase.SUCCEEDED): 2, ("work", TaskPhase.FAILED): 1}
    assert found.ran == {"work": [10 * SECOND]}
    assert found.waited == {"work": [2 * SECOND]}


def test_an_input_out_of_the_cache_was_not_attempted() -> None:
    """It is reported as if it had succeeded; and of several lookups the last one counts."""
    found = of(
        attempt(
            sub_tasks=(
                SubTask(0, 0, TaskPhase.SUCCEEDED, HIT),
                SubTask(1, 0, TaskPhase.FAILED, MISS),
                SubTask(1, 1, TaskPhase.SUCCEEDED, POPULATED),
            )
        ),
        about=node(cache=MISS),
    )
    assert found.attempts == {("work", TaskPhase.SUCCEEDED): 1, ("work", TaskPhase.FAILED): 1}
    assert found.lookups == {("work", HIT): 1, ("work", POPULATED): 1}


def test_the_cache_is_told_of_the_task() -> None:
    """By its attempts, or by the cache where there are none; else nobody knows of which."""
    assert of(attempt(), about=node(cache=POPULATED)).lookups == {("work", POPULATED): 1}
    assert of(about=node(cache=HIT, task="other")).lookups == {("other", HIT): 1}
    assert of(about=node(cache=HIT)) == Tally()


def test_all_tasks_are_told() -> None:
    """Whatever it is that is counted of them."""
    found = tally(
        [
            Visited(node(), [attempt()]),
            Visited(node(cache=HIT, task="cached"), []),
        ]
    )
    assert found.tasks == {"work", "cached"}


@given(
    st.lists(
        st.builds(
            attempt,
            st.sampled_from(TaskPhase),
            task=st.sampled_from(["a", "b"]),
            started=st.none() | st.floats(-5, 5),
            lasted=st.none() | st.floats(-5, 5),
        ),
        max_size=20,
    )
)
def test_nothing_is_counted_that_did_not_happen(attempts: list[Attempt]) -> None:
    """There are never more waits than attempts, nor more runs than successes; none is negative."""
    found = of(*attempts)
    for task in found.tasks:
        ended = sum(count for (name, _), count in found.attempts.items() if name == task)
        assert len(found.waited[task]) <= ended
        assert len(found.ran[task]) <= found.attempts[task, TaskPhase.SUCCEEDED]
        assert all(length >= 0 for length in found.waited[task])
        assert all(length > 0 for length in found.ran[task])
    assert found.attempts.total() <= len(attempts)
