"""
Whatever happens, in whatever order, each execution is counted exactly once.

The machine drives the real poll, pipeline, book and ledger against the simulated Admin. The model
that they are compared with is trivial: the list of what was launched, and what became of it.
"""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import grpc
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from exporter.admin.errors import AdminError
from exporter.config.settings import ScrapeSettings
from exporter.ledger.errors import LedgerError
from exporter.metrics import catalog
from exporter.model.executions import Mode, Phase
from exporter.model.failures import NO_CODE
from exporter.model.launch_plans import PlanState
from exporter.model.targets import Target
from exporter.model.time import EPOCH, SECOND, Micros, micros
from exporter.scrape.inquiry import PollTimeout
from exporter.sim.execution import ErrorSeen
from exporter.sim.executions import ExecutionKey
from exporter.track.plans import MOST_FAILURES
from tests.rig import Killed, Rig, failure

T = TypeVar("T")

TARGETS = (Target("a", "production"), Target("b", "production"))
PLANS = ("nightly", "adhoc")
SCRAPE = ScrapeSettings(
    page_size=3,
    overlap=timedelta(minutes=2),
    reconcile_interval=timedelta(minutes=10),
    reconcile_window=timedelta(hours=1),
)
LATEST = 50 * 60  # seconds; rows may be this late, which only the reconcile's window covers
ENDS = (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT)

CLUSTERS = ("", "", "east", "west", "south")
CODES_TOLD_APART = 2
"""Beside those that always have a place."""
OWN_PLACE = frozenset({NO_CODE, "OOMKilled"})
LAST_ERROR = "[2/2] currentAttempt done. Last Error: {}::" + "x" * 200
FAILURES: tuple[tuple[ErrorSeen | None, str, str], ...] = (
    (None, "UNKNOWN", "none"),
    (ErrorSeen("USER", "USER:ValueError", "Traceback"), "USER", "USER:ValueError"),
    (ErrorSeen("USER", "RetriesExhausted|Lost", LAST_ERROR.format("SYSTEM")), "SYSTEM", "Lost"),
    (ErrorSeen("USER", "RetriesExhausted|Bug", LAST_ERROR.format("USER")), "USER", "Bug"),
    (ErrorSeen("SYSTEM", "Bug", "no bug of theirs"), "SYSTEM", "Bug"),
    (ErrorSeen("USER", "OOMKilled", "exit code 137"), "USER", "OOMKilled"),
)
"""What executions fail with, and how that is to be counted."""

targets = st.sampled_from(TARGETS)
picks = st.integers(min_value=0, max_value=10_000)


@dataclass
class Run:
    """One execution as the model sees it."""

    key: ExecutionKey
    target: Target
    plan: str
    mode: Mode
    created_at: Micros
    visible_at: Micros
    cluster: str
    phase: Phase = Phase.UNDEFINED
    ran: bool = False
    lasted: float = 0
    kind: str = ""
    code: str = ""
    ended_at: Micros = EPOCH
    told: bool = True
    """Whether the state of its launch plan is to know of its end."""
    launch_counts: bool = True
    start_counts: bool = True
    end_counts: bool = True
    settled: Phase | None = None
    """Its phase when a poll last succeeded while it could be seen; None before."""
    deleted: bool = False

    @property
    def is_very_late(self) -> bool:
        """Whether its row comes later than the overlap reaches."""
        return self.visible_at - self.created_at > micros(SCRAPE.overlap)


