"""
Work goes on in shifts: each is the work of one configuration, from its first poll to its last.

    read      another configuration; one that is wrong is refused, and the shift goes on
    open      what the next shift needs of the outside; if that fails, the shift goes on
    end       the shift: polls are cut off between two commits, and what was begun is settled
    hand over what is known and shown of the targets that are scraped further
    begin     the next shift, and close meanwhile what only the last one needed

What is counted lives through all of it: the ledger, the book, and what is shown of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from exporter.config import changes
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings
from exporter.garbage import tidily
from exporter.ledger.errors import LedgerError
from exporter.model.reload import Reload, ReloadOutcome, TurnedDown
from exporter.reload.rebinding import committed, rebind
from exporter.reload.services import Lasting, open_services
from exporter.scrape.inventory import Inventory
from exporter.scrape.scheduler import Handover, Scheduler
from exporter.scrape.services import Services
from exporter.scrape.tasks import TaskCounter
from exporter.scrape.upkeep import Upkeep
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

Reread = Callable[[Settings], Settings]
"""
Reads the configuration again, for a process that runs with the one that it is given.

Raises `ConfigError`; may take a while, and is called in a thread.
"""

_THE_ONE_BEFORE = "the one before stays in effect"
_ON_A_BUG = "reload failed on a bug of ours"

_STOPPING = Reload(ReloadOutcome.STOPPING, "The exporter is stopping.")


class _Means(NamedTuple):
    """A configuration and what it needs of the outside, which *stack* closes."""

    settings: Settings
    services: Services
    stack: AsyncExitStack


class Shifts:
    """One shift after the other."""

    def __init__(
        self,
        means: _Means,
        lasting: Lasting,
        *,
        handover: Handover,
        reread: Reread,
        asked: asyncio.Event,
    ) -> None:
        self._means = means
        # Of the next shift until it begins; of the last one from then on, until it is closed.
        self._others: _Means | None = None
        self._lasting = lasting
        self._reread = reread
        self._asked = asked
        self._waiting: list[asyncio.Future[Reload]] = []
        self._served: list[asyncio.Future[Reload]] = []
        self._over = False
        self._task_counter: TaskCounter | None = None
        self.turned_down: TurnedDown | None = None
        """The configuration that was read last, if it is not in effect."""
        self._begin(handover)

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._means.settings

    @property
    def services(self) -> Services:
        """What the polls of this shift share."""
        return self._means.services

    @property
    def scheduler(self) -> Scheduler:
        """Who polls in this shift."""
        return self._scheduler

    @property
    def upkeep(self) -> Upkeep:
        """Who keeps the book in this shift."""
        return self._upkeep

    async def reload(self) -> Reload:
        """
        Have the configuration read again, and return what came of it.

        Requests that come while one is carried out are carried out together, after it.
        """
        if self._over:
            return _STOPPING
        done: asyncio.Future[Reload] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        # Whoever waits may give up; the reload does not, and nor do those who wait with them.
        return await asyncio.shield(done)

    async def run(self) -> None:
        """Work, shift after shift, until cancelled."""
        try:
            while True:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(tidily(self._scheduler.run), name="scheduler"),
                        group.create_task(tidily(self._upkeep.run), name="upkeep"),
                    ]
                    if self._task_counter is not None:
                        counting = tidily(self._task_counter.run)
                        tasks.append(group.create_task(counting, name="tasks"))
                    await self._close_others()
                    self._others = successor = await self._wait_for_successor()
                    for task in tasks:
                        task.cancel()
                self._answer(await self._relieve(successor))
        finally:
            self._over = True
            self._served += self._waiting
            self._answer(_STOPPING)

    async def close(self) -> None:
        """Close what was needed of the outside."""
        await self._close_others()
        await self._means.stack.aclose()

    # Reading

    async def _wait_for_successor(self) -> _Means:
        """Wait for a configuration that is good, and another one."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._served, self._waiting = self._waiting, []
            result = await self._read()
            if isinstance(result, _Means):
                return result
            self._answer(result)

    async def _read(self) -> _Means | Reload:
        """Read the configuration, and open what it needs if it is another one."""
        try:
            settings = await asyncio.to_thread(self._reread, self.settings)
            if not changes.changed(self.settings, settings):
                log.info("configuration unchanged")
                return self._done("nothing has changed")
            stack = AsyncExitStack()
            services = await stack.enter_async_context(open_services(settings, self._lasting))
            return _Means(settings, services, stack)
        except ConfigError as error:
            for problem in error.problems:
                log.warning(
                    "configuration refused", problem=str(problem), meanwhile=_THE_ONE_BEFORE
                )
            return self._turned_down(ReloadOutcome.REFUSED, error.told("nothing was changed"))
        except Exception as bug:
            # The edge of one reload: what works must not end with what does not.
            log.exception(_ON_A_BUG)
            return self._failed(_told(bug))

    # Changing

    async def _relieve(self, successor: _Means) -> Reload:
        """Put *successor* in the place of the shift that has just ended, if that can be done."""
        await self._lasting.journal.settle()
        before, others = self._means, successor
        try:
            rebound = await committed(self._lasting, successor.settings.metrics)
        except LedgerError as error:
            log.warning("reload failed", problem=str(error))
            result = self._failed(str(error))
        except Exception as bug:
            log.exception(_ON_A_BUG)
            result = self._failed(_told(bug))
        else:
            await rebind(self._lasting, successor.settings, rebound)
            self._means, self._others = successor, before
            others = before
            self._lasting.process.client_replaced()
            changed = changes.named(changes.changed(before.settings, successor.settings))
            log.info("reloaded", changed=", ".join(changed))
            result = self._done(", ".join(changed))
        former = self._scheduler
        self._begin(former.hand_over(self.settings.discovery))
        others.stack.push_async_callback(former.dissolve)
        return result

    async def _close_others(self) -> None:
        """Close what this shift does not need; its last spans may take seconds to leave."""
        others, self._others = self._others, None
        if others is not None:
            await others.stack.aclose()

    def _begin(self, handover: Handover) -> None:
        """Prepare the work of a shift, which `run` then has done."""
        settings, services, _ = self._means
        lasting = self._lasting
        inventory = Inventory(
            services,
            lasting.exposition,
            lasting.gauges,
            settings=settings.discovery,
            admin=settings.admin,
            register=handover.register,
        )
        self._scheduler = Scheduler(
            services,
            lasting.exposition,
            inventory=inventory,
            projects=lasting.projects,
            settings=settings.discovery,
            admin=settings.admin,
            handover=handover,
        )
        self._upkeep = Upkeep(
            book=lasting.book,
            journal=lasting.journal,
            clock=lasting.clock,
            keep=self._scheduler.in_use,
        )

        self._task_counter = None
        if settings.tasks.match:
            limits = settings.tasks
            nodes = services.admin.nodes(rate=limits.rate_limit, concurrency=limits.concurrency)
            self._task_counter = TaskCounter(services, lasting.backlog, nodes, settings=limits)

    def _done(self, changed: str) -> Reload:
        self._lasting.process.config_loaded(at=self._lasting.clock.now())
        self.turned_down = None
        return Reload(ReloadOutcome.DONE, f"reloaded: {changed}")

    def _failed(self, problem: str) -> Reload:
        return self._turned_down(ReloadOutcome.FAILED, f"{problem}\nNothing was changed.")

    def _turned_down(self, outcome: ReloadOutcome, text: str) -> Reload:
        self._lasting.process.config_refused()
        self.turned_down = TurnedDown(self._lasting.clock.now(), text)
        return Reload(outcome, text)

    def _answer(self, result: Reload) -> None:
        """Tell those who wait for the reload that was carried out."""
        served, self._served = self._served, []
        for done in served:
            done.set_result(result)


def _told(bug: Exception) -> str:
    return f"{type(bug).__name__}: {bug}"


@asynccontextmanager
async def open_shifts(
    settings: Settings,
    lasting: Lasting,
    *,
    before: Handover,
    reread: Reread,
    asked: asyncio.Event,
) -> AsyncIterator[Shifts]:
    """
    Prepare the first shift; the block decides when it begins.

    Args:
        settings: The configuration of the first shift.
        lasting: What all shifts share.
        before: What the ledger knows of discoveries and listings.
        reread: Where the next configuration comes from.
        asked: Is set where somebody wants it read and waits for no answer.
    """
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings, lasting))
        shifts = Shifts(
            _Means(settings, services, stack.pop_all()),
            lasting,
            handover=before,
            reread=reread,
            asked=asked,
        )
    lasting.process.config_loaded(at=lasting.clock.now())
    try:
        yield shifts
    finally:
        await shifts.close()
