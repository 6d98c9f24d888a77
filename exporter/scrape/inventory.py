"""
What is registered: the active launch plans of every target.

They change seldom, and nothing that is counted waits for them. So they are listed one target at a
time and with a pause after each, which leaves the rest of what we may ask of Admin to the polls.
Only a complete listing says that a launch plan is not active any more.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from exporter.admin.errors import AdminError
from exporter.config.settings import AdminSettings, DiscoverySettings
from exporter.ledger.errors import LedgerError
from exporter.ledger.records import Commit
from exporter.metrics import catalog, text
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import ACTIVATION, PlanGauges, rows_of_activations
from exporter.metrics.labelling import labelled
from exporter.metrics.measure import introduce
from exporter.metrics.posting import Posting
from exporter.model.launch_plans import Activation
from exporter.model.targets import Target
from exporter.model.time import EPOCH, Micros, seconds
from exporter.scrape.place import place
from exporter.scrape.services import Services
from exporter.telemetry.log import get_logger
from exporter.telemetry.trouble import Trouble
from exporter.track.inventory import Changes, compare
from exporter.track.periods import longest_period

log = get_logger(__name__)

_SHARE = 0.1
"""Part of admin.rate_limit that the first listings, which are all due at once, may use."""
_PATIENCE = timedelta(seconds=15)
"""For one page: the other targets are waiting."""
_AT_ONCE = 200
"""Launch plans that are shown in one go: some 20 ms, in which nothing else can happen."""


class Listed(NamedTuple):
    """How the listing of a target's launch plans goes."""

    plans: int | None = None
    """How many are active; None while nobody knows."""
    problem: str = ""
    """What the last listing failed with; empty when it did not fail."""


class Register(NamedTuple):
    """
    What an inventory leaves to the one that follows it.

    Attributes:
        active: The active launch plans of every target that was ever listed, by name.
        problems: Of every target that is followed, what its last listing failed with, or nothing.
    """

    active: Mapping[Target, Mapping[str, Activation]] = {}
    problems: Mapping[Target, str] = {}


Hear = Callable[[Mapping[str, Activation], Collection[str], Micros], None]
"""Is told which launch plans of a target are active, of which of them that is news, and when it was
listed; EPOCH where it was before our time."""