class ExactlyOnce(RuleBasedStateMachine):
    """A world, an exporter, and a tally."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        varieties = {
            catalog.EXECUTION_ERROR_CODES: CODES_TOLD_APART,
            catalog.CLUSTER_EXECUTIONS_FINISHED: len(CLUSTERS),
        }
        self.rig = Rig(Path(self.scratch.name), settings=SCRAPE, varieties=varieties)
        self.loop = asyncio.new_event_loop()
        self.runs: list[Run] = []
        self.primed: set[Target] = set()
        self.shown: dict[str, float] = {}
        self.serial = 0
        self.corrections = 0.0
        self.very_late = False

    def teardown(self) -> None:
        """Let the world come to rest, and compare."""
        try:
            self.come_to_rest()
            self.compare()
        finally:
            self.rig.die()
            self.loop.close()
            self.scratch.cleanup()

    # The world

    @initialize(count=st.integers(0, 8), over=st.integers(0, 8), very_late=st.booleans())
    def history(self, count: int, over: int, *, very_late: bool) -> None:
        """Some executions are there, and some over, before anybody looks."""
        self.very_late = very_late
        for number in range(count):
            self.launch(TARGETS[number % 2], PLANS[0], Mode.SCHEDULED, 0, 0, tie=False)
            self.rig.clock.advance(1)
        for run in self.runs[:over]:
            self.move(run, Phase.RUNNING, 0)
            self.move(run, Phase.SUCCEEDED, 5)

    @rule(
        where=targets,
        plan=st.sampled_from(PLANS),
        mode=st.sampled_from([Mode.MANUAL, Mode.SCHEDULED, Mode.CHILD_WORKFLOW]),
        late=st.sampled_from([0, 0, 0, 20, 30]),
        ahead=st.sampled_from([0, 0, 0, 24 * 3600]),
        tie=st.booleans(),
    )
    def launch(
        self, where: Target, plan: str, mode: Mode, late: float, ahead: float, *, tie: bool
    ) -> None:
        """An execution is launched; its row may come late, or be dated in the future."""
        now = self.rig.clock.now()
        created_at = Micros(now + round(ahead * SECOND))
        if tie and self.runs:
            created_at = self.runs[-1].created_at
            if created_at < now - 60 * SECOND:
                created_at = now
        self.serial += 1
        # Both wheres use the same names; a name says nothing about which where it belongs to.
        name = f"x{self.serial // 2}"
        if self.is_taken(where, name, created_at):
            name = f"y{self.serial}"
        visible_at = Micros(now + round(late * SECOND))
        cluster = CLUSTERS[self.serial % len(CLUSTERS)]
        key = self.rig.launch(
            where,
            name,
            cluster=cluster,
            launch_plan=plan,
            mode=mode,
            created_at=created_at,
            written_at=now,
            visible_at=visible_at if late else None,
        )
        self.runs.append(Run(key, where, plan, mode, created_at, visible_at, cluster))

    @rule(where=targets, plan=st.sampled_from(PLANS))
    @precondition(lambda self: self.very_late)
    def launch_very_late(self, where: Target, plan: str) -> None:
        """A row comes so late that only the reconcile's window can find it."""
        self.launch(where, plan, Mode.MANUAL, LATEST, 0, tie=False)

    def is_taken(self, target: Target, name: str, created_at: Micros) -> bool:
        """Whether Admin has that name; or it had, and what had it was created at that instant."""
        return any(
            run.key == ExecutionKey(*target, name)
            and (not run.deleted or run.created_at == created_at)
            for run in self.runs
        )

    @rule(where=targets, count=st.integers(4, 9))
    def burst(self, where: Target, count: int) -> None:
        """More executions are born on one instant than a page holds."""
        for _ in range(count):
            self.launch(where, PLANS[1], Mode.MANUAL, 0, 0, tie=True)

    @rule(pick=picks, end=st.sampled_from(ENDS), skew=st.sampled_from([0, 0, -5]))
    def finish(self, pick: int, end: Phase, skew: float) -> None:
        """Propeller moves an execution: to RUNNING, or to its end."""
        unfinished = [r for r in self.runs if not r.phase.is_terminal and not r.deleted]
        if not unfinished:
            return
        run = unfinished[pick % len(unfinished)]
        if run.phase is Phase.UNDEFINED and pick % 3:
            self.move(run, Phase.RUNNING, skew)
        else:
            self.move(run, end, skew + 7)

    def move(self, run: Run, phase: Phase, after: float) -> None:
        """Have Admin record an event."""
        now = self.rig.clock.now()
        at = Micros(now + round(after * SECOND))
        if phase is Phase.RUNNING:
            run.ran, run.lasted = True, at / SECOND
        elif phase is Phase.SUCCEEDED and run.ran:
            run.lasted = at / SECOND - run.lasted
        error = None
        if phase in {Phase.FAILED, Phase.TIMED_OUT}:
            # Runs fail each in its own way: the name says which.
            sort = sum(map(ord, run.key.name)) % len(FAILURES)
            error, run.kind, run.code = FAILURES[sort]
        self.rig.admin.executions.move(run.key, phase, at=at, received_at=now, error=error)
        run.phase, run.ended_at = phase, at

    @rule(pick=picks)
    def archive(self, pick: int) -> None:
        """Somebody archives an execution, over or not."""
        there = [r for r in self.runs if not r.deleted]
        if there:
            run = there[pick % len(there)]
            self.rig.admin.executions.archive(run.key, at=self.rig.clock.now())

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        """Somebody deletes a row that we had the chance to see as it was."""
        seen = [r for r in self.runs if not r.deleted and r.settled is r.phase]
        if seen:
            run = seen[pick % len(seen)]
            self.rig.admin.executions.delete(run.key)
            run.deleted = True

    @rule(seconds=st.sampled_from([1, 30, 30, 150, 700, 4 * 3600]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.rig.clock.advance(seconds)

    @rule(seed=st.randoms(use_true_random=False), hours=st.integers(1, 3))
    def ordinary_hours(self, seed: Random, hours: int) -> None:
        """Life goes on: launches, ends and polls, long enough for reconciles and for forgetting."""
        for _ in range(hours * 6):
            for _ in range(seed.randrange(4)):
                late = seed.choice((0, 0, 5, 25))
                where = seed.choice(TARGETS)
                self.launch(where, seed.choice(PLANS), Mode.SCHEDULED, late, 0, tie=False)
            for _ in range(seed.randrange(6)):
                self.finish(seed.randrange(1000), seed.choice(ENDS), 0)
            self.rig.clock.advance(seed.choice((10, 10, 30, 300, 600)))
            for where in TARGETS:
                if seed.random() < 0.8:
                    self.drive(self.one_poll(where))

    # The exporter

    @rule(where=targets)
    def poll(self, where: Target) -> None:
        """A poll in peace."""
        self.drive(self.one_poll(where))

    @rule(data=st.data())
    @precondition(lambda self: len(self.primed) == len(TARGETS))
    def polls_interleave(self, data: st.DataObject) -> None:
        """Both targets are polled at once, while the world moves on between any two steps."""

        async def at_await(_what: str) -> None:
            for _ in range(data.draw(st.integers(0, 2), label="yields")):
                await asyncio.sleep(0)
            match data.draw(st.sampled_from(["", "", "", "finish", "launch", "archive"])):
                case "finish":
                    self.finish(data.draw(picks), data.draw(st.sampled_from(ENDS)), 0)
                case "launch":
                    target = data.draw(targets)
                    self.launch(target, PLANS[0], Mode.MANUAL, 0, 0, tie=False)
                case "archive":
                    self.archive(data.draw(picks))
                case _:
                    pass

        async def both() -> None:
            await asyncio.gather(*(self.rig.poll(target) for target in TARGETS))

        self.rig.at_await = at_await
        self.drive(both())
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, after=st.integers(0, 12), code=st.sampled_from(["UNAVAILABLE", "UNKNOWN"]))
    def poll_fails(self, where: Target, after: int, code: str) -> None:
        """One of a poll's calls fails."""
        left = after

        async def at_await(what: str) -> None:
            nonlocal left
            left -= 1
            if left < 0 and what[0].isupper():
                raise failure(getattr(grpc.StatusCode, code), "failed database operation")

        self.rig.at_await = at_await
        self.drive(self.one_poll(where))
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, seconds=st.sampled_from([5, 14, 25, 40]), count=st.integers(1, 4))
    @precondition(lambda self: len(self.primed) == len(TARGETS))
    def polls_are_slow(self, where: Target, seconds: float, count: int) -> None:
        """Calls take so long that polls run out of time, and the next ones go on."""

        async def at_await(what: str) -> None:
            if what[0].isupper():
                self.rig.clock.advance(seconds)

        self.rig.at_await = at_await
        for _ in range(count):
            self.drive(self.one_poll(where))
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, seed=st.randoms(use_true_random=False), polls=st.integers(2, 12))
    @precondition(lambda self: len(self.primed) == len(TARGETS))
    def backlog_under_slow_polls(self, where: Target, seed: Random, polls: int) -> None:
        """For minutes polls run out of time, while rows come, some late by nearly the overlap."""

        def launch() -> None:
            late = seed.choice((0, 0, 0, 25, 60, 110))
            self.launch(where, seed.choice(PLANS), Mode.MANUAL, late, 0, tie=False)
            if seed.random() < 0.8:
                self.move(self.runs[-1], Phase.SUCCEEDED, 0)

        async def at_await(what: str) -> None:
            if what[0].isupper():
                if seed.random() < 0.5:
                    launch()
                self.rig.clock.advance(seed.choice((4, 12, 25)))

        for _ in range(seed.randrange(12)):
            launch()
            self.rig.clock.advance(seed.choice((0, 1, 4)))
        self.rig.at_await = at_await
        for _ in range(polls):
            self.drive(self.one_poll(where))
            self.rig.clock.advance(seed.choice((0, 10, 30)))
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, after=st.integers(0, 4))
    @precondition(lambda self: len(self.primed) == len(TARGETS))
    def ledger_fails(self, where: Target, after: int) -> None:
        """Some commit of a poll is refused, as by a full disk."""
        left = after

        async def at_await(what: str) -> None:
            nonlocal left
            left -= what == "before commit"
            if left < 0 and what == "before commit":
                raise LedgerError("the disk is full")
            await asyncio.sleep(0)

        self.rig.at_await = at_await
        self.drive(self.one_poll(where))
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, fits=st.integers(1, 2), count=st.integers(1, 6))
    @precondition(lambda self: len(self.primed) == len(TARGETS))
    def pages_are_too_large(self, where: Target, fits: int, count: int) -> None:
        """For a while only small pages can be received."""
        left = count

        async def at_await(what: str) -> None:
            nonlocal left
            if what == "ListExecutions" and left and self.rig.calls[-1][1].limit > fits:
                left -= 1
                raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max")

        self.rig.at_await = at_await
        self.drive(self.one_poll(where))
        self.rig.at_await = self.rig.nothing_happens

    @rule(where=targets, after=st.integers(0, 20))
    def killed_while_polling(self, where: Target, after: int) -> None:
        """The process dies at some await of a poll, and comes back."""
        unprimed = where not in self.primed
        seen = self.visible(where)
        self.rig.die_at(after)
        try:
            self.drive(self.rig.poll(where))
        except Killed:
            pass
        else:
            self.note_success(where, seen, primed=unprimed)
        self.rig.at_await = self.rig.nothing_happens
        self.reboot()
        # Dead after the commit and before anybody knew: primed all the same.
        progress = self.rig.ledger.target(where).progress
        if unprimed and where not in self.primed and progress is not None:
            self.note_primed(where)

    @rule(where=targets, after=st.integers(0, 20))
    def reloaded_while_polling(self, where: Target, after: int) -> None:
        """A poll is cut off at some await, and others go on with the same book."""
        unprimed = where not in self.primed
        seen = self.visible(where)
        finished = self.drive(self.cut_off(self.rig.poll(where), after))
        if finished:
            self.note_success(where, seen, primed=unprimed)
        elif unprimed and self.rig.ledger.target(where).progress is not None:
            self.note_primed(where)

    @rule(after=st.integers(0, 2))
    def reloaded_while_releasing(self, after: int) -> None:
        """The end of holds is cut off, and others see to it."""
        self.drive(self.cut_off(self.rig.upkeep.release(), after))

    async def cut_off(self, work: Coroutine[Any, Any, None], after: int) -> bool:
        """Cancel *work* at an await, as a reload does; return whether it was over before."""
        task = asyncio.ensure_future(work)
        left = after

        async def at_await(_: str) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                task.cancel()
            await asyncio.sleep(0)

        self.rig.at_await = at_await
        await asyncio.wait([task])
        # What was begun comes true, with nobody waiting for it.
        for _ in range(10):
            await asyncio.sleep(0)
        self.rig.at_await = self.rig.nothing_happens
        self.rig.relieve()
        if task.cancelled():
            return False
        task.result()
        return True

    @rule()
    def restart(self) -> None:
        """The process is replaced."""
        self.reboot()

    @rule()
    def holds_end(self) -> None:
        """Series whose hold is over are shown."""
        self.drive(self.rig.upkeep.release())

    @rule(after=st.integers(0, 1))
    def killed_while_releasing(self, after: int) -> None:
        """The process dies around the commit that ends a hold."""
        self.rig.die_at(after)
        with contextlib.suppress(Killed):
            self.drive(self.rig.upkeep.release())
        self.rig.at_await = self.rig.nothing_happens
        self.reboot()

    def reboot(self) -> None:
        """Replace the process; its own counters begin anew."""
        self.corrections += self.corrected()
        self.rig.restart()

    def corrected(self) -> float:
        """Return how many executions this process found only by a reconcile."""
        name = "flyte_exporter_reconcile_corrections_total"
        return sum(self.rig.metric(f'{name}{{reason="{r}"}}') or 0 for r in ("late", "missed"))

    @invariant()
    def never_steps_back(self) -> None:
        """No counter on /metrics ever steps back or goes away, restarts included."""
        shown = dict(self.rig.shown())
        for sample, before in self.shown.items():
            assert shown.get(sample, -1) >= before, sample
        self.shown = shown

    # The tally

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* to its end, and return what it does."""
        return self.loop.run_until_complete(coroutine)

    async def one_poll(self, target: Target) -> None:
        """Poll once, and note what the model must know of it."""
        unprimed = target not in self.primed
        seen = self.visible(target)
        try:
            await self.rig.poll(target)
        except (AdminError, LedgerError, PollTimeout):
            if unprimed and self.rig.ledger.target(target).progress is not None:
                self.note_primed(target)
            return
        self.note_success(target, seen, primed=unprimed)

    def note_success(self, target: Target, seen: list[Run], *, primed: bool) -> None:
        """Remember that whatever was there when the poll began has been seen as it is."""
        if primed:
            self.note_primed(target)
        for run in seen:
            if not run.is_very_late:
                run.settled = run.phase

    def note_primed(self, target: Target) -> None:
        """Whatever was there at a cold start is not counted, or only its end is."""
        self.primed.add(target)
        for run in self.visible(target):
            run.launch_counts = False
            run.start_counts = not run.ran
            run.end_counts = not run.phase.is_terminal
            since = self.rig.clock.now() - micros(SCRAPE.lookback)
            run.told = run.end_counts or run.created_at >= since

    def visible(self, target: Target) -> list[Run]:
        """Return what a list of *target* would show now."""
        now = self.rig.clock.now()
        return [
            r for r in self.runs if r.target == target and not r.deleted and r.visible_at <= now
        ]

    def come_to_rest(self) -> None:
        """Poll until there is nothing left to learn: late rows come, reconciles run, holds end."""
        self.rig.at_await = self.rig.nothing_happens
        for seconds in (1, LATEST + 1, 700, 700, 200):
            self.rig.clock.advance(seconds)
            for target in TARGETS:
                self.drive(self.one_poll(target))
            self.drive(self.rig.upkeep.release())
            self.never_steps_back()

    def compare(self) -> None:
        """Compare the ledger, and what is shown, with the model."""
        expected: Counter[tuple[str, ...]] = Counter()
        codes: Counter[tuple[str, ...]] = Counter()
        for run in self.runs:
            labels = (*run.target, run.plan)
            over = run.phase.is_terminal and run.end_counts
            if run.launch_counts:
                expected["flyte_executions_launched_total", *labels, run.mode.name] += 1
            if over:
                expected[
                    "flyte_executions_finished_total", *labels, run.mode.name, run.phase.name
                ] += 1
            if over and run.kind:
                key = ("flyte_execution_errors_total", *labels, run.mode.name, run.kind)
                expected[key] += 1
                codes[*run.target, run.kind, run.code] += 1
            if over and run.cluster:
                name = "flyte_cluster_executions_finished_total"
                expected[name, run.cluster, run.phase.name] += 1
            if over and run.phase is Phase.SUCCEEDED and run.ran and run.lasted > 0:
                expected["flyte_execution_duration_seconds", *labels] += 1
            if run.ran and run.start_counts and run.end_counts:
                expected["flyte_executions_started_total", *run.target] += 1
                expected["flyte_execution_queue_duration_seconds", *run.target] += 1
        totals = {key: value for key, value in self.rig.totals().items() if value}
        name = "flyte_execution_error_codes_total"
        self.compare_codes({key[1:]: totals.pop(key) for key in [*totals] if key[0] == name}, codes)
        assert totals == dict(expected)
        shown = {line: v for line, v in self.rig.shown().items() if v and "_bucket{" not in line}
        assert sum(shown.values()) == sum(expected.values()) + sum(codes.values())
        self.compare_plans()
        very_late = sum(run.is_very_late for run in self.runs)
        assert self.corrections + self.corrected() <= very_late, "the overlap was enough"

    def compare_codes(
        self, counted: dict[tuple[str, ...], float], codes: Counter[tuple[str, ...]]
    ) -> None:
        """Which codes came first is the exporter's to say; the others are `other`, none is lost."""
        for target in TARGETS:
            told = {key[-1] for key in counted if key[:2] == target and key[-1] != "other"}
            failing = {key[-1] for key in codes if key[:2] == target}
            assert len(told - OWN_PLACE) == min(len(failing - OWN_PLACE), CODES_TOLD_APART)
            assert failing & OWN_PLACE <= told
            expected: Counter[tuple[str, ...]] = Counter()
            for (*rest, code), count in codes.items():
                if tuple(rest[:2]) == target:
                    expected[*rest, code if code in told else "other"] += count
            assert {key: n for key, n in counted.items() if key[:2] == target} == dict(expected)

    def compare_plans(self) -> None:
        """Compare how each launch plan fared: every end that it was told, and each but once."""
        for target in TARGETS:
            states = self.rig.ledger.target(target).plans
            for plan in PLANS:
                ends = [
                    (run.ended_at, run.phase)
                    for run in self.runs
                    if (run.target, run.plan) == (target, plan)
                    and run.mode is not Mode.CHILD_WORKFLOW
                    and run.phase.is_terminal
                    and run.told
                ]
                won = [at for at, phase in ends if phase is Phase.SUCCEEDED]
                lost = [at for at, phase in ends if phase in {Phase.FAILED, Phase.TIMED_OUT}]
                last = max(won, default=None)
                state = states.get(plan, PlanState())
                assert state.ended_at == max((at for at, _ in ends), default=EPOCH)
                assert state.succeeded_at == last
                assert state.failed_at == max(lost, default=None)
                in_a_row = sorted(at for at in lost if last is None or at > last)
                assert list(state.failures) == in_a_row[-MOST_FAILURES:]


ExactlyOnce.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestExactlyOnce = ExactlyOnce.TestCase
