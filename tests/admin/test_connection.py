"""A connection survives what happens to connections, and gives up what is dead."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import exporter
from exporter.admin import connection as connection_module
from exporter.admin.connection import Connection
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests import cable
from tests.admin.answering import Answering, ask
from tests.admin.resolver import Resolver
from tests.cable import Cable, Cut

_TCP_USER_TIMEOUT = 18
_SOON = 5.0


@pytest.fixture
async def server() -> AsyncIterator[Answering]:
    """Yield a server that answers in the clear."""
    async with Answering() as answering:
        yield answering


@pytest.fixture
async def line(server: Answering) -> AsyncIterator[Cable]:
    """Yield the cable to it."""
    async with Cable(server.port) as line:
        yield line


@pytest.fixture
async def connection(line: Cable) -> AsyncIterator[Connection]:
    """Yield a connection over that cable, which has been used."""
    async with to(line.address) as connection:
        assert await ask(connection) == "one"
        yield connection


@asynccontextmanager
async def to(endpoint: str, **settings: Any) -> AsyncIterator[Connection]:
    """Connect to *endpoint* in the clear."""
    admin = AdminSettings(endpoint=endpoint, insecure=True, **settings)
    async with Connection(admin, clock=SystemClock()) as connection:
        yield connection


async def answered(connection: Connection) -> str:
    """Ask until somebody answers, as a poll does again and again."""
    async with asyncio.timeout(_SOON):
        while True:
            try:
                return await ask(connection)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # any other ends it
                await asyncio.sleep(0.02)


async def asked_and(act: Callable[[], None], connection: Connection, server: Answering) -> str:
    """Do *act* while a call is with the server, and return who answered that call."""
    server.gate.clear()
    call = asyncio.create_task(ask(connection))
    await server.waiting.wait()
    act()
    server.gate.set()
    return await call


async def test_calls_share_a_channel(connection: Connection, line: Cable) -> None:
    """Nothing is opened for a call: the channel is the same, and so is what it is connected by."""
    assert await connection.channel() is await connection.channel()
    assert await asyncio.gather(*(ask(connection) for _ in range(20))) == ["one"] * 20
    assert line.accepted == 1


@pytest.mark.usefixtures("connection")
async def test_who_asks(server: Answering) -> None:
    """Admin's access log names this product and its version."""
    agent = server.metadata[-1]["user-agent"]
    assert agent.startswith(f"flyte-exporter/{exporter.__version__} ")


async def test_a_call_outlives_goaway(
    connection: Connection, server: Answering, line: Cable
) -> None:
    """What has begun is finished on the old connection; what comes next has another."""
    assert await asked_and(line.go_away, connection, server) == "one"
    assert await ask(connection) == "one"
    assert line.accepted == 2


async def test_a_call_that_no_server_has_seen_is_sent_again(
    connection: Connection, server: Answering, line: Cable
) -> None:
    """GOAWAY names the last call that was worked on; one after it goes out once more by itself."""
    refuse = lambda: line.go_away(last=cable.NOTHING)  # noqa: E731
    assert await asked_and(refuse, connection, server) == "one"
    assert line.accepted == 2


@pytest.mark.parametrize(
    "end",
    [
        lambda line: line.go_away(last=cable.NOTHING),
        lambda line: line.cut(Cut.FIN),
        lambda line: line.cut(Cut.RST),
    ],
    ids=["goaway", "fin", "rst"],
)
async def test_a_connection_that_ends_between_calls_costs_none(
    connection: Connection, line: Cable, end: Callable[[Cable], None]
) -> None:
    """The next call has a connection of its own, and does not know."""
    channel = await connection.channel()
    for _ in range(5):
        end(line)
        await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        assert await ask(connection) == "one"


