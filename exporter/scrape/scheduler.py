"""
The timetable: who polls when, and how many at once.

Every target has tasks of its own and a place of its own in the interval, so that the load on Admin
is even. Targets whose last poll failed or was slow share half of the slots: however many of them
hang, the healthy ones have the other half.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from exporter.admin.errors import AdminError
from exporter.config.settings import AdminSettings, DiscoverySettings
from exporter.garbage import tidily
from exporter.ledger.errors import LedgerError
from exporter.ledger.records import Commit, Discovery
from exporter.metrics.exposition import Exposition
from exporter.metrics.projects import ProjectGauges
from exporter.model.launch_plans import NoPlanFacts
from exporter.model.projects import Project, targets_of
from exporter.model.status import TargetStatus
from exporter.model.targets import Target
from exporter.scrape import demand, discovery
from exporter.scrape.inventory import Inventory, Register
from exporter.scrape.past import Pace
from exporter.scrape.place import place
from exporter.scrape.services import Services
from exporter.scrape.unmatched import Unmatched
from exporter.scrape.worker import Worker
from exporter.telemetry.log import get_logger
from exporter.telemetry.trouble import Trouble

log = get_logger(__name__)

_SUSPECTS_SHARE = 2
"""One slot in so many may be held by targets whose last poll failed, or was slow."""

_AT_ONCE = 100
"""Targets and active launch plans that are begun in one go, or forgotten: some 10 ms."""

_FIRST_RETRY = 1.0  # seconds; discovery retries sooner than its interval, and ever more slowly

_STUCK_AFTER = 120.0
"""Seconds without any sign of life, beyond the time of a poll, that make a worker stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """
    What a scheduler leaves to the one that follows it.

    Attributes:
        discovery: The last complete one; None when there was none yet.
        register: Which launch plans are active.
        statuses: How the scraping of the targets goes that are to be scraped further.
        first_targets: What the first discovery of this process found; None before it.
    """

    discovery: Discovery | None
    register: Register = field(default_factory=Register)
    statuses: Mapping[Target, TargetStatus] = field(default_factory=dict)
    first_targets: tuple[Target, ...] | None = None


