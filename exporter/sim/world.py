"""
A company's Flyte, moved by nothing but time: advance the world, and what was due has happened.

It is a function of its seed: each launch is due at a time and each execution has a fate, drawn
from names and not from what happened before. Clients may launch and abort in between; theirs stay
where they are until the client sends events, unless the world is told to drive them.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from exporter.model.executions import Mode, Phase
from exporter.model.time import Micros, micros
from exporter.sim import company, mischief, wire
from exporter.sim.api import AdminApi
from exporter.sim.catalog import Kind, Plan, plans
from exporter.sim.execution import ErrorSeen, ExecutionKey, Stored, digest
from exporter.sim.fates import CHILD_FAILED, End, Fate, fate
from exporter.sim.incidents import Agenda, Incident, Trouble
from exporter.sim.onlookers import Onlookers, child_name
from exporter.sim.scheduler import LAUNCHES_PER_SECOND, Scheduler
from exporter.sim.store import Store

HISTORY = timedelta(hours=6)
"""How long the company has been at work when the simulation starts, at speed 1."""

_LATEST_ROW = timedelta(seconds=30)
"""Admin waits so long for Kubernetes before it writes the row, whatever the speed."""
_SKEW = timedelta(seconds=5)
_SPIKE_SHARE = 0.7
_NEVER_ABORTED = 0.9
"""An aborted execution luckier than this stays ABORTING for ever, as happens on real clusters."""
_ABORT_TAKES = timedelta(seconds=2)
_CLUSTERS = ("eu-west-1-a", "eu-west-1-b")
"""Where the company's executions run, each wherever there is room."""
_DRIVEN_TYPICAL = timedelta(seconds=20)
"""Median duration of what a client launched, when the world drives it."""

Truth = Counter[tuple[str, str, str, str, str]]
"""Executions by project, domain, launch plan, mode and terminal phase."""


@dataclass(slots=True)
class _Life:
    """An execution that the world moves."""

    key: ExecutionKey
    fate: Fate
    child: Plan | None = None
    parent: "_Life | None" = None
    error: ErrorSeen | None = None
    """Set once it is bound to fail."""


_Step = Callable[[_Life, Stored, Micros], None]