async def test_a_call_that_crosses_goaway_costs_none(connection: Connection, line: Cable) -> None:
    """A call that is on its way when the server says that it is leaving goes out once more."""
    for _ in range(5):
        line.go_away(last=cable.NOTHING)
        assert await ask(connection) == "one"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (lambda line: line.cut(Cut.FIN), "UNAVAILABLE"),
        (lambda line: line.cut(Cut.RST), "UNAVAILABLE"),
        (lambda line: line.truncate(Cut.FIN), "UNAVAILABLE"),
        (lambda line: line.truncate(Cut.RST), "UNAVAILABLE"),
        (lambda line: line.reset_stream(cable.REFUSED_STREAM), "UNAVAILABLE"),
        (lambda line: line.reset_stream(cable.CANCEL), "CANCELLED"),
        (lambda line: line.reset_stream(cable.INTERNAL_ERROR), "INTERNAL"),
        (lambda line: line.reset_stream(cable.NO_ERROR), "INTERNAL"),
        (lambda line: line.reset_stream(cable.ENHANCE_YOUR_CALM), "RESOURCE_EXHAUSTED"),
    ],
    ids=["fin", "rst", "cut", "cut-rst", "refused", "cancel", "internal", "no-error", "calm"],
)
async def test_a_call_that_a_server_has_seen_fails_once(
    connection: Connection,
    server: Answering,
    line: Cable,
    fault: Callable[[Cable], None],
    code: str,
) -> None:
    """Whether to ask again is for the caller to say; soon after, that gets through."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await asked_and(lambda: fault(line), connection, server)
    assert failed.value.code().name == code
    assert await answered(connection) == "one"


async def test_a_restart_is_noticed_within_seconds(connection: Connection, line: Cable) -> None:
    """While nobody listens calls fail at once; and soon after somebody does, they are answered."""
    await line.unplug()
    started = asyncio.get_running_loop().time()
    for _ in range(3):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ask(connection)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert asyncio.get_running_loop().time() - started < 1
    await line.plug_in()
    assert await answered(connection) == "one"


async def test_no_storm_while_admin_is_away(connection: Connection, line: Cable) -> None:
    """However many calls fail, attempts to connect are few; nor are they too few."""
    line.upstream, before = None, line.accepted
    line.cut()
    failed = 0
    async with asyncio.timeout(_SOON):
        while line.accepted < before + 5:
            with pytest.raises(grpc.aio.AioRpcError):
                await ask(connection)
            failed += 1
    assert failed > 10


async def test_a_rolling_restart_behind_one_name() -> None:
    """With two addresses for a name, the one that goes away is not missed."""
    async with (
        Resolver() as resolver,
        Answering("one") as one,
        Answering("two", host="127.0.0.2", port=one.port) as two,
        to(resolver.endpoint(one.port)) as connection,
    ):
        resolver.addresses = [one.host, two.host]
        for stays, goes in [(one, two), (two, one)] * 2:
            await goes.stop()
            assert await ask(connection) == stays.name
            await goes.start()


async def test_a_moved_admin_is_found() -> None:
    """Once the old address is gone the name is resolved again, and not half a minute later."""
    async with (
        Resolver() as resolver,
        Answering("one") as one,
        Answering("two", host="127.0.0.2", port=one.port) as two,
        to(resolver.endpoint(one.port)) as connection,
    ):
        assert await ask(connection) == "one"
        resolver.addresses = [two.host]
        await one.stop()
        assert await answered(connection) == "two"


@pytest.mark.usefixtures("connection")
async def test_a_silent_end_is_given_up_after_seconds(line: Cable) -> None:
    """The kernel is told how long what we send may stay without an acknowledgement."""
    assert list(user_timeouts(line.port)) == [10_000]


async def test_a_hanging_connection_can_be_left(connection: Connection, line: Cable) -> None:
    """A proxy that takes everything and answers nothing holds only the calls of one connection."""
    line.stall()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(connection, timeout=0.2)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    hanging = await connection.channel()
    for _ in range(3):
        connection.renew(hanging)
    assert await connection.channel() is not hanging
    call = asyncio.create_task(ask(connection))
    await line.until(lambda line: line.accepted == 2)
    line.resume()
    assert await call == "one"


async def test_an_idle_connection_is_left_before_it_is_forgotten(
    server: Answering, line: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while without calls there is no connection that a load balancer could have lost."""
    idle = {"grpc.client_idle_timeout_ms": 1_000}
    shorter = [(name, idle.get(name, value)) for name, value in connection_module._OPTIONS]
    assert shorter != list(connection_module._OPTIONS)
    monkeypatch.setattr(connection_module, "_OPTIONS", shorter)
    async with to(line.address) as connection, asyncio.timeout(_SOON):
        assert await ask(connection) == "one"
        await line.until(lambda line: line.connections == 0)
        assert await ask(connection) == "one"
    assert server.peers == ["", ""]


async def test_a_slow_line_is_only_slow(connection: Connection, line: Cable) -> None:
    """What comes late comes, unless the deadline is earlier."""
    line.delay = 0.1
    assert await ask(connection) == "one"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(connection, timeout=0.05)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    line.delay = 0
    assert await ask(connection) == "one"
    assert line.accepted == 1


async def test_a_unix_socket(tmp_path: Path) -> None:
    """A proxy in the same pod may listen on a socket in the file system."""
    path = str(tmp_path / "admin.sock")
    async with Answering(path, host="") as server, to(f"unix:{path}") as connection:
        assert await ask(connection) == server.name


def user_timeouts(port: int) -> list[int]:
    """Return the TCP_USER_TIMEOUT, in milliseconds, of this process's connections to *port*."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            copy = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue
        with copy:
            try:
                if copy.getpeername()[1] == port:
                    found.append(copy.getsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT))
            except (OSError, IndexError):
                continue
    return found
