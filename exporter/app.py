"""
The application: its parts, built from the settings, and their one common life.

Opening goes from the bottom up (ledger, book, Admin, scheduler, web port), and closing the other
way, so that nothing is asked for what is already gone.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import exporter
from exporter.admin.auth.reports import TOKEN_OUTCOMES
from exporter.admin.client import CODES, METHODS
from exporter.admin.opening import open_client
from exporter.admin.retry import REASONS
from exporter.config.settings import MetricsSettings, Settings
from exporter.ledger.journal import Journal
from exporter.ledger.opening import open_ledger
from exporter.ledger.store import Ledger
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.process import Process
from exporter.metrics.projects import ProjectGauges
from exporter.model.clock import Clock
from exporter.model.status import TargetStatus
from exporter.pipeline import Correction
from exporter.scrape.fleet import Fleet
from exporter.scrape.inventory import Inventory
from exporter.scrape.poll import STEPS, Services
from exporter.scrape.scheduler import Scheduler
from exporter.scrape.upkeep import Upkeep
from exporter.scrape.worker import Outcome
from exporter.telemetry.clock import SystemClock
from exporter.telemetry.log import get_logger
from exporter.telemetry.tracing import start_tracing
from exporter.web.server import serve

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pages:
    """What the web port tells about the application."""

    scheduler: Scheduler
    endpoint: str
    version: str = exporter.__version__

    def unhealthy(self) -> str:
        """Return what is wrong with us; empty when nothing is, whether or not Admin is there."""
        return self.scheduler.unhealthy()

    def unready(self) -> str:
        """Return what /metrics still lacks; empty when nothing."""
        return self.scheduler.unready()

    def targets(self) -> Sequence[TargetStatus]:
        """Return how the scraping of each target goes."""
        return self.scheduler.statuses()


@dataclass(frozen=True, slots=True)
class Running:
    """A started application."""

    services: Services
    scheduler: Scheduler
    upkeep: Upkeep
    exposition: Exposition
    port: int


async def run(
    settings: Settings, *, adopt_ledger: bool = False, started: Callable[[int], None]
) -> None:
    """
    Run until SIGTERM or SIGINT.

    Args:
        settings: The configuration.
        adopt_ledger: Take over a ledger that belongs to another endpoint.
        started: Is called with the web port, once it is open.

    Raises:
        LedgerError, ListenError: It could not start.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        start(settings, adopt_ledger=adopt_ledger) as running,
        asyncio.TaskGroup() as group,
    ):
        relieve_the_collector()
        tasks = [
            group.create_task(running.scheduler.run(), name="scheduler"),
            group.create_task(running.upkeep.run(), name="upkeep"),
        ]
        started(running.port)
        await stop.wait()
        log.info("stopping")
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def start(
    settings: Settings, *, adopt_ledger: bool = False, clock: Clock | None = None
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
        )
        exposition = Exposition(process)
        book = _book(settings.metrics, ledger, exposition, process, clock)
        process.watch(budget=book.budget, ledger_size=ledger.size_bytes)
        journal = await stack.enter_async_context(Journal(ledger, clock=clock, observer=process))
        tracing = start_tracing(settings.tracing, os.environ, observer=process)
        stack.push_async_callback(tracing.shutdown)
        tracer = tracing.tracer(__name__)
        admin = await stack.enter_async_context(
            open_client(settings.admin, clock=clock, observer=process, tracer=tracer)
        )
        services = Services(
            admin=admin,
            journal=journal,
            book=book,
            fleet=Fleet(ledger.newest_cursor()),
            clock=clock,
            process=process,
            tracer=tracer,
            settings=settings.scrape,
        )
        gauges = PlanGauges(exposition=exposition, budget=book.budget, observer=process)
        scheduler = Scheduler(
            services,
            exposition,
            inventory=Inventory(
                services,
                exposition,
                gauges,
                settings=settings.discovery,
                admin=settings.admin,
                known=ledger.active_plans(),
            ),
            projects=ProjectGauges(
                exposition=exposition,
                budget=book.budget,
                observer=process,
                labels=settings.discovery.project_labels,
            ),
            settings=settings.discovery,
            admin=settings.admin,
            before=ledger.discovery(),
        )
        upkeep = Upkeep(book=book, journal=journal, clock=clock, keep=scheduler.in_use)
        port = await stack.enter_async_context(
            serve(
                str(settings.web.listen),
                source=exposition,
                pages=Pages(scheduler, settings.admin.endpoint),
                clock=clock,
            )
        )
        log.info(
            "started",
            version=exporter.__version__,
            admin=settings.admin.endpoint,
            ledger=str(settings.ledger.path),
            port=port,
        )
        yield Running(services, scheduler, upkeep, exposition, port)


def _book(
    settings: MetricsSettings,
    ledger: Ledger,
    exposition: Exposition,
    process: Process,
    clock: Clock,
) -> Book:
    bounds: dict[Family, tuple[float, ...]] = {
        catalog.EXECUTION_DURATION: tuple(b.total_seconds() for b in settings.duration_buckets),
        catalog.EXECUTION_QUEUE_DURATION: tuple(b.total_seconds() for b in settings.queue_buckets),
    }
    book = Book(
        bounds=bounds,
        limit=settings.series_limit,
        hold=settings.first_sample_hold,
        exposition=exposition,
        observer=process,
    )
    ledger.commit([book.load(ledger.series(), ledger.activity(), clock.now())])
    return book


def relieve_the_collector() -> None:
    """
    Have Python look for reference cycles seldom.

    What we hold is a million small tuples without any cycle, and what we make in a hurry is more of
    them: with the default thresholds, going over them again and again takes a fifth of a poll, and
    stops the event loop for 200 ms at a time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10_000)
