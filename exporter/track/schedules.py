"""
What is known of how launch plans keep their schedules: noted as runs come, judged as slots pass.

The rules of judging are those of `track.verdicts`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from operator import itemgetter

from exporter.model.executions import Execution, ExecutionId, Tracked
from exporter.model.launch_plans import KEPT_FOR
from exporter.model.schedules import (
    Judgement,
    ScheduledRun,
    ScheduleState,
    Span,
    Timetable,
)
from exporter.model.time import EPOCH, Micros, micros
from exporter.track.concurrency import counted
from exporter.track.cron import Line
from exporter.track.periods import slots_of
from exporter.track.verdicts import AGAIN_AFTER, MOST_SLOTS, Judge, trimmed

MOST_OVER = 10_000
"""States kept of launch plans of one target without a schedule, however recently they had one."""

_SLACK = timedelta(minutes=1)
"""From the first sight of a schedule to the first slot that is judged."""

_RUNS_PER_LOOK = 20
"""So many runs that are kept for slots not judged yet take as long as a look at a slot."""

_SLOT = itemgetter(Execution._fields.index("scheduled_at"))
_UNKNOWN = ScheduleState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """
    Launch plans whose schedules are to be looked at.

    Attributes:
        timetables: Theirs; None for one that is not active any more, or has none.
        live: Their executions that are not over, and what is known of each.
        at: Everything that happened until then is known.
        sure: Until then the timetables were seen to hold.
        grace: How long after a slot its run may be seen.
    """

    timetables: Mapping[str, Timetable | None]
    live: Mapping[str, Mapping[ExecutionId, Tracked]]
    at: Micros
    sure: Micros
    grace: timedelta


def note(
    states: Mapping[str, ScheduleState],
    launched: Iterable[Execution],
    finished: Iterable[Execution] = (),
) -> dict[str, ScheduleState]:
    """
    Return the states that change with what happened, by launch plan.

    Args:
        states: Those known so far.
        launched: Executions seen for the first time.
        finished: Executions seen over for the first time.
    """
    runs: defaultdict[str, list[Execution]] = defaultdict(list)
    for row in filter(_SLOT, launched):
        runs[row.launch_plan].append(row)
    spans: dict[str, list[Span]] = {}
    exclusive = {launch_plan for launch_plan, state in states.items() if state.exclusive}
    for row in finished if exclusive else ():
        if row.launch_plan in exclusive and (span := counted(row)) is not None:
            spans.setdefault(row.launch_plan, []).append(span)
    changed: dict[str, ScheduleState] = {}
    for launch_plan in dict.fromkeys(chain(runs, spans)):
        before = states.get(launch_plan, _UNKNOWN)
        after = _noted(before, runs.get(launch_plan, []), spans.get(launch_plan, []))
        if after != before:
            changed[launch_plan] = after
    return changed


def _noted(state: ScheduleState, launched: list[Execution], spans: list[Span]) -> ScheduleState:
    if launched:
        newest = max(map(_SLOT, launched))
        state = state._replace(last_run=max(state.last_run or newest, newest))
    if not state.schedule:
        return state
    runs = {ScheduledRun(_SLOT(row), row.id.created_at) for row in launched}
    state = state._replace(
        runs=tuple(sorted(runs.union(state.runs))), busy=tuple(sorted({*state.busy, *spans}))
    )
    return trimmed(state)


def judge_all(states: Mapping[str, ScheduleState], agenda: Agenda) -> dict[str, Judgement]:
    """
    Look at the schedules of *agenda*; *states* are what is known so far.

    Returns:
        What came of it, for as many as there is time for in one go; for one at least.
    """
    found: dict[str, Judgement] = {}
    looks = 0
    for launch_plan, timetable in agenda.timetables.items():
        if looks >= MOST_SLOTS:
            break
        state = states.get(launch_plan, _UNKNOWN)
        if timetable is None:
            found[launch_plan] = Judgement(ScheduleState(last_run=state.last_run))
            continue
        live = agenda.live.get(launch_plan, {})
        found[launch_plan], more = _judged(timetable, state, live, agenda)
        looks += more + len(state.runs) // _RUNS_PER_LOOK
    return found


def _judged(
    timetable: Timetable,
    state: ScheduleState,
    live: Mapping[ExecutionId, Tracked],
    agenda: Agenda,
) -> tuple[Judgement, int]:
    """Give each slot its verdict that is ripe for one; say also at how many slots that looked."""
    at = agenda.at
    slots = slots_of(timetable.schedule)
    if state.schedule != str(timetable.schedule) or state.since < timetable.since:
        # Nobody knows what was owed while it had another schedule, or was off.
        state = _begun(timetable, state, slots, at)
    state = state._replace(exclusive=timetable.at_once is not None)
    if slots is None:
        return Judgement(state, again_at=Micros(at + AGAIN_AFTER)), 1
    judge = Judge(
        slots,
        state,
        live,
        at_once=timetable.at_once,
        at=at,
        sure=agenda.sure,
        grace=micros(agenda.grace),
    )
    judge.pass_verdicts()
    return judge.judgement(), judge.looks


def most_behind(judgements: Iterable[Judgement]) -> Judgement | None:
    """
    Return the one of *judgements* whose last run is the furthest behind its last due slot.

    Of launch plans that share a name, it speaks for all: where one of them is late, so is the name.
    Of those that are equally late, it is the one that was due last. None where none has a schedule.
    """
    scheduled = [judgement for judgement in judgements if judgement.state.schedule]
    return max(scheduled, key=_behind, default=None)


def _behind(judgement: Judgement) -> tuple[int, Micros]:
    due, ran = judgement.last_due or EPOCH, judgement.state.last_run or EPOCH
    return max(0, due - ran), due


def outdated(states: Mapping[str, ScheduleState], now: Micros) -> list[str]:
    """
    Return those of *states* that know no schedule, and of no run that is not long over.

    Of too many without a schedule, also those whose runs are the oldest: a launch plan that has
    another name each time it is deployed must not fill the memory.
    """
    bound = now - micros(KEPT_FOR)
    ran = {plan: state.last_run or EPOCH for plan, state in states.items() if not state.schedule}
    oldest = sorted(ran, key=ran.__getitem__)
    surplus = len(oldest) - MOST_OVER
    return [plan for place, plan in enumerate(oldest) if place < surplus or ran[plan] < bound]


def _begun(
    timetable: Timetable, state: ScheduleState, slots: Line | timedelta | None, at: Micros
) -> ScheduleState:
    """Return the state of a launch plan that was just seen with a schedule."""
    since = Micros(max(at, timetable.since) + micros(_SLACK))
    judged = since
    if isinstance(slots, timedelta) and state.last_run and state.last_run + micros(slots) > at:
        # It has been running at this rate for a while.
        judged = state.last_run
    return ScheduleState(
        last_run=state.last_run,
        schedule=str(timetable.schedule),
        since=since,
        judged=judged,
        passed=since,
    )
