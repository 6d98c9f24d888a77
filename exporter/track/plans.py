"""
Ends of executions become the state of their launch plan, and the state becomes what is shown.

1. Root executions alone: a child's failure is its parent's, which fails by it or copes.
2. An abort is somebody's decision, and neither a success nor a failure. Timing out is failing.
3. Order is that of the ends, by propeller's clock, and not that in which they became known.
4. An end that lies ahead of our clock is taken as now: one wrong clock must not have the launch
   plan seem fresh, or its failures forgiven, for as long as it was ahead.
5. Every end is told once (see `track.executions`); told once, in any order, it gives one state.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import chain, compress
from operator import itemgetter
from typing import TypeVar

from exporter.model.ends import Ends
from exporter.model.executions import TERMINAL, Execution, Mode, Phase
from exporter.model.launch_plans import KEPT_FOR, SHOWN_FOR, Norms, PlanState, Run, Standing
from exporter.model.time import Micros, micros

MOST_SUCCESSES = 64
"""Successes kept for the expected duration: two months of nights, a day of every 20 minutes."""

MOST_FAILURES = 100
"""Failures in a row that are told apart. Whoever has more of them has no use for the number."""

LEAST_SUCCESSES = 5
"""Fewer do not tell what is usual. Up to 19, the slowest is the 95th percentile."""

MOST_IDLE = 10_000
"""States kept of launch plans of one target that are not in use, however recently they ran."""

_EXPECTED_IN_100 = 95
_PERIODS = 2
_AHEAD = micros(timedelta(minutes=5))
"""Clocks that are this close to ours are right."""
_NOTHING = timedelta()
_FAILURES = frozenset({Phase.FAILED, Phase.TIMED_OUT})
_new = tuple.__new__
_PLACE = Execution._fields.index
_ENDED = itemgetter(_PLACE("updated_at"))
_LASTED = itemgetter(_PLACE("duration"))
_END_AND_DURATION = itemgetter(_PLACE("updated_at"), _PLACE("duration"))
_AT = itemgetter(0)
_UNKNOWN = PlanState()

_Ordered = TypeVar("_Ordered", Micros, Run)
_Ended = tuple[Micros, int | None]
"""When an execution ended, and how long it had run."""


def advance_all(states: Mapping[str, PlanState], ends: Ends, now: Micros) -> dict[str, PlanState]:
    """
    Return the states that *ends* change, by launch plan.

    Args:
        states: Those known so far; a launch plan without one has never finished a root execution.
        ends: Of executions none of which was told before; in any order.
        now: Our clock.
    """
    changed: dict[str, PlanState] = {}
    for (launch_plan, mode, phase, _, _), rows in ends.items():
        if mode is Mode.CHILD_WORKFLOW or phase not in TERMINAL:
            continue
        before = changed.get(launch_plan) or states.get(launch_plan, _UNKNOWN)
        changed[launch_plan] = _advanced(before, phase, _in_order(rows, now))
    return {plan: state for plan, state in changed.items() if state != states.get(plan)}


def _in_order(rows: Sequence[Execution], now: Micros) -> list[_Ended]:
    """
    Return the ends of *rows* in their order, none of which is ahead of *now*.

    Of many, only the newest, all that can matter among them.
    """
    most = max(MOST_SUCCESSES, MOST_FAILURES)
    if len(rows) > 2 * most:
        # So many of the rows that came last ended at or after this: no older one can matter. Those
        # that came last are sorted alone, for they are nearly all of those that do.
        at = list(map(_ENDED, rows))
        least = sorted(at[-4 * most :])[-most]
        newest = list(compress(rows, map(least.__le__, at)))
        if all(map(_LASTED, newest)):
            rows = newest
    ends: list[_Ended] = sorted(map(_END_AND_DURATION, rows), key=_AT)
    latest = now + _AHEAD
    if ends[-1][0] > latest:
        ends = [(now, lasted) if at > latest else (at, lasted) for at, lasted in ends]
        ends.sort(key=_AT)
    return ends


def _advanced(state: PlanState, phase: Phase, ends: Sequence[_Ended]) -> PlanState:
    """Return *state* with *ends* in the same *phase*, which are in order."""
    # Of a backlog's rows, all but the newest few say nothing here, and are not even looked at.
    newest = ends[-1][0]
    state = state._replace(ended_at=max(state.ended_at, newest))
    if phase is Phase.SUCCEEDED:
        succeeded_at = max(state.succeeded_at or newest, newest)
        runs = _newest_runs(ends, MOST_SUCCESSES)
        return state._replace(
            succeeded_at=succeeded_at,
            newest=_newer(state.newest, runs),
            failures=tuple(at for at in state.failures if at > succeeded_at),
            successes=_merged(state.successes, runs),
        )
    if phase in _FAILURES:
        since = state.succeeded_at
        failed = [at for at, _ in ends[-MOST_FAILURES:] if since is None or at > since]
        return state._replace(
            failed_at=max(state.failed_at or newest, newest),
            newest=_newer(state.newest, _newest_runs(ends, 1)),
            failures=tuple(sorted([*state.failures, *failed])[-MOST_FAILURES:]),
        )
    return state


def merged(states: Iterable[PlanState]) -> PlanState | None:
    """
    Return the state of one launch plan that all of *states* are about; None of none.

    It is the one that there would be if all the ends had been told of one launch plan.
    """
    found = list(states)
    if len(found) <= 1:
        return found[0] if found else None
    succeeded_at = _newest(state.succeeded_at for state in found)
    failures = sorted(chain.from_iterable(state.failures for state in found))
    if succeeded_at is not None:
        failures = [at for at in failures if at > succeeded_at]
    successes = sorted(chain.from_iterable(state.successes for state in found))
    return PlanState(
        ended_at=max(state.ended_at for state in found),
        succeeded_at=succeeded_at,
        failed_at=_newest(state.failed_at for state in found),
        newest=_newest(state.newest for state in found),
        failures=tuple(failures[-MOST_FAILURES:]),
        successes=tuple(successes[-MOST_SUCCESSES:]),
    )


def spare(states: Mapping[str, PlanState]) -> list[str]:
    """
    Return those of *states* that add nothing to what they are together.

    Nor will they ever: what is merged keeps the newest, and nothing becomes newer.
    """
    together = merged(states.values())
    if together is None or len(states) == 1:
        return []
    failures, successes = set(together.failures), set(together.successes)
    return [
        name
        for name, state in states.items()
        if state.ended_at != together.ended_at
        and (state.succeeded_at is None or state.succeeded_at != together.succeeded_at)
        and (state.failed_at is None or state.failed_at != together.failed_at)
        and (state.newest is None or state.newest != together.newest)
        and failures.isdisjoint(state.failures)
        and successes.isdisjoint(state.successes)
    ]


def surplus(idle: Mapping[str, PlanState]) -> list[str]:
    """
    Return those of *idle*, beyond so many as are kept, that ended the longest ago.

    A name that changes with every run, and that no rule collapses, must not fill the memory.
    """
    most = len(idle) - MOST_IDLE
    return sorted(idle, key=lambda name: idle[name].ended_at)[:most] if most > 0 else []


def _newest(values: Iterable[_Ordered | None]) -> _Ordered | None:
    return max((value for value in values if value is not None), default=None)


def consecutive_failures(state: PlanState) -> int:
    """Return how many root executions failed since the last that succeeded, as far as is kept."""
    return len(state.failures)


def expected_duration(state: PlanState) -> timedelta | None:
    """Return what 95 in 100 of the recent successes did not exceed; None where they are too few."""
    if len(state.successes) < LEAST_SUCCESSES:
        return None
    ordered = sorted(run.lasted for run in state.successes)
    return timedelta(microseconds=ordered[(_EXPECTED_IN_100 * len(ordered) - 1) // 100])


def standing(state: PlanState | None, norms: Norms) -> Standing:
    """
    Return what is shown of a launch plan.

    Args:
        state: None where no root execution of it was ever seen to end.
        norms: What is asked of it.
    """
    state = state or _UNKNOWN
    expected = norms.expected_duration or expected_duration(state)
    limit = norms.freshness
    if limit is None and norms.period is not None:
        # One run may fail, and its successor may take its time: two periods are not late yet.
        limit = _PERIODS * norms.period + (expected or _NOTHING)
    return Standing(
        succeeded_at=state.succeeded_at,
        failed_at=state.failed_at,
        last_duration=timedelta(microseconds=state.newest.lasted) if state.newest else None,
        consecutive_failures=consecutive_failures(state) if state.has_outcome else None,
        expected_duration=expected,
        freshness_limit=limit,
    )


def is_shown(state: PlanState, now: Micros, *, stays: bool) -> bool:
    """
    Whether a launch plan with *state* is shown.

    Args:
        state: Its state.
        now: Our clock.
        stays: Whether it is, however long ago it ran.
    """
    return stays or now - state.ended_at <= micros(SHOWN_FOR)


def is_kept(state: PlanState, now: Micros, *, stays: bool) -> bool:
    """Whether *state* is kept; see `is_shown`."""
    return stays or now - state.ended_at <= micros(KEPT_FOR)


def _newest_runs(ends: Sequence[_Ended], most: int) -> list[Run]:
    """Return the newest of *ends*, no more than *most*, whose duration is known; in order."""
    # Plain pairs are compared faster than named ones.
    found = sorted([end for end in ends if end[1]])
    return [_new(Run, end) for end in found[-most:]]


def _merged(successes: tuple[Run, ...], runs: list[Run]) -> tuple[Run, ...]:
    """Return the newest of both, each of which is in order."""
    if successes and runs and runs[0] < successes[-1]:
        return tuple(sorted([*successes, *runs])[-MOST_SUCCESSES:])
    # As nearly always: what is told now ended after what was told before.
    return (*successes, *runs)[-MOST_SUCCESSES:]


def _newer(newest: Run | None, runs: Sequence[Run]) -> Run | None:
    """Return the newest of all; *runs* are in order."""
    if not runs:
        return newest
    return runs[-1] if newest is None else max(newest, runs[-1])
