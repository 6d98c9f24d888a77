"""A store, its API and a clock that tests own."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from flyteidl.admin import common_pb2

from exporter.model.executions import Mode
from exporter.model.time import SECOND, Micros
from exporter.sim.api import AdminApi
from exporter.sim.execution import ErrorSeen, ExecutionKey
from exporter.sim.store import Store
from tests import rows

START = rows.NOON
"""When the simulated worlds begin."""


@dataclass
class ManualClock:
    """Time stands still until a test moves it; sleepers wake when theirs has come."""

    instant: Micros = START
    sleepers: list[tuple[float, float, "asyncio.Future[None]"]] = field(default_factory=list)
    slept: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> Micros:
        """Return the wall clock."""
        return self.instant

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self.instant / SECOND

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has moved time so far."""
        woken = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.monotonic() + seconds, seconds, woken))
        self.slept.set()
        await woken

    def advance(self, seconds: float) -> None:
        """Move time and wake whom it concerns."""
        self.instant = Micros(self.instant + round(seconds * SECOND))
        for until, _, woken in self.sleepers:
            if until <= self.monotonic() and not woken.done():
                woken.set_result(None)


class Admin:
    """An API in process, with what most tests do to it in few words."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.store = Store(seed=7)
        self.api = AdminApi(self.store, now=clock.now)
        self.executions = self.api.executions

    def key(self, name: str, project: str = "p", domain: str = "d") -> ExecutionKey:
        """Return where *name* runs."""
        return ExecutionKey(project, domain, name)

    def launch(
        self,
        name: str,
        *,
        after: float = 0,
        visible_after: float | None = None,
        project: str = "p",
        launch_plan: str = "plan",
        mode: Mode = Mode.MANUAL,
        error: ErrorSeen | None = None,
        labels: dict[str, str] | None = None,
    ) -> ExecutionKey:
        """Launch *name*, created *after* seconds from the start."""
        key = self.key(name, project)
        visible_at = None if visible_after is None else rows.after(visible_after)
        self.executions.launch(
            key,
            launch_plan=launch_plan,
            created_at=rows.after(after),
            mode=mode,
            visible_at=visible_at,
            error=error,
            labels=labels,
        )
        return key

    def names(self, filters: str = "", *, sort: str | None = "id", **request: Any) -> list[str]:
        """List executions of p/d and return their names in order."""
        return [row.id.name for row in self.listed(filters, sort=sort, **request).executions]

    def listed(
        self,
        filters: str = "",
        *,
        sort: str | None = "id",
        limit: int = 100,
        token: str = "",
        project: str = "p",
    ) -> Any:
        """List executions of one project, ascending."""
        request = common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=project, domain="d"),
            filters=filters,
            limit=limit,
            token=token,
        )
        if sort is not None:
            request.sort_by.key = sort
            request.sort_by.direction = common_pb2.Sort.ASCENDING
        return self.api.lifecycle.list_executions(request)


OK = (grpc.StatusCode.OK, "")
"""How a call that was answered ended."""


async def ending(call: Any) -> tuple[grpc.StatusCode, str]:
    """Await a call and return how it ended."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test moves."""
    return ManualClock()


@pytest.fixture
def admin(clock: ManualClock) -> Admin:
    """An empty Admin."""
    return Admin(clock)
