"""
The whole way from Admin to /metrics in one process, with everything that can go wrong at hand.

Admin is the simulator's API without a socket; the ledger is a real file; time is the test's. Every
await of a poll passes through `Rig.at_await`, where a test may have the process die, a call fail,
or the world move on.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from flyteidl.admin import project_pb2
from grpc.aio import AioRpcError, Metadata
from opentelemetry.trace import NoOpTracer

from exporter.admin import columns
from exporter.admin.breaker import Breaker
from exporter.admin.client import CODES, METHODS, AdminClient
from exporter.admin.limits import Limits
from exporter.admin.retry import RetryBudget
from exporter.admin.spans import Spans
from exporter.admin.transport import Transport
from exporter.config.settings import SchedulesSettings, ScrapeSettings, TasksSettings
from exporter.ledger.errors import LedgerError
from exporter.ledger.opening import open_ledger
from exporter.ledger.records import Commit
from exporter.ledger.store import Ledger
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.loading import load
from exporter.metrics.opening import taken_from
from exporter.metrics.process import Process
from exporter.metrics.rebound import begin_anew, rebound_of
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.pipeline import Correction
from exporter.scrape.backlog import open_backlog
from exporter.scrape.fleet import Fleet
from exporter.scrape.norms import NormsOf
from exporter.scrape.poll import STEPS, Poller
from exporter.scrape.services import Services
from exporter.scrape.tasks import TASK_OUTCOMES, TaskCounter
from exporter.scrape.upkeep import Upkeep
from exporter.sim.api import AdminApi
from exporter.sim.executions import ExecutionKey
from exporter.sim.refusal import Refusal
from exporter.sim.store import Store
from tests import page

START = Micros(1_790_000_000 * SECOND)
ENDPOINT = "admin:81"
HOLD = timedelta(minutes=2)
BOUNDS = {
    catalog.EXECUTION_DURATION: (10.0, 60.0, 600.0),
    catalog.EXECUTION_QUEUE_DURATION: (1.0, 10.0),
    catalog.TASK_DURATION: (10.0, 60.0, 600.0),
    catalog.TASK_QUEUE_DURATION: (1.0, 10.0),
}
VARIETIES = {catalog.EXECUTION_ERROR_CODES: 20, catalog.CLUSTER_EXECUTIONS_FINISHED: 100}
COUNTED = tuple(f for f in catalog.FAMILIES if f.source is catalog.Source.LEDGER)


class Killed(BaseException):
    """The process died here: nothing after this point happened."""


@dataclass
class Death:
    """Whether a process that was to be killed was still at work by then."""

    came: bool = False


@dataclass
class ManualClock:
    """Time stands still until a test moves it."""

    instant: Micros = START

    def now(self) -> Micros:
        """Return the wall clock."""
        return self.instant

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self.instant / SECOND

    async def sleep(self, seconds: float) -> None:
        """Refuse: nothing here waits for time."""
        raise AssertionError(f"slept for {seconds} s")

    def advance(self, seconds: float) -> None:
        """Move time."""
        self.instant = Micros(self.instant + round(seconds * SECOND))


def failure(code: grpc.StatusCode, details: str = "") -> AioRpcError:
    """Return what a failed call raises."""
    return AioRpcError(code, Metadata(), Metadata(), details=details)


class SimulatedStub:
    """AdminService's stub, answered by the simulator's API without a socket."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def call(request: Any, *, timeout: float, metadata: Any) -> Any:
            assert {key for key, _ in metadata or ()} <= {"traceparent"}
            assert timeout > 0
            self._rig.calls.append((method, request))
            await self._rig.at_await(method)
            self._rig.admin.executions.reveal(self._rig.clock.now())
            try:
                answer = self._rig.admin.calls[method](request)
            except Refusal as refusal:
                raise failure(refusal.code, refusal.details) from refusal
            if method == "ListExecutions":
                return columns.decode(answer.SerializeToString())
            return answer

        return call


class SimulatedLine:
    """A connection that is always there."""

    def __init__(self, rig: "Rig") -> None:
        self._stub = SimulatedStub(rig)

    async def stub(self) -> SimulatedStub:
        """Return the stub."""
        return self._stub

    def ended(self, stub: Any, *, answered: bool) -> None:
        """Take note of nothing."""


class Nothing:
    """What a call carries to an Admin that wants no token."""

    async def metadata(self) -> tuple[()]:
        """Return nothing."""
        return ()

    async def refused(self, sent: Any, details: str) -> None:
        """Refuse: nobody asks for a token here."""
        raise AssertionError((sent, details))


