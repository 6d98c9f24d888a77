"""
Slots of a schedule pass, and each gets one verdict: it ran, was missed, or was skipped.

1. Nothing is judged before the launch plan was seen active with its schedule for a minute: the
   scheduler itself takes up to half of that to notice.
2. A slot ran if a run says so. A fixed rate counts from its last run, so there any run does that
   comes before the slot after the next.
3. A slot without a run is judged once a run for a later slot was launched an hour ago, for slots do
   not run in their order. A scheduler that starts runs what is due from then on in its time, and
   catches up on what was due before beside that: one call after the other, launch plan after launch
   plan. And a call that fails is repeated for up to 27 minutes while later slots run: that those
   before and after a slot ran in their time does not say that it is lost. As long as there is no
   later run, the scheduler may be down. After a day nobody waits for it any longer.
4. It takes a listing after the slot to say that the launch plan still had that schedule then: until
   there is one, a slot without a run waits.
5. Without a run it was skipped if as many executions of the launch plan ran as its concurrency
   policy allows, and that is to skip; missed if not. Those that are not queued yet, or are being
   stopped, do not count (see `track.concurrency`). Who runs for a slot counts from that slot on,
   however late it was launched: while it runs, a scheduler that catches up skips those after it. It
   skips those before it as well, but nothing says so: they were free in their time, and are missed.
6. A verdict stands. A run that comes after it moves `last_run`, and nothing is taken back.
7. What is due, what ran and what is due next is told meanwhile: none of it waits for a verdict.

Source: flyteadmin `scheduler/schedule_executor.go`, `scheduler/core/gocron_scheduler.go`,
    `scheduler/executor/executor_impl.go`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import timedelta

from exporter.model.executions import ExecutionId, Tracked
from exporter.model.schedules import Judgement, ScheduleState
from exporter.model.time import SECOND, Micros, micros
from exporter.track.concurrency import counted_so_far
from exporter.track.cron import Line

PATIENCE = timedelta(days=1)
"""How long a slot waits for a scheduler that may be down."""

CATCH_UP = micros(timedelta(hours=1))
"""
How long a slot waits for a scheduler that has launched a run for a later one.

A catch-up makes one call after the other, at most 100 per second. Where each takes 50 ms, an hour
is enough for 500 launch plans that are due every minute, after two hours without a scheduler. It is
twice as long as a call that fails is repeated.
"""

AGAIN_AFTER = micros(timedelta(days=1))
"""After this a schedule is looked at again in any case."""

MOST_SLOTS = 500
"""Slots looked at in one go: some 10 ms."""

_JITTER = 5 * SECOND
"""By how much the runs of a fixed rate may be early: the first has a fraction of a second more."""


class Judge:
    """
    Goes through the slots of one launch plan.

    Args:
        slots: A cron line or a period.
        state: What is known of how it keeps them.
        live: Its executions that are not over, and what is known of each.
        at_once: While so many run, a slot is skipped; None where none ever is.
        at: Everything that happened until then is known.
        sure: Until then its schedule was seen to hold.
        grace: How many microseconds after a slot its run may be seen.

    Attributes:
        looks: At how many it had to look; there is a limit for one go.
    """

    def __init__(
        self,
        slots: Line | timedelta,
        state: ScheduleState,
        live: Mapping[ExecutionId, Tracked],
        *,
        at_once: int | None,
        at: Micros,
        sure: Micros,
        grace: int,
    ) -> None:
        self._slots = slots
        self._state = state
        self._at = at
        self._sure = sure
        self._at_once = at_once
        self._waits = False
        self._grace = grace
        self._due = at - grace
        self._missed = self._skipped = 0
        self._following: dict[Micros, Micros | None] = {}
        self.looks = 1
        launched = {run.created_at: run.slot for run in state.runs}
        so_far = (
            counted_so_far(row, launched.get(key.created_at, key.created_at), at)
            for key, row in live.items()
        )
        self._spans = [*state.busy, *(span for span in so_far if span is not None)]
        self._filled = sorted(run.slot for run in state.runs)
        self._filled_seconds = {slot // SECOND for slot in self._filled}
        ripe = [run.slot for run in state.runs if run.created_at + CATCH_UP <= at]
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
        times = [Micros(self._at + AGAIN_AFTER)]
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
                Micros(run.created_at + CATCH_UP)
                for run in self._state.runs
                if run.slot > pending and run.created_at + CATCH_UP > self._at
            )
        if self.looks >= MOST_SLOTS:
            times.append(self._at)
        return Judgement(
            trimmed(self._state),
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
        while self.looks < MOST_SLOTS:
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
            period, anchor = micros(self._slots), self._newest_run(instant) or self._state.judged
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
        if self._at_once is None:
            return False
        there = sum(span.start <= start and end <= span.end for span in self._spans)
        return there >= self._at_once

    def _last_due(self) -> Micros | None:
        newest = self._newest_due()
        if newest <= max(self._state.judged, self._state.since):
            return self._state.last_due
        if newest // SECOND in self._filled_seconds or not self._is_excused(newest):
            return newest
        ran = self._newest_run(newest)
        found = ran or self._state.last_due
        slot = self._next(ran or self._state.judged)
        if slot is None or self._is_busy(slot, newest):
            return found
        for _ in range(MOST_SLOTS):
            if slot is None or slot >= newest:
                break
            if slot > self._state.since and not self._is_excused(slot):
                found = slot
            slot = self._next(slot)
        return found

    def _newest_due(self) -> Micros:
        """Return the newest slot that is due; `judged`, or `since`, if there is none."""
        if isinstance(self._slots, timedelta):
            period = micros(self._slots)
            anchor = self._newest_run(Micros(self._due)) or self._state.judged
            return Micros(anchor + max(0, self._due - anchor) // period * period)
        passed = max(self._state.passed, self._state.judged)
        while self.looks < MOST_SLOTS:
            slot = self._next(passed)
            if slot is None or slot > self._due:
                break
            passed, self.looks = slot, self.looks + 1
        self._state = self._state._replace(passed=passed)
        return passed

    def _newest_run(self, instant: Micros) -> Micros | None:
        """Return the newest slot up to *instant*, of those not judged yet, that has a run."""
        place = bisect_right(self._filled, instant)
        newest = self._filled[place - 1] if place else None
        return newest if newest is not None and newest > self._state.judged else None


def trimmed(state: ScheduleState) -> ScheduleState:
    """Return *state* without what only slots that are judged had needed."""
    judged = state.judged
    return state._replace(
        runs=tuple(run for run in state.runs if max(run) > judged),
        busy=tuple(span for span in state.busy if span.end > judged),
    )
