"""Over a real socket, where clients live."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from flyteidl.admin import (
    common_pb2,
    event_pb2,
    execution_pb2,
    project_pb2,
    task_execution_pb2,
    version_pb2,
)
from flyteidl.service import admin_pb2_grpc

from exporter.model.executions import Phase
from exporter.sim.execution import ExecutionKey
from exporter.sim.incidents import parse_incident
from exporter.sim.server import serve
from exporter.sim.world import World
from tests.sim.conftest import ending

_RECEIVE_BYTES = 20 * 1024 * 1024


@contextlib.asynccontextmanager
async def admin_with(clock: Any, *incidents: str) -> AsyncIterator[tuple[World, Any]]:
    """Serve a world whose clock the test owns; yield it and a client."""
    world = World(seed=3, start=clock.now(), speed=60, incidents=[*map(parse_incident, incidents)])
    async with serve(world, clock=clock) as serving:
        options = [("grpc.max_receive_message_length", _RECEIVE_BYTES)]
        async with grpc.aio.insecure_channel(serving.address, options=options) as channel:
            yield world, admin_pb2_grpc.AdminServiceStub(channel)


def listing(limit: int = 500, filters: str = "value_in(state,0;1)", token: str = "") -> Any:
    """Return a list request of a busy target, oldest first."""
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project="etl", domain="production"),
        limit=limit,
        filters=filters,
        token=token,
        sort_by=common_pb2.Sort(key="execution_created_at", direction=common_pb2.Sort.ASCENDING),
    )


async def test_answers_are_current(clock: Any) -> None:
    """The world is advanced to the clock before each call, not when it suits the server."""
    async with admin_with(clock) as (world, admin):
        clock.advance(60)
        page = await admin.ListExecutions(listing(limit=1000), timeout=5)
        assert world.now == clock.now()
        newest = max(row.closure.created_at.ToMicroseconds() for row in page.executions)
        assert newest > clock.now() - 2_000_000


async def test_what_is_not_simulated_is_unimplemented(clock: Any) -> None:
    """A client is told so, rather than given something made up."""
    async with admin_with(clock) as (_, admin):
        request = task_execution_pb2.TaskExecutionGetDataRequest()
        code, _ = await ending(admin.GetTaskExecutionData(request, timeout=5))
        assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_refusal_carries_its_reason_for_programs(clock: Any) -> None:
    """Status, text and detail arrive as from Admin."""
    async with admin_with(clock) as (world, admin):
        key = ExecutionKey("etl", "production", "over")
        world.executions.launch(key, launch_plan="x", created_at=clock.now())
        world.executions.move(key, Phase.SUCCEEDED, at=clock.now())
        event = {"execution_id": key._asdict(), "phase": Phase.FAILED}
        request = event_pb2.WorkflowExecutionEventRequest(event=event)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await admin.CreateWorkflowEvent(request, timeout=5)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "Invalid phase change from SUCCEEDED to FAILED" in (refused.value.details() or "")
        trailers = dict(refused.value.trailing_metadata())
        assert b"EventFailureReason" in trailers["grpc-status-details-bin"]


async def test_a_page_of_many_rows_is_quick(clock: Any) -> None:
    """Not a measurement: a thousand rows in a fraction of what any client waits."""
    async with admin_with(clock) as (world, admin):
        for index in range(1_000):
            key = ExecutionKey("etl", "production", f"row{index}")
            world.executions.launch(key, launch_plan="x", created_at=clock.now())
        started = time.perf_counter()
        page = await admin.ListExecutions(listing(limit=1000), timeout=5)
        assert len(page.executions) == 1000
        assert time.perf_counter() - started < 1


async def test_an_unavailable_admin_recovers(clock: Any) -> None:
    """UNAVAILABLE while it lasts, for every call."""
    async with admin_with(clock, "admin-unavailable@10s+10s") as (_, admin):
        codes = []
        for _ in range(3):
            call = admin.GetVersion(version_pb2.GetVersionRequest(), timeout=5)
            codes.append((await ending(call))[0])
            clock.advance(10)
        expected = [grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK]
        assert codes == expected


async def test_an_unknown_fault_hits_a_share_of_calls(clock: Any) -> None:
    """Some calls end as database faults do, most do not."""
    async with admin_with(clock, "admin-unknown@0s+1m") as (_, admin):
        ends = [
            await ending(admin.GetDomains(project_pb2.GetDomainRequest(), timeout=5))
            for _ in range(60)
        ]
        faults = [details for code, details in ends if code is grpc.StatusCode.UNKNOWN]
        assert 5 < len(faults) < 40
        assert faults[0].startswith("failed database operation with ")


async def test_a_hanging_admin_ends_at_the_clients_deadline(clock: Any) -> None:
    """Nothing is answered; the client gives up."""
    async with admin_with(clock, "admin-hang@0s+1m") as (_, admin):
        call = admin.GetDomains(project_pb2.GetDomainRequest(), timeout=0.2)
        assert (await ending(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_slow_admin_answers_after_seconds(clock: Any) -> None:
    """The answer waits on the clock, not on the work."""
    async with admin_with(clock, "admin-slow@0s+1m") as (_, admin):
        call = asyncio.ensure_future(admin.GetVersion(version_pb2.GetVersionRequest(), timeout=30))
        while not any(seconds >= 1 for _, seconds, _ in clock.sleepers):
            clock.slept.clear()
            await asyncio.wait_for(clock.slept.wait(), 5)
        assert not call.done()
        clock.advance(3)
        assert (await call).control_plane_version.Version == "v1.16.8"


async def test_an_oversized_page_passes_when_halved(clock: Any) -> None:
    """500 rows exceed what the client receives; 250 do not, and nothing else is changed."""
    async with admin_with(clock, "oversized-page@0s+1m") as (world, admin):
        for index in range(500):
            key = ExecutionKey("etl", "production", f"row{index}")
            world.executions.launch(key, launch_plan="x", created_at=clock.now())
        code, details = await ending(admin.ListExecutions(listing(), timeout=20))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "Received message larger than max" in details
        page = await admin.ListExecutions(listing(limit=250), timeout=20)
        assert len(page.executions) == 250
        (plain,) = world.store.row(
            "SELECT listed FROM executions WHERE execution_name = ?",
            [page.executions[0].id.name],
        )
        first = page.executions[0]
        first.spec.ClearField("annotations")
        assert first == execution_pb2.Execution.FromString(plain)


async def test_rows_shift_between_two_pages(clock: Any) -> None:
    """A client that trusts offsets misses rows that were there all along."""
    async with admin_with(clock, "page-shift@0s+1m") as (_, admin):
        unshifted = await admin.ListExecutions(listing(limit=5000), timeout=5)
        there = [row.id.name for row in unshifted.executions]
        walked, token = [], ""
        for _ in range(10):
            page = await admin.ListExecutions(
                listing(limit=10, filters="value_in(state,0)", token=token), timeout=5
            )
            walked += [row.id.name for row in page.executions]
            token = page.token
        assert walked != there[:100]
        assert len(set(there[:100]) - set(walked)) >= 9


async def test_a_taken_address_is_an_error(clock: Any) -> None:
    """Two simulators do not share a port in silence."""
    world = World(seed=3, start=clock.now(), speed=600)
    async with serve(world, clock=clock) as serving:
        with pytest.raises(OSError, match="cannot listen on"):
            async with serve(world, listen=serving.address, clock=clock):
                pass
