"""
Slots of a schedule pass, and each gets one verdict: it ran, was missed, or was skipped.

1. Nothing is judged before the launch plan was seen active with its schedule for a minute: the
   scheduler itself takes up to half of that to notice.
2. A slot ran if a run says so. A fixed rate counts from its last run, so there any run does that
   comes before the slot after the next.
3. A slot without a run is judged as soon as a run for a later slot has been there for the grace
   time: the scheduler goes through the slots in their order, so it will not come back for this one.
   As long as there is no later run, the scheduler may be down, and what it has not seen to it will
   catch up on. After a day nobody waits for that any longer.
4. It takes a listing after the slot to say that the launch plan still had that schedule then: until
   there is one, a slot without a run waits.
5. Without a run it was skipped if as many executions of the launch plan ran as its concurrency
   policy allows, and that is to skip; missed if not. Those that still wait, or are being stopped,
   do not count. Who runs for a slot counts from that slot on, however late it was launched: while
   it runs, a scheduler that catches up skips the slots after it.
6. A verdict stands. A run that comes after it moves `last_run`, and nothing is taken back.

Source: flyteadmin `scheduler/core/gocron_scheduler.go`, `scheduler/executor/executor_impl.go`; of
the policy, `pkg/manager/impl/execution_manager.go`, `checkLaunchPlanConcurrency`.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from operator import itemgetter

from exporter.model.executions import Execution, ExecutionId, Phase, Tracked
from exporter.model.launch_plans import KEPT_FOR
from exporter.model.schedules import (
    Judgement,
    ScheduledRun,
    ScheduleState,
    Span,
    Timetable,
)
from exporter.model.time import EPOCH, SECOND, Micros, micros
from exporter.track.cron import Line
from exporter.track.periods import slots_of

SLACK = timedelta(minutes=1)
"""From the first sight of a schedule to the first slot that is judged."""

PATIENCE = timedelta(days=1)
"""How long a slot waits for a scheduler that may be down."""

_LONG = micros(timedelta(days=1))
"""After this a schedule is looked at again in any case."""

_MOST_SLOTS = 500
"""Slots looked at in one go: some 10 ms."""

_JITTER = 5 * SECOND
"""By how much the runs of a fixed rate may be early: the first has a fraction of a second more."""

_COUNTED = frozenset({Phase.QUEUED, Phase.RUNNING})
"""Phases in which Flyte counts an execution against a concurrency policy."""

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
        # What never ran never kept the scheduler from anything.
        if row.launch_plan in exclusive and row.started_at is not None:
            start = row.id.created_at if row.scheduled_at is None else row.scheduled_at
            spans.setdefault(row.launch_plan, []).append(Span(start, row.updated_at))
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
    return _trimmed(state)


def _trimmed(state: ScheduleState) -> ScheduleState:
    """Return *state* without what only slots that are judged had needed."""
    judged = state.judged
    return state._replace(
        runs=tuple(run for run in state.runs if max(run) > judged),
        busy=tuple(span for span in state.busy if span.end > judged),
    )


def judge_all(states: Mapping[str, ScheduleState], agenda: Agenda) -> dict[str, Judgement]:
    """
    Look at the schedules of *agenda*; *states* are what is known so far.

    Returns:
        What came of it, for as many as there is time for in one go; for one at least.
    """
    found: dict[str, Judgement] = {}
    looks = 0
    for launch_plan, timetable in agenda.timetables.items():
        if looks >= _MOST_SLOTS:
            break
        state = states.get(launch_plan, _UNKNOWN)
        if timetable is None:
            found[launch_plan] = Judgement(ScheduleState(last_run=state.last_run))
            continue
        live = agenda.live.get(launch_plan, {})
        found[launch_plan], more = _judged(timetable, state, live, agenda)
        looks += more
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
    state = state._replace(exclusive=timetable.at_once > 0)
    if slots is None:
        return Judgement(state, again_at=Micros(at + _LONG)), 1
    judge = _Judge(slots, state, live, agenda, timetable.at_once)
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
    """Return those of *states* that know no schedule, and of no run that is not long over."""
    bound = now - micros(KEPT_FOR)
    return [
        launch_plan
        for launch_plan, state in states.items()
        if not state.schedule and (state.last_run or EPOCH) < bound
    ]


def _begun(
    timetable: Timetable, state: ScheduleState, slots: Line | timedelta | None, at: Micros
) -> ScheduleState:
    """Return the state of a launch plan that was just seen with a schedule."""
    since = Micros(max(at, timetable.since) + micros(SLACK))
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


def _ran_until(row: Tracked, at: Micros) -> Micros:
    """Return until when an execution ran that is not over: until *at*, if it still does."""
    return at if row.phase in _COUNTED else row.since


class _Judge:
    """
    Goes through the slots of one launch plan.

    Attributes:
        looks: At how many it had to look; there is a limit for one go.
    """

    def __init__(
        self,
        slots: Line | timedelta,
        state: ScheduleState,
        live: Mapping[ExecutionId, Tracked],
        agenda: Agenda,
        at_once: int,
    ) -> None:
        at, grace = agenda.at, micros(agenda.grace)
        self._slots = slots
        self._state = state
        self._at = at
        self._sure = agenda.sure
        self._at_once = at_once
        self._waits = False
        self._grace = grace
        self._due = at - grace
        self._missed = self._skipped = 0
        self._following: dict[Micros, Micros | None] = {}
        self.looks = 1
        launched = {run.created_at: run.slot for run in state.runs}
        self._spans = [
            *state.busy,
            *(
                Span(launched.get(key.created_at, key.created_at), _ran_until(row, at))
                for key, row in live.items()
                if row.started or row.phase in _COUNTED
            ),
        ]
        self._filled = sorted(run.slot for run in state.runs)
        self._filled_seconds = {slot // SECOND for slot in self._filled}
        ripe = [run.slot for run in state.runs if run.created_at + grace <= at]
        self._latest_run = max(ripe, default=0)

    def pass_verdicts(self) -> None:
        """Judge the slots that are ripe, in their order."""
        for slot in self._pending():
            ran_for = self._run_of(slot)
            if ran_for is not None:
                self._settle(ran_for)
                continue
            given_up = slot + micros(PATIENCE) <= self._at
            if not (slot < self._latest_run or given_up):
                break
            if slot <= self._state.since:
                self._state = self._state._replace(judged=slot)
            elif slot > self._sure:
                self._waits = True
                break
            elif self._is_excused(slot):
                self._skipped += 1
                self._state = self._state._replace(judged=slot)
            else:
                self._missed += 1
                self._settle(slot)

    def judgement(self) -> Judgement:
        """Return what came of it."""
        last_due = self._last_due()
        after_due, next_due = self._after(Micros(self._due)), self._after(self._at)
        times = [Micros(self._at + _LONG)]
        if next_due is not None:
            times.append(next_due)
        if after_due is not None:
            times.append(Micros(after_due + self._grace))
        pending = next(self._pending(), None)
        if self._waits:
            times.append(Micros(self._at + 1))
        elif pending is not None:
            times.append(Micros(pending + micros(PATIENCE)))
            times += (
                Micros(run.created_at + self._grace)
                for run in self._state.runs
                if run.slot > pending and run.created_at > self._due
            )
        if self.looks >= _MOST_SLOTS:
            times.append(self._at)
        return Judgement(
            _trimmed(self._state),
            self._missed,
            self._skipped,
            last_due,
            next_due,
            min(times),
        )

    def _settle(self, slot: Micros) -> None:
        last_due = max(self._state.last_due or slot, slot)
        self._state = self._state._replace(judged=slot, last_due=last_due)

    def _pending(self) -> Iterator[Micros]:
        """Yield the slots that are due and have no verdict, as long as there is time for it."""
        while self.looks < _MOST_SLOTS:
            slot = self._next(self._state.judged)
            if slot is None or slot > self._due:
                return
            self.looks += 1
            yield slot

    def _next(self, slot: Micros) -> Micros | None:
        if isinstance(self._slots, timedelta):
            return Micros(slot + micros(self._slots))
        if slot not in self._following:
            self._following[slot] = self._slots.after(slot)
        return self._following[slot]

    def _after(self, instant: Micros) -> Micros | None:
        """Return the first slot after *instant*."""
        if isinstance(self._slots, timedelta):
            period, anchor = micros(self._slots), self._state.judged
            return Micros(anchor + max(1, (instant - anchor) // period + 1) * period)
        passed = self._state.passed
        following = self._next(passed) if passed <= instant else None
        if following is not None and following > instant:
            return following
        return self._slots.after(instant)

    def _run_of(self, slot: Micros) -> Micros | None:
        """Return the slot by its run's own account; None if it has no run."""
        if not isinstance(self._slots, timedelta):
            return slot if slot // SECOND in self._filled_seconds else None
        period = micros(self._slots)
        end = slot + period - min(_JITTER, period // 2)
        place = bisect_right(self._filled, self._state.judged)
        run = next(iter(self._filled[place : place + 1]), None)
        return run if run is not None and run < end else None

    def _is_excused(self, slot: Micros) -> bool:
        """Whether the scheduler had a reason not to launch a run for *slot*."""
        return self._is_busy(slot, slot)

    def _is_busy(self, start: Micros, end: Micros) -> bool:
        """Whether as many as its policy allows ran from *start* to *end*."""
        there = sum(span.start <= start and end <= span.end for span in self._spans)
        return 0 < self._at_once <= there

    def _last_due(self) -> Micros | None:
        newest = self._newest_due()
        if newest <= max(self._state.judged, self._state.since):
            return self._state.last_due
        if self._run_of(newest) is not None or not self._is_excused(newest):
            return newest
        oldest = self._next(self._state.judged)
        if oldest is None or self._is_busy(oldest, newest):
            return self._state.last_due
        found = self._state.last_due
        slot: Micros | None = oldest
        for _ in range(_MOST_SLOTS):
            if slot is None or slot >= newest:
                break
            if slot > self._state.since and not self._is_excused(slot):
                found = slot
            slot = self._next(slot)
        return found

    def _newest_due(self) -> Micros:
        """Return the newest slot that is due; `judged`, or `since`, if there is none."""
        if isinstance(self._slots, timedelta):
            period, anchor = micros(self._slots), self._state.judged
            return Micros(anchor + max(0, self._due - anchor) // period * period)
        passed = max(self._state.passed, self._state.judged)
        while self.looks < _MOST_SLOTS:
            slot = self._next(passed)
            if slot is None or slot > self._due:
                break
            passed, self.looks = slot, self.looks + 1
        self._state = self._state._replace(passed=passed)
        return passed
