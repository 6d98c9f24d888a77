"""What clients see of proxies, of a panicking Admin, and of one that is older than they are."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from flyteidl.admin import project_pb2, version_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from exporter.sim.incidents import parse_incident
from exporter.sim.server import NEWER_CALLS, serve
from exporter.sim.world import World
from tests.sim.conftest import OK, ending


@contextlib.asynccontextmanager
async def channel_to(clock: Any, *incidents: str, **options: Any) -> AsyncIterator[Any]:
    """Serve a world whose clock the test owns; yield a channel to it."""
    world = World(
        seed=3, start=clock.now(), history=timedelta(), incidents=[*map(parse_incident, incidents)]
    )
    async with (
        serve(world, clock=clock, **options) as serving,
        grpc.aio.insecure_channel(serving.address) as channel,
    ):
        yield channel


def get_version(channel: Any) -> Any:
    """Begin a call."""
    stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
    return stub.GetVersion(version_pb2.GetVersionRequest(), timeout=5)


def get_domains(channel: Any) -> Any:
    """Begin a call that needs no database."""
    stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
    return stub.GetDomains(project_pb2.GetDomainRequest(), timeout=5)


def check_health(channel: Any, *, timeout: float = 5) -> Any:
    """Begin a call to another service of the same server."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=Int32Value.FromString,
    )
    return check(StringValue(), timeout=timeout)


@pytest.mark.parametrize(
    ("incident", "end"),
    [
        ("admin-unavailable", (grpc.StatusCode.UNAVAILABLE, "no healthy upstream")),
        ("throttled", (grpc.StatusCode.RESOURCE_EXHAUSTED, "local_rate_limited")),
        ("proxy-denied", (grpc.StatusCode.PERMISSION_DENIED, "RBAC: access denied")),
    ],
)
async def test_a_proxy_refuses_every_call_while_it_lasts(
    clock: Any, incident: str, end: tuple[grpc.StatusCode, str]
) -> None:
    """Whichever service it is for; after that, all is well."""
    async with channel_to(clock, f"{incident}@10s+10s") as channel:
        assert await ending(get_version(channel)) == OK
        clock.advance(10)
        assert await ending(get_version(channel)) == end
        assert await ending(check_health(channel)) == end
        clock.advance(10)
        assert await ending(get_version(channel)) == OK


async def test_a_panic_has_no_text(clock: Any) -> None:
    """The process is up all the same, and says so."""
    async with channel_to(clock, "admin-panic@10s+10s") as channel:
        clock.advance(10)
        assert await ending(get_version(channel)) == (grpc.StatusCode.INTERNAL, "")
        assert await ending(check_health(channel)) == OK
        clock.advance(10)
        assert await ending(get_version(channel)) == OK


async def test_a_hanging_admin_hangs_for_every_service(clock: Any) -> None:
    """Each call ends at its client's deadline."""
    async with channel_to(clock, "admin-hang@0s+10s") as channel:
        code, _ = await ending(check_health(channel, timeout=0.2))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_health_needs_nothing_without_authentication(clock: Any) -> None:
    """A probe knows no token."""
    async with channel_to(clock) as channel:
        assert (await check_health(channel)).value == 1


async def test_domains_are_answered_from_the_configuration(clock: Any) -> None:
    """They are there, in Admin's order."""
    async with channel_to(clock) as channel:
        domains = (await get_domains(channel)).domains
        assert [domain.id for domain in domains] == ["development", "staging", "production"]


async def test_an_old_server_does_not_know_newer_calls(clock: Any) -> None:
    """It answers the others."""
    async with channel_to(clock, without=NEWER_CALLS) as channel:
        assert (await ending(get_domains(channel)))[0] is grpc.StatusCode.UNIMPLEMENTED
        assert await ending(get_version(channel)) == OK