class InlineJournal:
    """`Journal` without its thread, so that a test decides what happens between its steps."""

    def __init__(self, rig: "Rig", ledger: Ledger) -> None:
        self._rig = rig
        self._ledger = ledger

    async def commit(
        self,
        commit: Commit,
        *,
        then: Callable[[], None],
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        """Make *commit* durable, and *then* true in memory, also if the caller is cancelled."""
        cancelled = await self._cancelled("before commit")
        try:
            self._ledger.commit([commit])
        except LedgerError:
            if otherwise is not None:
                otherwise()
            raise
        cancelled = await self._cancelled("after commit") or cancelled
        then()
        if cancelled:
            raise asyncio.CancelledError

    async def _cancelled(self, what: str) -> bool:
        try:
            await self._rig.at_await(what)
        except asyncio.CancelledError:
            return True
        return False

    async def read(self, question: Callable[[Ledger], Any]) -> Any:
        """Ask the ledger something."""
        await self._rig.at_await("read")
        return question(self._ledger)


@dataclass
class Rig:
    """
    One exporter process at a time, and the Admin that outlives it.

    Attributes:
        at_await: Called at every await of a poll, with the name of what is about to happen.
        calls: What Admin was asked, in order.
    """

    directory: Path
    settings: ScrapeSettings = field(default_factory=ScrapeSettings)
    limit: int = 10_000
    varieties: Mapping[catalog.Family, int] = field(default_factory=lambda: dict(VARIETIES))
    hold: timedelta = HOLD
    norms: NormsOf = field(default_factory=NormsOf)
    schedules: SchedulesSettings = field(default_factory=SchedulesSettings)
    tasks: TasksSettings = field(default_factory=TasksSettings)
    concurrency: int = 64
    labelling: Labelling = AS_THEY_ARE
    family_limits: Mapping[Family, int] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(seed=1)
        self.admin = AdminApi(self.store, now=self.clock.now)
        self.at_await: Callable[[str], Any] = self.nothing_happens
        self.pollers: dict[Target, Poller] = {}
        self._life = ExitStack()
        self.boot()

    @staticmethod
    async def nothing_happens(_: str) -> None:
        """Let every await be uneventful."""

    def boot(self) -> None:
        """Start a process on the ledger as it is."""
        self._life = ExitStack()
        self.ledger = self._life.enter_context(
            open_ledger(self.directory / "ledger.db", endpoint=ENDPOINT)
        )
        self.process = Process(methods=METHODS, codes=CODES)
        self.process.born(
            outcomes=(),
            steps=STEPS,
            reasons=tuple(reason.value for reason in Correction),
            task_outcomes=TASK_OUTCOMES,
        )
        self.exposition = Exposition(self.process, hidden=self.labelling.disabled)
        self.book = Book(
            bounds=BOUNDS,
            limit=self.limit,
            varieties=self.varieties,
            hold=self.hold,
            exposition=self.exposition,
            observer=self.process,
            labelling=self.labelling,
            family_limits=self.family_limits,
        )
        self.process.watch(budget=self.book.budget, ledger_size=self.ledger.size_bytes)
        self.ledger.commit(
            [load(self.book, *taken_from(self.ledger, self.labelling), self.clock.now())]
        )
        self.gauges = PlanGauges(
            exposition=self.exposition,
            budget=self.book.budget,
            observer=self.process,
            is_admitted=self.book.is_admitted,
        )
        journal: Any = InlineJournal(self, self.ledger)

        transport = Transport(
            line=SimulatedLine(self),
            tokens=Nothing(),
            limits=Limits(
                rate=10_000,
                burst=10_000,
                concurrency=self.concurrency,
                waited=lambda _: None,
            ),
            breaker=Breaker(),
            budget=RetryBudget(),
            spans=Spans(NoOpTracer()),
            observer=self.process,
            attempt_timeout=15,
            # Every failure is the poll's to deal with.
            attempts=1,
            sleep=self.clock.sleep,
        )
        self.backlog = open_backlog(
            self.tasks, self.ledger, observer=self.process, label=self.labelling.label
        )
        self.services = Services(
            admin=AdminClient(transport),
            journal=journal,
            book=self.book,
            gauges=self.gauges,
            fleet=Fleet(self.ledger.newest_cursor()),
            clock=self.clock,
            process=self.process,
            tracer=NoOpTracer(),
            settings=self.settings,
            norms=self.norms,
            schedules=self.schedules,
            backlog=self.backlog if self.tasks.match else None,
        )
        self.relieve()

    def relieve(self) -> None:
        """Put others in the place of those who work, as a reload does; the book lives on."""
        self.upkeep = Upkeep(
            book=self.book,
            journal=self.services.journal,
            clock=self.clock,
            keep=lambda *_: True,
        )
        self.pollers = {}
        nodes = self.services.admin.nodes(rate=10_000, concurrency=1)
        self.task_counter = TaskCounter(self.services, self.backlog, nodes, settings=self.tasks)

    def reload(self) -> None:
        """Have the book go by other rules, and others work by them."""
        found = rebound_of(
            self.book,
            bounds=BOUNDS,
            labelling=self.labelling,
            known=self.ledger.launch_plans(),
            hold=self.hold,
            now=self.clock.now(),
        )
        if found is not None:
            rebound, commit = found
            self.ledger.commit([commit])
            begin_anew(self.book, rebound, self.clock.now())
            self.gauges.follow(rebound.heirs.renames, self.labelling.disabled)
        self.backlog.set_rules(self.tasks, self.labelling.label)
        self.relieve()

    def die_at(self, step: int) -> None:
        """Have the process be killed before its await number *step* from now; the first is 0."""
        left = step

        async def at_await(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        self.at_await = at_await

    @contextmanager
    def killed_at(self, step: int) -> Iterator[Death]:
        """
        Have the process be killed at await *step* of the block, and come back after it.

        Whoever goes through the steps asserts afterwards that the `Death` came, or did not.
        """
        self.die_at(step)
        death = Death()
        try:
            yield death
        except Killed:
            death.came = True
        self.at_await = self.nothing_happens
        self.restart()

    def die(self) -> None:
        """End the process; only what is in the ledger's file is left of it."""
        self._life.close()

    def restart(self) -> None:
        """Have the process die and come back."""
        self.die()
        self.boot()

    def poller(self, target: Target) -> Poller:
        """Return the one that polls *target* in this process."""
        if target not in self.pollers:
            due = self.clock.monotonic() + self.settings.reconcile_interval.total_seconds()
            self.pollers[target] = Poller(target, self.services, reconcile_at=due)
        return self.pollers[target]

    async def poll(self, target: Target) -> None:
        """Poll *target* once."""
        await self.poller(target).poll()

    def launch(self, target: Target, name: str, **details: Any) -> ExecutionKey:
        """Have Admin launch *name* now, unless *details* say otherwise."""
        key = ExecutionKey(*target, name)
        details.setdefault("launch_plan", "plan")
        details.setdefault("created_at", self.clock.now())
        self.admin.executions.launch(key, **details)
        return key

    def totals(self) -> dict[tuple[str, ...], float]:
        """Return what the series stand at, shown or not: family, label values, then the value."""
        return {
            (row.family, *row.labels): sum(row.value.buckets) or row.value.total
            for row in self.ledger.series()
        }

    def shown(self) -> Mapping[str, float]:
        """Return the counters and histograms on /metrics, by sample line."""
        names = tuple(family.name for family in COUNTED)
        samples = (
            line.rpartition(" ")
            for line in page.lines(self.exposition)
            if line.startswith(names) and "_sum{" not in line
        )
        return {sample: float(value) for sample, _, value in samples}

    def metric(self, sample: str) -> float | None:
        """Return one sample of /metrics, or None where there is none."""
        for line in page.lines(self.exposition):
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return None


async def settle() -> None:
    """Let whatever is ready on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


class SteppedClock:
    """A clock whose sleepers wake when the test moves it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> Any:
        """Return the wall clock."""
        return self._rig.clock.now()

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self._rig.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved time so far."""
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.monotonic() + seconds, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time, waking each sleeper at its own moment."""
        end = self.monotonic() + seconds
        while True:
            await quiet()
            due = min((s for s in self._sleepers if s[0] <= end), default=None, key=lambda s: s[0])
            if due is None:
                break
            self._sleepers.remove(due)
            self._rig.clock.advance(max(1e-6, due[0] - self.monotonic()))
            if not due[1].done():
                due[1].set_result(None)
        self._rig.clock.advance(end - self.monotonic())


async def quiet() -> None:
    """Let everything run that is ready."""
    for _ in range(200):
        await asyncio.sleep(0)


def register(rig: Rig, name: str) -> None:
    """Have Admin know a project."""
    project = project_pb2.Project(id=name, name=name)
    rig.admin.calls["RegisterProject"](project_pb2.ProjectRegisterRequest(project=project))
