"""
What became of the tasks of one execution that is over.

1. An attempt counts when it has ended: how it ended, how long it waited and, when it succeeded, how
   long it ran.
2. A map task counts by its inputs: each attempt at each of them by itself. Admin keeps no times of
   them, so it has one duration and one time in the queue, those of the whole.
3. The cache is asked once for a node, or for an input of a map task: what it did last is what
   counts. An answer out of the cache is no attempt.
4. A node of another execution, which this one launched, is that execution's to count.

Source: flytepropeller `nodes/array/event_recorder.go`: an input found in the cache is reported as
    if it had succeeded, without a task that ran.
"""

from collections.abc import Iterable, Sequence

from exporter.model.tasks import Attempt, CacheStatus, SubTask, Tally, TaskPhase, Visited

_ENDS = {
    TaskPhase.SUCCEEDED: TaskPhase.SUCCEEDED,
    TaskPhase.FAILED: TaskPhase.FAILED,
    TaskPhase.RETRYABLE_FAILED: TaskPhase.FAILED,
    TaskPhase.ABORTED: TaskPhase.ABORTED,
}
"""How an attempt counts that ended in a phase; those that did not end are not in it."""


def tally(visited: Iterable[Visited]) -> Tally:
    """Work out what is to be counted of the nodes of one execution, each *visited* once."""
    found = Tally()
    for node, attempts in visited:
        mapped = False
        for attempt in attempts:
            _count(attempt, found)
            mapped = mapped or attempt.sub_tasks is not None
        # By its inputs, where it has some: the cache is asked for them, not for the whole.
        if node.cache is not None and not mapped:
            task = attempts[-1].task if attempts else node.cached_task
            if task:
                found.lookups[task, node.cache] += 1
    return found


def _count(attempt: Attempt, found: Tally) -> None:
    task, end = attempt.task, _ENDS.get(attempt.phase)
    if attempt.sub_tasks is not None:
        _count_sub_tasks(task, attempt.sub_tasks, found)
    elif end is not None:
        found.attempts[task, end] += 1
    if end is None or attempt.started_at is None:
        return
    # Two clocks are at work in the events of one attempt, and the later may be behind.
    found.waited[task].append(max(0, attempt.started_at - attempt.created_at))
    # A length of 0 or none is unknown, which is not 0 s.
    if end is TaskPhase.SUCCEEDED and attempt.duration is not None and attempt.duration > 0:
        found.ran[task].append(attempt.duration)


def _count_sub_tasks(task: str, sub_tasks: Sequence[SubTask], found: Tally) -> None:
    last: dict[int, SubTask] = {}
    for sub_task in sub_tasks:
        end = _ENDS.get(sub_task.phase)
        if end is not None and sub_task.cache is not CacheStatus.CACHE_HIT:
            found.attempts[task, end] += 1
        known = last.setdefault(sub_task.place, sub_task)
        if sub_task.attempt > known.attempt:
            last[sub_task.place] = sub_task
    for sub_task in last.values():
        if sub_task.cache is not CacheStatus.CACHE_DISABLED:
            found.lookups[task, sub_task.cache] += 1
