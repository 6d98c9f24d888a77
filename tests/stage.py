"""A scheduler on a rig, with the clock in the test's hand."""

import asyncio
from typing import Any

from flyteidl.admin import project_pb2

from exporter.config.settings import AdminSettings, DiscoverySettings
from exporter.metrics.formats import Format
from exporter.metrics.projects import ProjectGauges
from exporter.scrape.inventory import Inventory
from exporter.scrape.scheduler import Scheduler
from tests.rig import Rig


class SteppedClock:
    """A clock whose sleepers wake when the test moves it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> Any:
        """Return the wall clock."""
        return self._rig.clock.now()

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self._rig.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved time so far."""
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.monotonic() + seconds, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time, waking each sleeper at its own moment."""
        end = self.monotonic() + seconds
        while True:
            await quiet()
            due = min((s for s in self._sleepers if s[0] <= end), default=None, key=lambda s: s[0])
            if due is None:
                break
            self._sleepers.remove(due)
            self._rig.clock.advance(max(1e-6, due[0] - self.monotonic()))
            if not due[1].done():
                due[1].set_result(None)
        self._rig.clock.advance(end - self.monotonic())


async def quiet() -> None:
    """Let everything run that is ready."""
    for _ in range(200):
        await asyncio.sleep(0)


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
            known=rig.ledger.active_plans(),
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
            before=rig.ledger.discovery(),
        )

    def shows(self, text: str) -> bool:
        """Whether /metrics has a line that begins with *text*."""
        document = b"".join(self.rig.exposition.snapshot(Format.TEXT)).decode()
        return any(line.startswith(text) for line in document.splitlines())


def register(rig: Rig, name: str) -> None:
    """Have Admin know a project."""
    project = project_pb2.Project(id=name, name=name)
    rig.admin.calls["RegisterProject"](project_pb2.ProjectRegisterRequest(project=project))
