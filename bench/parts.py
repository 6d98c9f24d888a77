"""The application's own parts, put together without a timetable: a measurement takes the turns."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import grpc.aio

from bench.server import CONTROL
from bench.worlds import DOMAIN
from exporter.admin.channel import connect
from exporter.admin.client import CODES, METHODS, AdminClient
from exporter.config.settings import AdminSettings, MetricsSettings, ScrapeSettings
from exporter.ledger.journal import Journal
from exporter.ledger.opening import open_ledger
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.metrics.process import Process
from exporter.model.targets import Target
from exporter.pipeline import Correction
from exporter.scrape.fleet import Fleet
from exporter.scrape.poll import STEPS, Poller, Services
from exporter.scrape.worker import Outcome
from exporter.telemetry.clock import SystemClock

PAGE_SIZE = 1000
_NEVER = float("inf")


class Asked(NamedTuple):
    """What Admin was asked for."""

    calls: int
    rows: int

    def since(self, earlier: "Asked") -> "Asked":
        """Return what came after *earlier*."""
        return Asked(self.calls - earlier.calls, self.rows - earlier.rows)


class Parts(NamedTuple):
    """What one measurement polls with."""

    services: Services
    channel: grpc.aio.Channel

    def poller(self, project: str) -> Poller:
        """Return a poller of *project* that reconciles only at its first poll."""
        return Poller(Target(project, DOMAIN), self.services, reconcile_at=_NEVER)

    async def reveal(self, project: str, rows: int) -> None:
        """Have the server show *rows* more of *project*."""
        await self.channel.unary_unary(f"/{CONTROL}/Reveal")(f"{project} {rows}".encode())

    def asked(self) -> Asked:
        """Return what Admin was asked for so far."""
        document = self.services.process.render(Format.TEXT)
        return Asked(
            calls=total(document, catalog.ADMIN_RPCS), rows=total(document, catalog.POLL_ROWS)
        )


def total(document: bytes, family: Family) -> int:
    """Return the sum of a counter's samples in *document*."""
    start = family.name.encode()
    return sum(
        round(float(line.rpartition(b" ")[2]))
        for line in document.splitlines()
        if line.startswith(start)
    )


@asynccontextmanager
async def parts(address: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Parts]:
    """Build the parts over the Admin at *address* and a new ledger on disk."""
    admin = AdminSettings(endpoint=address, insecure=True)
    metrics = MetricsSettings(first_sample_hold=timedelta())
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ledger = stack.enter_context(open_ledger(directory / "ledger.db", endpoint=address))
        clock = SystemClock()
        process = Process(methods=METHODS, codes=CODES)
        process.born(
            outcomes=tuple(outcome.value for outcome in Outcome),
            steps=STEPS,
            reasons=tuple(correction.value for correction in Correction),
        )
        book = Book(
            bounds={
                catalog.EXECUTION_DURATION: [b.total_seconds() for b in metrics.duration_buckets],
                catalog.EXECUTION_QUEUE_DURATION: [
                    b.total_seconds() for b in metrics.queue_buckets
                ],
            },
            limit=metrics.series_limit,
            hold=metrics.first_sample_hold,
            exposition=Exposition(process),
            observer=process,
        )
        channel = await stack.enter_async_context(connect(admin))
        yield Parts(
            Services(
                admin=AdminClient(channel, observer=process),
                journal=await stack.enter_async_context(
                    Journal(ledger, clock=clock, observer=process)
                ),
                book=book,
                fleet=Fleet(),
                clock=clock,
                process=process,
                settings=ScrapeSettings(page_size=page_size),
                call_timeout=admin.timeout,
            ),
            channel,
        )
