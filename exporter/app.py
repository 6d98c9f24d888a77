"""
The application: its parts, built from the settings, and their one common life.

Opening goes from the bottom up (ledger, book, Admin, scheduler, web port), and closing the other
way, so that nothing is asked for what is already gone. What a reload builds anew, and when, is in
`exporter.reload`.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import exporter
from exporter import garbage
from exporter.admin.auth.reports import TOKEN_OUTCOMES
from exporter.admin.client import CODES, METHODS
from exporter.admin.retry import REASONS
from exporter.config.effective import effective
from exporter.config.settings import Settings
from exporter.ledger.journal import Journal
from exporter.ledger.opening import open_ledger
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.opening import open_book
from exporter.metrics.process import Process
from exporter.metrics.projects import ProjectGauges
from exporter.model.clock import Clock
from exporter.model.reload import Reload, TurnedDown
from exporter.model.status import TargetStatus
from exporter.pipeline import Correction
from exporter.reload.services import Lasting
from exporter.reload.shifts import Reread, Shifts, open_shifts
from exporter.scrape.backlog import open_backlog
from exporter.scrape.fleet import Fleet
from exporter.scrape.inventory import Register
from exporter.scrape.poll import STEPS
from exporter.scrape.scheduler import Handover
from exporter.scrape.tasks import TASK_OUTCOMES
from exporter.scrape.worker import Outcome
from exporter.telemetry.clock import SystemClock
from exporter.telemetry.log import get_logger
from exporter.threads import DaemonThreads
from exporter.web.server import serve

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pages:
    """What the web port tells about the application."""

    shifts: Shifts
    version: str = exporter.__version__

    @property
    def endpoint(self) -> str:
        """Return the address of Flyte Admin."""
        return self.shifts.settings.admin.endpoint

    def unhealthy(self) -> str:
        """Return what is wrong with us; empty when nothing is, whether or not Admin is there."""
        return self.shifts.scheduler.unhealthy()

    def unready(self) -> str:
        """Return what /metrics still lacks; empty when nothing."""
        return self.shifts.scheduler.unready()

    def targets(self) -> Sequence[TargetStatus]:
        """Return how the scraping of each target goes."""
        return self.shifts.scheduler.statuses()

    def configuration(self) -> str:
        """Return the settings in effect, fit to be shown to anybody."""
        return effective(self.shifts.settings)

    def turned_down(self) -> TurnedDown | None:
        """Return the configuration that was read last, if it is not in effect."""
        return self.shifts.turned_down

    def reloads(self) -> bool:
        """Return whether anybody who reaches the port may have the configuration read again."""
        return self.shifts.settings.web.enable_reload

    async def reload(self) -> Reload:
        """Have the configuration read again."""
        return await self.shifts.reload()


@dataclass(frozen=True, slots=True)
class Running:
    """A started application."""

    shifts: Shifts
    exposition: Exposition
    port: int


async def run(
    settings: Settings,
    *,
    adopt_ledger: bool = False,
    reread: Reread | None = None,
    started: Callable[[int], None],
) -> None:
    """
    Run until SIGTERM or SIGINT; with *reread*, SIGHUP has the configuration read again.

    Args:
        settings: The configuration.
        adopt_ledger: Take over a ledger that belongs to another endpoint.
        reread: Where the next configuration comes from; None when there is never another one.
        started: Is called with the web port, once it is open.

    Raises:
        LedgerError, ListenError: It could not start.
    """
    loop = asyncio.get_running_loop()
    # A mount or a resolver that hangs must not hold up the end.
    loop.set_default_executor(DaemonThreads())
    stop, hangup = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if reread is not None:
        loop.add_signal_handler(signal.SIGHUP, hangup.set)
    with garbage.taken_over():
        async with (
            start(settings, adopt_ledger=adopt_ledger, reread=reread, hangup=hangup) as running,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(running.shifts.run(), name="shifts"),
                group.create_task(garbage.collect(), name="garbage"),
            ]
            started(running.port)
            await stop.wait()
            log.info("stopping")
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def start(
    settings: Settings,
    *,
    adopt_ledger: bool = False,
    reread: Reread | None = None,
    hangup: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """Build the application and open its port; the block decides what runs."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(
            open_ledger(settings.ledger.path, endpoint=settings.admin.endpoint, adopt=adopt_ledger)
        )
        process = Process(methods=METHODS, codes=CODES)
        process.born(
            outcomes=tuple(outcome.value for outcome in Outcome),
            steps=STEPS,
            reasons=tuple(correction.value for correction in Correction),
            retries=REASONS,
            token_outcomes=TOKEN_OUTCOMES,
            task_outcomes=TASK_OUTCOMES,
        )
        book = open_book(settings.metrics, ledger, process=process, clock=clock)
        process.watch(budget=book.budget, ledger_size=ledger.size_bytes)
        journal = await stack.enter_async_context(Journal(ledger, clock=clock, observer=process))
        lasting = Lasting(
            journal=journal,
            book=book,
            gauges=PlanGauges(
                budget=book.budget,
                exposition=book.exposition,
                observer=process,
                is_admitted=book.is_admitted,
            ),
            projects=ProjectGauges(
                exposition=book.exposition,
                budget=book.budget,
                observer=process,
                labels=settings.discovery.project_labels,
            ),
            fleet=Fleet(ledger.newest_cursor()),
            backlog=open_backlog(
                settings.tasks, ledger, observer=process, label=book.labelling.label
            ),
            exposition=book.exposition,
            process=process,
            clock=clock,
        )
        shifts = await stack.enter_async_context(
            open_shifts(
                settings,
                lasting,
                before=Handover(
                    discovery=ledger.discovery(), register=Register(ledger.active_plans())
                ),
                reread=reread or _unchanged,
                asked=hangup or asyncio.Event(),
            )
        )
        port = await stack.enter_async_context(
            serve(
                str(settings.web.listen), source=book.exposition, pages=Pages(shifts), clock=clock
            )
        )
        log.info(
            "started",
            version=exporter.__version__,
            admin=settings.admin.endpoint,
            ledger=str(settings.ledger.path),
            port=port,
        )
        yield Running(shifts, book.exposition, port)


def _unchanged(settings: Settings) -> Settings:
    return settings
