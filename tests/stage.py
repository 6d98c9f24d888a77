"""A scheduler on a rig, with the clock in the test's hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from exporter.config.settings import AdminSettings, DiscoverySettings
from exporter.metrics.projects import ProjectGauges
from exporter.scrape.inventory import Inventory, Register
from exporter.scrape.scheduler import Handover, Scheduler
from tests import page
from tests.rig import Rig, SteppedClock, quiet


class Stage:
    """A scheduler on a rig, with the clock in the test's hand."""

    def __init__(self, rig: Rig, *, rate_limit: float = 50.0, **discovery: Any) -> None:
        self.rig = rig
        self.clock = SteppedClock(rig)
        services = {
            name: getattr(rig.services, name)
            for name in type(rig.services).__dataclass_fields__  # frozen, so built anew
        }
        stepped = type(rig.services)(**{**services, "clock": self.clock})
        settings = DiscoverySettings(include=("*/development",), **discovery)
        admin = AdminSettings(endpoint="admin:81", rate_limit=rate_limit)
        self.inventory = Inventory(
            stepped,
            rig.exposition,
            rig.gauges,
            settings=settings,
            admin=admin,
            register=Register(rig.ledger.active_plans()),
        )
        self.scheduler = Scheduler(
            stepped,
            rig.exposition,
            inventory=self.inventory,
            projects=ProjectGauges(
                exposition=rig.exposition,
                budget=rig.book.budget,
                observer=rig.process,
                labels=settings.project_labels,
            ),
            settings=settings,
            admin=admin,
            handover=Handover(discovery=rig.ledger.discovery()),
        )

    def shows(self, text: str) -> bool:
        """Whether /metrics has a line that begins with *text*."""
        return any(line.startswith(text) for line in page.lines(self.rig.exposition))


@asynccontextmanager
async def scheduled(rig: Rig) -> AsyncIterator[Stage]:
    """Have a scheduler run."""
    stage = Stage(rig)
    running = asyncio.create_task(stage.scheduler.run())
    await quiet()
    yield stage
    running.cancel()
    await asyncio.wait([running])
