"""What all that asks Admin about targets, and counts what it answers, has in common."""

from dataclasses import dataclass, field

from opentelemetry.trace import Tracer

from exporter.admin.client import AdminClient
from exporter.config.settings import SchedulesSettings, ScrapeSettings
from exporter.ledger.journal import Journal
from exporter.metrics.book import Book
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.process import Process
from exporter.model.clock import Clock
from exporter.scrape.backlog import Backlog
from exporter.scrape.fleet import Fleet
from exporter.scrape.norms import NormsOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all polls share."""

    admin: AdminClient
    journal: Journal
    book: Book
    gauges: PlanGauges
    fleet: Fleet
    clock: Clock
    process: Process
    tracer: Tracer
    settings: ScrapeSettings
    norms: NormsOf = field(default_factory=NormsOf)
    schedules: SchedulesSettings = field(default_factory=SchedulesSettings)
    backlog: Backlog | None = None
    """Who waits for their tasks to be counted; None where nobody does."""
