"""An exporter without its web port and without its schedule: the test says when it polls."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from opentelemetry.trace import NoOpTracer
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.admin.client import CODES, METHODS
from exporter.admin.opening import open_client
from exporter.config.settings import AdminSettings, MetricsSettings, ScrapeSettings
from exporter.ledger.journal import Journal
from exporter.ledger.opening import open_ledger
from exporter.ledger.records import TargetRecord
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.loading import load
from exporter.metrics.opening import bounds_of, taken_from
from exporter.metrics.process import Process
from exporter.model.targets import Target
from exporter.pipeline import Correction
from exporter.scrape.fleet import Fleet
from exporter.scrape.poll import STEPS, Poller
from exporter.scrape.services import Services
from exporter.telemetry.clock import SystemClock
from tests.calls import Calls
from tests.live.deeds import Totals

BOUNDS = bounds_of(MetricsSettings())


def settings_for(address: str) -> AdminSettings:
    """Return the settings of a client of the Admin at *address*; tests do not wait for a rate."""
    return AdminSettings(
        endpoint=address, insecure=True, rate_limit=10_000.0, burst=10_000, max_concurrency=64
    )


@dataclass(slots=True, kw_only=True)
class Exporter:
    """Polls when it is told to."""

    services: Services
    calls: Calls
    exposition: Exposition
    reconciling: bool
    pollers: dict[Target, Poller] = field(default_factory=dict)

    async def poll(self, target: Target) -> None:
        """Poll *target* once."""
        if target not in self.pollers:
            now = self.services.clock.monotonic()
            interval = self.services.settings.reconcile_interval.total_seconds()
            due = now if self.reconciling else now + interval
            self.pollers[target] = Poller(target, self.services, reconcile_at=due)
        await self.pollers[target].poll()

    async def totals(self, target: Target) -> Totals:
        """Return what the ledger counts of *target*; without what stands at 0."""
        return {
            (row.family, *row.labels): row.value
            for row in await self.services.journal.read(lambda ledger: ledger.series())
            if row.labels[: len(target)] == target and (row.value.total or any(row.value.buckets))
        }

    async def record(self, target: Target) -> TargetRecord:
        """Return what the ledger knows of *target*."""
        return await self.services.journal.read(lambda ledger: ledger.target(target))

    def samples(self, family: Family) -> list[Sample]:
        """Return what /metrics would show of *family*."""
        document = b"".join(self.exposition.snapshot(Format.TEXT)).decode()
        return [
            sample
            for shown in text_string_to_metric_families(document)
            for sample in shown.samples
            if sample.name == family.name
        ]

    def active(self, target: Target) -> Counter[tuple[str, str]]:
        """Return what /metrics shows as not over, by launch plan and phase; without zeros."""
        shown: Counter[tuple[str, str]] = Counter()
        for sample in self.samples(catalog.EXECUTIONS_ACTIVE):
            labels = sample.labels
            if (labels["project"], labels["domain"]) == target:
                shown[labels["launch_plan"], labels["phase"]] += int(sample.value)
        return +shown

    def corrections(self) -> float:
        """Return how much reconciles had to put right."""
        return sum(sample.value for sample in self.samples(catalog.RECONCILE_CORRECTIONS))


@asynccontextmanager
async def exporter_for(
    address: str,
    directory: Path,
    *,
    settings: ScrapeSettings | None = None,
    reconciling: bool = False,
) -> AsyncIterator[Exporter]:
    """
    Begin the life of one exporter; its ledger in *directory* outlives it.

    Args:
        address: Where Admin listens.
        directory: Where the ledger lies.
        settings: Of scraping; the defaults if left out.
        reconciling: Whether the second poll of a target reconciles; otherwise none does.
    """
    clock, process, calls = SystemClock(), Process(methods=METHODS, codes=CODES), Calls()
    process.born(outcomes=(), steps=STEPS, reasons=tuple(reason.value for reason in Correction))
    exposition = Exposition(process)
    book = Book(
        bounds=BOUNDS,
        limit=10_000,
        varieties={},
        hold=timedelta(),
        exposition=exposition,
        observer=process,
    )
    with open_ledger(directory / "ledger.db", endpoint=address) as ledger:
        ledger.commit([load(book, *taken_from(ledger, book.labelling), clock.now())])
        async with (
            Journal(ledger, clock=clock, observer=process) as journal,
            open_client(
                settings_for(address), clock=clock, observer=calls, tracer=NoOpTracer()
            ) as client,
        ):
            services = Services(
                admin=client,
                journal=journal,
                book=book,
                gauges=PlanGauges(
                    budget=book.budget,
                    exposition=exposition,
                    observer=process,
                    is_admitted=book.is_admitted,
                ),
                fleet=Fleet(),
                clock=clock,
                process=process,
                tracer=NoOpTracer(),
                settings=settings or ScrapeSettings(),
            )
            yield Exporter(
                services=services, calls=calls, exposition=exposition, reconciling=reconciling
            )
