"""A web port on a real socket over contents that a test can set."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from exporter.metrics.exposition import Document
from exporter.metrics.formats import Format
from exporter.model.reload import Reload, ReloadOutcome, TurnedDown
from exporter.model.status import TargetStatus
from exporter.telemetry.clock import SystemClock
from exporter.web.delivery import Limits
from exporter.web.server import serve


@dataclass
class Site:
    """What the web port is given; everything may be changed while it is served."""

    document: Sequence[bytes] = (b"# TYPE up gauge\n", b"up 1\n")
    objection: str = ""
    wait: str = ""
    statuses: Sequence[TargetStatus] = ()
    asked: list[Format] = field(default_factory=list)
    """The format of each snapshot that was taken."""
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a snapshot was taken: a response is under way."""
    settings: str = "admin:\n  endpoint: flyteadmin.example:443\n"
    objected: TurnedDown | None = None
    may_reload: bool = True
    reloaded: Reload = field(
        default_factory=lambda: Reload(ReloadOutcome.DONE, "reloaded: log.level")
    )
    reloads_asked: int = 0
    version: str = "1.2.3"
    endpoint: str = "flyteadmin.example:443"

    def snapshot(self, media: Format) -> Document:
        """Return the document, in whatever format."""
        self.asked.append(media)
        self.taken.set()
        return Document(self.document, media)

    def unhealthy(self) -> str:
        """Return why it should be restarted."""
        return self.objection

    def unready(self) -> str:
        """Return why it is not complete."""
        return self.wait

    def targets(self) -> Sequence[TargetStatus]:
        """Return how the targets are."""
        return self.statuses

    def configuration(self) -> str:
        """Return the settings."""
        return self.settings

    def turned_down(self) -> TurnedDown | None:
        """Return the configuration that was read last, if it is not in effect."""
        return self.objected

    def reloads(self) -> bool:
        """Return whether a reload may be asked for."""
        return self.may_reload

    async def reload(self) -> Reload:
        """Return what is to come of a reload."""
        self.reloads_asked += 1
        return self.reloaded

    @asynccontextmanager
    async def served(self, limits: Limits | None = None) -> AsyncIterator[int]:
        """Serve all this on a free port of the loopback interface, which is yielded."""
        async with serve(
            "127.0.0.1:0", source=self, pages=self, clock=SystemClock(), limits=limits
        ) as port:
            yield port


@pytest.fixture
def site() -> Site:
    """Return contents with two samples, healthy, ready, and without targets."""
    return Site()
