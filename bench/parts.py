"""The application's own parts, as it puts them together, but without a timetable."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio

from bench.observation import total
from bench.server import CONTROL
from bench.worlds import DOMAIN
from exporter import app, garbage
from exporter.config.settings import (
    AdminSettings,
    LedgerSettings,
    MetricsSettings,
    ScrapeSettings,
    Settings,
    WebSettings,
)
from exporter.config.values import ListenAddress
from exporter.metrics import catalog
from exporter.metrics.formats import Format
from exporter.model.targets import Target
from exporter.scrape.poll import Poller
from exporter.scrape.services import Services

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
    """Another connection to the same server."""

    def poller(self, project: str) -> Poller:
        """Return a poller of *project* that reconciles only at its first poll."""
        return Poller(Target(project, DOMAIN), self.services, reconcile_at=_NEVER)

    async def reveal(self, project: str, rows: int) -> None:
        """Have the server show *rows* more of *project*."""
        call: Any = self.channel.unary_unary(f"/{CONTROL}/Reveal")
        await call(f"{project} {rows}".encode())

    def asked(self) -> Asked:
        """Return what Admin was asked for so far."""
        document = self.services.process.render(Format.TEXT)
        return Asked(
            calls=total(document, catalog.ADMIN_RPCS), rows=total(document, catalog.POLL_ROWS)
        )


@asynccontextmanager
async def parts(address: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Parts]:
    """Build the application over the Admin at *address* and a new ledger on disk."""
    with garbage.taken_over(), tempfile.TemporaryDirectory(prefix="bench-") as directory:
        settings = Settings(
            admin=AdminSettings(
                endpoint=address,
                insecure=True,
                # What is measured is our speed, and not our manners.
                rate_limit=10_000.0,
                burst=10_000,
            ),
            scrape=ScrapeSettings(page_size=page_size),
            metrics=MetricsSettings(first_sample_hold=timedelta()),
            ledger=LedgerSettings(path=Path(directory) / "ledger.db"),
            web=WebSettings(listen=ListenAddress("127.0.0.1", 0)),
        )
        async with app.start(settings) as running, grpc.aio.insecure_channel(address) as channel:
            # As `app.run` does. The scheduler has the parts, and is not asked to run: here a
            # measurement takes the turns.
            collector = asyncio.create_task(garbage.collect(), name="garbage")
            try:
                yield Parts(running.shifts.services, channel)
            finally:
                collector.cancel()