class Scheduler:
    """Discovers targets and keeps a worker polling each."""

    def __init__(
        self,
        services: Services,
        exposition: Exposition,
        *,
        inventory: Inventory,
        projects: ProjectGauges,
        settings: DiscoverySettings,
        admin: AdminSettings,
        handover: Handover,
    ) -> None:
        """Prepare; *handover* is what the ledger knows, or what another scheduler has left."""
        self._services = services
        self._exposition = exposition
        self._inventory = inventory
        services.norms.facts = inventory
        self._projects = projects
        self._settings = settings
        self._admin = admin
        self._before = handover.discovery
        self._inherited = dict(handover.statuses)
        self._over = False
        self._workers: dict[Target, Worker] = {}
        self._tasks: dict[Target, tuple[asyncio.Task[None], ...]] = {}
        self._first_targets = handover.first_targets
        self._discovery_trouble = Trouble()
        self._version_trouble = Trouble()
        self._demand_problem = ""
        self._unmatched = Unmatched(services.norms, services.backlog)
        self._pace = Pace(services.clock, rate_limit=admin.rate_limit)
        concurrency = services.settings.concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._suspect_slots = asyncio.Semaphore(max(1, concurrency // _SUSPECTS_SHARE))

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                # Go on with what the last discovery knew; the next one may take a while, or fail.
                await self._start(discovery.known(self._before, self._settings), group)
                await self._rediscover(group)
        finally:
            self._over = True

    async def _rediscover(self, group: asyncio.TaskGroup) -> None:
        """Discover again and again."""
        retry = _FIRST_RETRY
        interval = self._settings.interval.total_seconds()
        while True:
            if await self.discover(group):
                retry = _FIRST_RETRY
                await self._services.clock.sleep(interval)
                await self._unmatched.look(self._known_plans())
            else:
                await self._services.clock.sleep(min(retry, interval))
                retry *= 2

    def _known_plans(self) -> Mapping[Target, Collection[str] | None]:
        """Return the labels of all launch plans of each target; None until they are known."""
        known: dict[Target, Collection[str] | None] = dict.fromkeys(self._inherited)
        for target, worker in self._workers.items():
            active, ran = self._inventory.labels(target), worker.plan_labels()
            known[target] = None if active is None or ran is None else {*active, *ran}
        return known

    def hand_over(self, settings: DiscoverySettings) -> Handover:
        """
        Leave what there is to a scheduler with other *settings*.

        To be asked once `run` is over and what it had begun to commit is settled. What is shown of
        targets that will be scraped no more goes; their counters stay.
        """
        kept = frozenset(discovery.known(self._before, settings))
        for target in self._inherited.keys() - kept:
            # We were told to stop before its turn came: what is shown of it goes all the same.
            self._employ(target)
        for target in self._workers.keys() - kept:
            self._retire(target)
        self._services.norms.facts = NoPlanFacts()
        return Handover(
            discovery=self._before,
            register=self._inventory.hand_over(kept),
            statuses=self._statuses(),
            first_targets=self._first_targets,
        )

    async def dissolve(self) -> None:
        """Forget the targets, a few at a time, once what there was to hand over is."""
        async for target in self._by_turns([*self._workers]):
            del self._workers[target]

    def in_use(self, target: Target, launch_plan: str) -> bool:
        """
        Whether *target* is scraped and has use for *launch_plan*, where one is named.

        That is one which is active or has live executions.
        """
        if self._first_targets is None:
            return True
        if target in self._inherited:
            return True
        worker = self._workers.get(target)
        return worker is not None and (
            not launch_plan
            or self._inventory.is_active(target, launch_plan)
            or worker.has_live(launch_plan)
        )

    def statuses(self) -> Sequence[TargetStatus]:
        """Return how the scraping of each target goes."""
        statuses = []
        for target, status in self._statuses().items():
            plans, problem = self._inventory.listed(target)
            statuses.append(status._replace(active_plans=plans, inventory_problem=problem))
        return statuses

    def _statuses(self) -> dict[Target, TargetStatus]:
        """Return how it goes; of those that are still to be taken up, how it went."""
        return self._inherited | {t: worker.status for t, worker in self._workers.items()}

    def unready(self) -> str:
        """Return what is still to be tried for the first time; empty when nothing is."""
        if self._first_targets is None:
            problem = self._discovery_trouble.problem
            why = f" ({problem})" if problem else ""
            return f"The first discovery is not complete{why}."
        statuses = self._statuses()
        waiting = [t for t in self._first_targets if t in statuses and statuses[t].up is None]
        if not waiting:
            return ""
        return f"{len(waiting)} of {len(self._first_targets)} targets are still to be tried."

    def unhealthy(self) -> str:
        """Return which worker is stuck; empty when none is."""
        patience = self._services.settings.poll_timeout.total_seconds() + _STUCK_AFTER
        now = self._services.clock.monotonic()
        for target, worker in self._workers.items():
            if worker.busy and now - worker.active_at > patience:
                return f"The worker of {target} has not moved for {now - worker.active_at:.0f} s."
        return ""

    async def discover(self, group: asyncio.TaskGroup) -> bool:
        """
        Look once which targets there are, and start and stop workers accordingly.

        Returns:
            Whether the discovery was complete.
        """
        services = self._services
        timeout = services.settings.poll_timeout.total_seconds()
        at = discovery.moment(
            services.fleet.newest_seen, services.clock.now(), services.settings.reconcile_window
        )
        try:
            projects = await services.admin.list_projects(timeout=timeout)
            decision = discovery.decide(
                self._before,
                targets_of(projects),
                want=lambda t: discovery.wanted(t, self._settings),
                at=at,
            )
            commit = Commit(discovery=decision.discovery, begun=decision.begun)
            await services.journal.commit(commit, then=lambda: self._adopt(decision, projects))
        except (AdminError, LedgerError) as error:
            if self._discovery_trouble.failed(str(error)):
                called = (
                    {"method": error.method, "code": error.code}
                    if isinstance(error, AdminError)
                    else {}
                )
                log.warning("discovery failed", **called, problem=str(error))
            return False
        if self._discovery_trouble.worked():
            log.info("discovery recovered")
        await self._start(decision.targets, group)
        if self._first_targets is None:
            self._first_targets = decision.targets
            log.info("discovered", targets=len(decision.targets))
        await self._ask_version(timeout)
        return True

    def _adopt(self, decision: discovery.Decision, projects: Sequence[Project]) -> None:
        self._before = decision.discovery
        if self._over:
            # Committed while we were told to stop: for whoever follows us.
            return
        self._projects.show(projects)
        for target in self._workers.keys() - set(decision.targets):
            self._stop(target)
        self._inventory.retain(decision.targets)
        self._warn_of_demand(len(decision.targets))

    def _warn_of_demand(self, targets: int) -> None:
        """Say so where more targets are to be polled than the limit on calls allows."""
        scrape = self._services.settings
        problem = demand.warning(targets, scrape, self._settings, self._admin)
        if problem and problem != self._demand_problem:
            advice = demand.remedy(targets, scrape, self._settings, self._admin)
            log.warning("polls will be late", problem=problem, advice=advice)
        self._demand_problem = problem

    async def _start(self, targets: Iterable[Target], group: asyncio.TaskGroup) -> None:
        """Have workers for *targets*."""
        missing = [target for target in targets if target not in self._workers]
        async for target in self._by_turns(missing):
            known = target in self._inherited
            worker = self._employ(target)
            listing = tidily(self._inventory.follow, target, worker.learn)
            self._tasks[target] = (
                group.create_task(tidily(self._work, worker), name=f"poll {target}"),
                group.create_task(listing, name=f"inventory {target}"),
                group.create_task(tidily(worker.look_back, self._pace), name=f"past {target}"),
            )
            if self._first_targets is not None and not known:
                log.info("target added", **target._asdict())

    async def _by_turns(self, targets: Iterable[Target]) -> AsyncIterator[Target]:
        """Yield *targets*, and now and then give others their turn: those begun have one, too."""
        begun = 0
        for target in targets:
            yield target
            begun += 1 + len(self._inventory.active(target))
            if begun >= _AT_ONCE:
                begun = 0
                await asyncio.sleep(0)

    def _employ(self, target: Target) -> Worker:
        services = self._services
        every = services.settings.reconcile_interval.total_seconds()
        reconcile_at = services.clock.monotonic() + every * (0.5 + place(target))
        status = self._inherited.pop(target, None)
        worker = Worker(
            target, services, self._exposition, reconcile_at=reconcile_at, status=status
        )
        self._workers[target] = worker
        return worker

    def _stop(self, target: Target) -> None:
        for task in self._tasks.pop(target):
            task.cancel()
        self._retire(target)

    def _retire(self, target: Target) -> None:
        self._workers.pop(target).retire()
        log.info("target gone, its counters stay", **target._asdict())

    async def _work(self, worker: Worker) -> None:
        clock = self._services.clock
        interval = self._services.settings.interval.total_seconds()
        offset = place(worker.target) * interval
        while True:
            async with AsyncExitStack() as slots:
                if worker.suspect:
                    await slots.enter_async_context(self._suspect_slots)
                await slots.enter_async_context(self._slots)
                await worker.turn()
            await clock.sleep(interval - (clock.monotonic() - offset) % interval)

    async def _ask_version(self, timeout: float) -> None:
        try:
            version = await self._services.admin.get_version(timeout=timeout)
        except AdminError as error:
            # Some proxies let only the calls through that they know; nothing depends on this one.
            if self._version_trouble.failed(str(error)):
                log.info("version of Admin unknown", code=error.code, problem=str(error))
        else:
            self._version_trouble.worked()
            self._services.process.admin_is(version=version.version, build=version.build)