class World:
    """Admin's store, and all that happens to it as time goes by."""

    def __init__(
        self,
        *,
        seed: int,
        start: Micros,
        speed: float = 1,
        incidents: Sequence[Incident] = (),
        drive: bool = False,
        history: timedelta = HISTORY,
        launches_per_second: float = LAUNCHES_PER_SECOND,
    ) -> None:
        """
        Found the company and let it work until *start*.

        Args:
            seed: Two worlds of one seed, start, speed and incidents are the same.
            start: The instant from which clients look at it; incidents count from here.
            speed: Divides periods and durations; timestamps stay on the wall clock.
            incidents: What goes wrong.
            drive: Whether executions that clients launch move by themselves too.
            history: How long the company was at work before *start*, at speed 1.
            launches_per_second: How fast the scheduler catches up after a silence, at speed 1.
        """
        self._seed = seed
        self._speed = speed
        self._due: list[tuple[Micros, int, Callable[[Micros], None]]] = []
        self._pushed = 0
        self._lives: dict[ExecutionKey, _Life] = {}
        self.agenda = Agenda(incidents, start=start)
        self.now = Micros(start - self._scaled(history))
        self.store = Store(seed=seed)
        self.api = AdminApi(self.store, now=lambda: self.now, seed=seed)
        self.executions = self.api.executions
        self._plans = {(plan.project, plan.domain, plan.name): plan for plan in plans()}
        company.register(self.api, self._plans.values(), speed=speed)
        self._scheduler = Scheduler(
            self,
            pause=self._scaled(timedelta(seconds=1) / launches_per_second),
            launch=self._launch_scheduled,
        )
        for plan in self._plans.values():
            self._begin(plan)
        mischief.plot(self)
        self.api.lifecycle.on_abort = self._aborted_by_client
        onlookers = Onlookers(self.api, plans=self._plans, chance=self.chance)
        self.api.lifecycle.on_launch = self._drive if drive else onlookers.leave
        self.advance(start)

    def advance(self, to: Micros) -> None:
        """Let everything happen that is due by *to*. Going back does nothing."""
        while self._due and self._due[0][0] <= to:
            at, _, happens = heapq.heappop(self._due)
            self.now = max(self.now, at)
            self.executions.reveal(self.now)
            happens(self.now)
        self.now = max(self.now, to)
        self.executions.reveal(self.now)

    def at(self, instant: Micros, happens: Callable[[Micros], None]) -> None:
        """Call *happens* with the time when the world comes to *instant*."""
        self._pushed += 1
        heapq.heappush(self._due, (instant, self._pushed, happens))

    def truth(self, *, since: Micros | None = None) -> Truth:
        """
        Count all executions that ever ended, those deleted since included.

        Args:
            since: Leave out those that a client could see as ended at this instant.
        """
        return Counter(
            (finish.key.project, finish.key.domain, finish.launch_plan, finish.mode.name,
             finish.phase.name)
            for finish in self.executions.finishes
            if since is None or finish.known_at > since
        )  # fmt: skip

    def chance(self, *names: object) -> random.Random:
        """Return a source of chance of its own for what *names* name."""
        return random.Random("/".join(map(str, (self._seed, *names))))

    def _scaled(self, length: timedelta) -> int:
        return round(micros(length) / self._speed)

    # Launches

    def _begin(self, plan: Plan) -> None:
        if plan.kind in {Kind.RATE, Kind.CRON}:
            period = max(1, self._scaled(plan.every))
            self._scheduler.keep(plan, period=period, slot=self.now // period + 1)
        elif plan.kind in {Kind.MANUAL, Kind.TASK}:
            self._await_whim(plan, 0)

    def _launch_scheduled(self, plan: Plan, slot: Micros, now: Micros) -> None:
        name = "f" + digest(plan.project, plan.domain, plan.name, slot)[:19]
        self._launch_plan(plan, name, now, mode=Mode.SCHEDULED, scheduled_at=slot)

    def _await_whim(self, plan: Plan, index: int) -> None:
        whim = self.chance("whim", plan.project, plan.domain, plan.name, index)
        gap = round(whim.expovariate(1) * self._scaled(plan.every))
        self.at(Micros(self.now + gap), lambda _: self._follow_whim(plan, index))

    def _follow_whim(self, plan: Plan, index: int) -> None:
        # Not by the project: so that two projects have executions of the same name.
        name = "a" + digest(self._seed, plan.domain, plan.name, index)[:19]
        self._launch_plan(plan, name, self.now)
        self._await_whim(plan, index + 1)

    def launch_any(self, now: Micros, *, project: str, domain: str, created_at: Micros) -> None:
        """Launch something that is usual in a project and domain, dated *created_at*."""
        usual = [plan for plan in self._plans.values() if plan[:2] == (project, domain)]
        if not usual:
            return
        name = "a" + digest(project, domain, created_at, self._pushed)[:19]
        self._launch_plan(usual[0], name, now, created_at=created_at)

    def _launch_plan(
        self,
        plan: Plan,
        name: str,
        now: Micros,
        *,
        mode: Mode = Mode.MANUAL,
        scheduled_at: Micros | None = None,
        created_at: Micros | None = None,
        parent: _Life | None = None,
    ) -> None:
        key = ExecutionKey(plan.project, plan.domain, name)
        chance = self.chance(*key)
        drawn = fate(chance, typical=plan.typical, failing=plan.failing, speed=self._speed)
        if parent is not None:
            drawn = _within(parent.fate, drawn)
        late = chance.uniform(0, micros(_LATEST_ROW))
        visible_at = None
        if self.agenda.is_on(Trouble.LATE_ROWS, now):
            visible_at = Micros(now + round(late))
        self.executions.launch(
            key,
            launch_plan=plan.name,
            created_at=now if created_at is None else created_at,
            written_at=now,
            mode=mode,
            visible_at=visible_at,
            scheduled_at=scheduled_at,
            parent=parent.key if parent else None,
            task=plan.kind is Kind.TASK,
            cluster=self.chance("cluster", *key).choice(_CLUSTERS),
            error=drawn.error if drawn.end is End.NOT_LAUNCHED else None,
        )
        if drawn.end is End.NOT_LAUNCHED:
            self._archive_if_due(key, now)
            return
        child = self._plans.get((plan.project, plan.domain, plan.child))
        self._live(_Life(key, drawn, child=child, parent=parent), now)

    def _drive(self, key: ExecutionKey) -> None:
        """Take over an execution that a client launched; it succeeds unless there is trouble."""
        drawn = fate(self.chance(*key), typical=_DRIVEN_TYPICAL, failing=0, speed=self._speed)
        self._live(_Life(key, drawn._replace(end=End.SUCCESS)), self.now)

    # Lives

    def _live(self, life: _Life, now: Micros) -> None:
        self._lives[life.key] = life
        self._later(life, now, life.fate.queued, self._start)

    def _later(self, life: _Life, now: Micros, after: timedelta, step: _Step) -> None:
        instant = Micros(now + micros(after))
        self.at(instant, partial(self._propel, life, step, instant))

    def _propel(self, life: _Life, step: _Step, occurred: Micros, now: Micros) -> None:
        """Take one step of a life, unless something holds it up."""
        stuck_until = self.agenda.until(Trouble.STUCK, now)
        if stuck_until is not None:
            catching_up = self.chance("stuck", *life.key).uniform(0, micros(_ABORT_TAKES))
            instant = Micros(stuck_until + round(catching_up))
            self.at(instant, partial(self._propel, life, step, instant))
            return
        stored = self.executions.find(life.key, hidden_too=True)
        if stored is None or stored.phase.is_terminal:
            self._lives.pop(life.key, None)
            return
        written_at = self.executions.hidden_until(stored)
        if written_at is not None:
            # Propeller's events find no row yet; it repeats them until they do.
            self.at(written_at, partial(self._propel, life, step, occurred))
            return
        if stored.phase is Phase.ABORTING:
            step = self._end
        step(life, stored, occurred)

    def _start(self, life: _Life, stored: Stored, at: Micros) -> None:
        if life.fate.end is End.NEVER_RAN:
            life.error = life.fate.error
            self._end(life, stored, at)
            return
        self._report(stored, Phase.RUNNING, at)
        if life.child is not None:
            child = partial(self._launch_child, life, life.child)
            self.at(Micros(at + micros(life.fate.runs * 0.1)), child)
        self._later(life, at, life.fate.runs - life.fate.winding_up, self._wind_up)

    def _launch_child(self, parent: _Life, plan: Plan, now: Micros) -> None:
        if parent.key in self._lives:
            name = child_name(parent.key)
            self._launch_plan(plan, name, now, mode=Mode.CHILD_WORKFLOW, parent=parent)

    def _wind_up(self, life: _Life, stored: Stored, at: Micros) -> None:
        if life.fate.end is End.ABORT:
            self.executions.abort(stored, "superseded by a newer run", at=self.now)
            if life.fate.luck < _NEVER_ABORTED:
                self._later(life, at, life.fate.winding_up, self._end)
            return
        spike = self.agenda.is_on(Trouble.FAILURE_SPIKE, at) and life.fate.luck < _SPIKE_SHARE
        if life.fate.end is End.FAILURE or spike:
            life.error = life.fate.error
        if life.error is None:
            self._report(stored, Phase.SUCCEEDING, at)
        else:
            self._report(stored, Phase.FAILING, at, error=life.error)
            if life.parent is not None:
                life.parent.error = CHILD_FAILED
        self._later(life, at, life.fate.winding_up, self._end)

    def _end(self, life: _Life, stored: Stored, at: Micros) -> None:
        if stored.phase is Phase.ABORTING:
            self._report(stored, Phase.ABORTED, at)
        elif life.error is not None:
            self._report(stored, Phase.FAILED, at, error=life.error)
        else:
            uri = "s3://flyte/metadata/" + "/".join(life.key) + "/end-node/data/0/outputs.pb"
            self._report(stored, Phase.SUCCEEDED, at, output_uri=uri)
        self._lives.pop(life.key, None)
        self._archive_if_due(life.key, self.now)

    def _report(
        self,
        stored: Stored,
        phase: Phase,
        at: Micros,
        *,
        error: ErrorSeen | None = None,
        output_uri: str = "",
    ) -> None:
        skewed = self.agenda.is_on(Trouble.CLOCK_SKEW, self.now)
        occurred = at - micros(_SKEW) if skewed else at
        self.executions.record(
            stored,
            phase,
            occurred_ns=wire.nanos_of(Micros(occurred)),
            received_at=self.now,
            error=error.proto() if error else None,
            output_uri=output_uri,
        )

    def _archive_if_due(self, key: ExecutionKey, now: Micros) -> None:
        if self.agenda.is_on(Trouble.ARCHIVED_ROWS, now):
            self.executions.archive(key, at=now)

    def _aborted_by_client(self, key: ExecutionKey) -> None:
        if life := self._lives.get(key):
            self._later(life, self.now, _ABORT_TAKES / self._speed, self._end)


def _within(parent: Fate, child: Fate) -> Fate:
    """Return *child*'s fate made short enough to end before its parent does."""
    runs = min(child.runs, parent.runs * 0.5)
    return child._replace(
        queued=min(child.queued, parent.runs * 0.1),
        runs=runs,
        winding_up=min(child.winding_up, runs / 2),
    )