class Inventory:
    """
    Knows which launch plans are active.

    Args:
        services: Those of the polls.
        exposition: Where it is shown how recently targets were listed.
        gauges: Where launch plans are shown.
        settings: How often targets are listed.
        admin: How many calls we allow ourselves.
        register: What another inventory, or an earlier process in the ledger, has left.
    """

    def __init__(
        self,
        services: Services,
        exposition: Exposition,
        gauges: PlanGauges,
        *,
        settings: DiscoverySettings,
        admin: AdminSettings,
        register: Register,
    ) -> None:
        self._services = services
        self._exposition = exposition
        self._gauges = gauges
        self._interval = settings.interval.total_seconds()
        self._pause = 1 / (admin.rate_limit * _SHARE)
        self._known = {target: dict(plans) for target, plans in register.active.items()}
        self._complete = set(self._known)
        self._troubles = {target: Trouble(told) for target, told in register.problems.items()}
        """With the listings of every target that is followed."""
        self._listed_at: dict[Target, Micros] = {}
        self._news: dict[Target, set[str]] = {}
        self._labelled: dict[Target, dict[str, list[Activation]]] = {}
        self._turn = asyncio.Lock()

    def active(self, target: Target) -> Mapping[str, Activation]:
        """Return the active launch plans of *target*, by name, as far as is known."""
        return self._known.get(target, {})

    def listed(self, target: Target) -> Listed:
        """Return how the listing of *target* goes."""
        plans = self._known.get(target)
        trouble = self._troubles.get(target)
        return Listed(None if plans is None else len(plans), trouble.problem if trouble else "")

    def is_listed(self, target: Target) -> bool:
        """Whether the launch plans of *target* were ever listed, by an earlier process perhaps."""
        # While the first listing is being committed, what is still to come is not known.
        return target in self._complete

    def labels(self, target: Target) -> Collection[str] | None:
        """Return the labels of the active launch plans of *target*; None before we listed them."""
        return self._by_label(target).keys() if target in self._listed_at else None

    def is_active(self, target: Target, label: str) -> bool:
        """Whether a launch plan of *label* is active."""
        return label in self._by_label(target)

    def is_scheduled(self, target: Target, label: str) -> bool:
        """Whether Flyte runs a launch plan of *label* by itself."""
        return any(plan.owed for plan, _ in self._by_label(target).get(label, ()))

    def period(self, target: Target, label: str) -> timedelta | None:
        """
        Return the longest time between two runs by its schedule; None where there is none.

        Of several launch plans of *label*, that of the one that runs most often.
        """
        plans = [plan for plan, _ in self._by_label(target).get(label, ())]
        periods = (longest_period(plan.owed) for plan in plans if plan.owed)
        return min((period for period in periods if period is not None), default=None)

    async def follow(self, target: Target, hear: Hear) -> None:
        """List the launch plans of *target* again and again, until cancelled; *hear* is told."""
        clock = self._services.clock
        offset = place(target) * self._interval
        if target not in self._troubles:
            self._troubles[target] = Trouble()
            self._services.book.budget.take(catalog.TARGET_INVENTORY_SUCCESS, 1)
        if target in self._known:
            hear(self._known[target], self._known[target].keys(), EPOCH)
        await self._show(target)
        while True:
            async with self._turn:
                await self.look(target)
                if target in self._known:
                    news = self._news.pop(target, set())
                    hear(self._known[target], news, self._listed_at.get(target, EPOCH))
                # Never so long that the last target would be late for the next round.
                fair = self._interval / (2 * len(self._troubles))
                await clock.sleep(min(self._pause, fair))
            await clock.sleep(self._interval - (clock.monotonic() - offset) % self._interval)

    async def look(self, target: Target) -> None:
        """List the active launch plans of *target* once; failures are logged, not raised."""
        services = self._services
        timeout = min(services.settings.poll_timeout, _PATIENCE).total_seconds()
        now = services.clock.now()
        first = target not in self._known
        try:
            found = await services.admin.list_active_launch_plans(target, timeout=timeout)
            changes = compare(self.active(target), found, now)
            for part in changes.parts(_AT_ONCE):
                await self._commit(target, part)
        except (AdminError, LedgerError) as error:
            problem = str(error)
        except Exception as bug:
            # The edge of one target, as for a poll.
            log.exception("listing launch plans failed on a bug of ours", **target._asdict())
            problem = f"{type(bug).__name__}: {bug}"
        else:
            problem = ""
            if not first:  # then all that there is would be news
                self._tell(target, changes)
            self._known.setdefault(target, {})
            self._complete.add(target)
            self._listed_at[target] = now
            self._exposition.put(
                catalog.TARGET_INVENTORY_SUCCESS,
                target,
                text.sample(catalog.TARGET_INVENTORY_SUCCESS, target, seconds(now)),
            )
        self._note(target, problem)
        await self._show(target)

    def retain(self, targets: Collection[Target]) -> None:
        """Forget all but *targets*; of the others the counters stay."""
        self._complete.intersection_update(targets)
        for target in self._known.keys() - targets:
            self._news.pop(target, None)
            self._listed_at.pop(target, None)
            for label in self._by_label(target):
                for family in ACTIVATION:
                    self._gauges.drop(target, label, family)
            del self._known[target], self._labelled[target]
        for target in self._troubles.keys() - targets:
            del self._troubles[target]
            self._exposition.drop(catalog.TARGET_INVENTORY_SUCCESS, target)
            self._services.book.budget.give_back(catalog.TARGET_INVENTORY_SUCCESS, 1)

    def hand_over(self, targets: Collection[Target]) -> Register:
        """Leave what is known of *targets* to another inventory; of others, nothing is shown."""
        self.retain(targets)
        problems = {target: trouble.problem for target, trouble in self._troubles.items()}
        return Register(self._known, problems)

    # Inside

    def _by_label(self, target: Target) -> Mapping[str, Sequence[Activation]]:
        """Return what is active, by the names that it has on /metrics."""
        found = self._labelled.get(target)
        if found is None:
            label = self._services.book.labelling.label
            found = self._labelled[target] = {}
            for name, activation in self.active(target).items():
                found.setdefault(label(name), []).append(activation)
        return found

    async def _show(self, target: Target) -> None:
        """Show what is known: also what there was no room for, or another name, the last time."""
        shown = self._gauges.launch_plans(target)
        for number, label in enumerate(dict.fromkeys([*self._by_label(target), *shown]), start=1):
            self._show_plan(target, label)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _show_plan(self, target: Target, label: str) -> None:
        """Show the active launch plans of *label*, as far as there still are any."""
        activations = self._by_label(target).get(label, ())
        for family, rows in rows_of_activations(activations).items():
            self._gauges.show(target, label, family, rows)

    async def _commit(self, target: Target, changes: Changes) -> None:
        """Make *changes* durable and take them over."""
        services = self._services
        now = services.clock.now()
        news = (*changes.activated, *changes.changed)
        plans = [activation.plan for activation in news]
        increments = labelled(introduce(target, plans), services.book.labelling)
        posting = services.book.post(target, increments, now)
        commit = Commit(
            target=target,
            activations=news,
            deactivated=dict.fromkeys(changes.deactivated, now),
            **posting.entries(),
        )
        await services.journal.commit(
            commit, then=partial(self._committed, target, changes, posting)
        )

    def _committed(self, target: Target, changes: Changes, posting: Posting) -> None:
        self._services.book.apply(posting, self._services.clock.now())
        if target not in self._troubles:
            return  # gone while this was being written
        known = self._known.setdefault(target, {})
        for activation in (*changes.activated, *changes.changed):
            known[activation.plan.name] = activation
        self._news.setdefault(target, set()).update(
            (activation.plan.name for activation in (*changes.activated, *changes.changed)),
            changes.deactivated,
        )
        self._labelled.pop(target, None)
        for name in changes.deactivated:
            del known[name]
        for label in set(map(self._services.book.labelling.label, changes.deactivated)):
            self._show_plan(target, label)

    def _tell(self, target: Target, changes: Changes) -> None:
        """Log that there is news; which news, the metrics say."""
        told = {
            "activated": len(changes.activated),
            "changed": len(changes.changed),
            "deactivated": len(changes.deactivated),
        }
        if any(told.values()):
            log.info("launch plans changed", **target._asdict(), **told)

    def _note(self, target: Target, problem: str) -> None:
        trouble = self._troubles[target]
        if problem:
            if trouble.failed(problem):
                log.warning("launch plans cannot be listed", **target._asdict(), problem=problem)
        elif trouble.worked():
            log.info("launch plans can be listed again", **target._asdict())
