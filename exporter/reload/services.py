"""The services that polls share: some live as long as the process, the others as their settings."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from exporter.admin.opening import open_client
from exporter.config.settings import Settings
from exporter.ledger.journal import Journal
from exporter.metrics.book import Book
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.process import Process
from exporter.metrics.projects import ProjectGauges
from exporter.model.clock import Clock
from exporter.scrape.backlog import Backlog
from exporter.scrape.fleet import Fleet
from exporter.scrape.norms import NormsOf
from exporter.scrape.services import Services
from exporter.telemetry.tracing import start_tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What is counted and what is shown of it: lives as long as the process."""

    journal: Journal
    book: Book
    gauges: PlanGauges
    projects: ProjectGauges
    fleet: Fleet
    backlog: Backlog
    exposition: Exposition
    process: Process
    clock: Clock


@asynccontextmanager
async def open_services(settings: Settings, lasting: Lasting) -> AsyncIterator[Services]:
    """Open what *settings* say how to reach; nothing is sent before the first poll."""
    async with AsyncExitStack() as stack:
        tracing = start_tracing(settings.tracing, os.environ, observer=lasting.process)
        stack.push_async_callback(tracing.shutdown)
        tracer = tracing.tracer(__name__)
        admin = await stack.enter_async_context(
            open_client(
                settings.admin, clock=lasting.clock, observer=lasting.process, tracer=tracer
            )
        )
        yield Services(
            admin=admin,
            journal=lasting.journal,
            book=lasting.book,
            gauges=lasting.gauges,
            fleet=lasting.fleet,
            clock=lasting.clock,
            process=lasting.process,
            tracer=tracer,
            settings=settings.scrape,
            schedules=settings.schedules,
            backlog=lasting.backlog if settings.tasks.match else None,
            norms=NormsOf(
                freshness=settings.freshness, expected_duration=settings.expected_duration
            ),
        )
