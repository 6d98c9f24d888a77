"""What a client that misbehaves can take from us: little, and not for long."""

from __future__ import annotations

import asyncio
import gc
import random
import select
import socket
import weakref
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exporter.model.status import TargetStatus
from exporter.model.targets import Target
from exporter.telemetry.clock import SystemClock
from exporter.web.delivery import Limits
from exporter.web.routes import application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.web.conftest import Site

SHORT = timedelta(seconds=0.2)
DEADLINE = 20.0
"""Seconds after which a test gives up waiting for what must happen."""


class Document(list[bytes]):
    """A list that can be weakly referred to, so that a test sees when it is let go."""

    __slots__ = ("__weakref__",)


def large() -> Document:
    """Return 30 MB that neither gzip nor the kernel's buffers can make small."""
    return Document([random.Random(1).randbytes(1 << 20)] * 30)


def get(path: str, *headers: str) -> bytes:
    """Return a request as it goes over the wire."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


@asynccontextmanager
async def stuck(port: int, request: bytes) -> AsyncIterator[socket.socket]:
    """Send *request* and read nothing."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, request)
        yield connection


async def drip(connection: socket.socket) -> None:
    """Read a little at a time, up to the end."""
    loop = asyncio.get_running_loop()
    received = True
    while received:
        await asyncio.sleep(0.001)
        received = bool(await loop.sock_recv(connection, 1024))


async def hang_up(connection: socket.socket) -> int:
    """Wait, without reading, until the other side has cut the *connection*; 0 if it does not."""
    poller = select.poll()
    poller.register(connection, 0)
    events = await asyncio.to_thread(poller.poll, DEADLINE * 1000)
    return events[0][1] if events else 0


async def status_of(port: int, path: str) -> int:
    """Return the status of one ordinary request."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Keep Python's collector of cycles from freeing anything."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_client_that_never_reads_is_cut_off(site: Site, coding: str) -> None:
    """Who asks for a large document and reads nothing is reset after the limit, and it is freed."""
    site.document = document = large()
    loop, freed = asyncio.get_running_loop(), asyncio.Event()
    # Whichever thread is the last to have it.
    watch = weakref.ref(document, lambda _: loop.call_soon_threadsafe(freed.set))
    with capture_logs() as logs:
        async with (
            site.served(Limits(response=SHORT)) as port,
            stuck(port, get("/metrics", f"Accept-Encoding: {coding}")) as connection,
        ):
            assert await hang_up(connection) & select.POLLERR
            site.document = ()
            del document
            await asyncio.wait_for(freed.wait(), DEADLINE)
    assert watch() is None
    assert [(entry["path"], entry["client"]) for entry in logs] == [("/metrics", "127.0.0.1")]


async def test_a_client_that_drips_is_cut_off(site: Site) -> None:
    """The limit is on the whole answer: reading a little now and then does not extend it."""
    site.document = large()
    async with (
        site.served(Limits(response=SHORT)) as port,
        stuck(port, get("/metrics")) as connection,
        asyncio.timeout(DEADLINE),
    ):
        with pytest.raises(ConnectionResetError):
            await drip(connection)


async def test_a_short_answer_that_is_not_read_is_cut_off_too(site: Site) -> None:
    """What would fit into the transport's buffer is not left there when the client said goodbye."""
    site.document = [b"x" * 60_000]
    app = application(source=site, pages=site, clock=SystemClock(), limits=Limits(response=SHORT))
    runner = web.AppRunner(app, access_log=None)
    with socket.create_server(("127.0.0.1", 0)) as narrow:
        # Connections inherit this: the kernel takes a few kilobytes, and the rest stays with us.
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await runner.setup()
        await web.SockSite(runner, narrow).start()
        port = narrow.getsockname()[1]
        async with stuck(port, get("/metrics", "Connection: close")) as connection:
            assert await hang_up(connection) & select.POLLERR
        await runner.cleanup()


async def test_pipelined_pages_that_nobody_reads_are_cut_off(site: Site) -> None:
    """The limit holds for answers that aiohttp would send for us, however many are queued."""
    well = TargetStatus(Target("project", "domain"), True, None, None, 0, "")
    site.statuses = [well] * 1_000
    async with (
        site.served(Limits(response=SHORT)) as port,
        stuck(port, get("/") * 32) as connection,
    ):
        assert await hang_up(connection) & select.POLLERR


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost: a\r\nAcc"])
async def test_half_a_head_does_not_hold_a_connection(site: Site, sent: bytes) -> None:
    """Who connects and does not finish its request is closed when the idle limit is over."""
    async with site.served(Limits(idle=SHORT)) as port, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_head_that_drips_does_not_hold_a_connection(site: Site) -> None:
    """Sending a byte of the head now and then does not extend the idle limit."""
    async with site.served(Limits(idle=SHORT)) as port, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nX: ")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        assert site.asked == []


async def test_an_idle_connection_is_closed(site: Site) -> None:
    """A connection kept alive is closed when no further request came within the idle limit."""
    async with site.served(Limits(idle=SHORT)) as port, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/-/ready") * 2)
        assert (await reader.read()).count(b"200 OK") == 2
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_never_comes_does_not_hold_a_connection(site: Site) -> None:
    """Who announces a body and does not send it is answered and closed."""
    async with site.served() as port, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/-/ready", "Content-Length: 10"))
        assert (await reader.read()).endswith(b"ready\n")
        writer.close()
        await writer.wait_closed()


async def test_stuck_clients_do_not_crowd_out_the_health_checks(site: Site) -> None:
    """With all places taken a scrape gets 503 and when to try again; other paths still answer."""
    site.document = large()
    async with (
        site.served(Limits(concurrent=1)) as port,
        stuck(port, get("/metrics")) as connection,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        await site.taken.wait()
        async with session.get("/metrics") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
            assert "Too many" in await response.text()
        assert await status_of(port, "/-/healthy") == 200
        assert await status_of(port, "/") == 200
        connection.close()
        async with asyncio.timeout(DEADLINE):
            while await status_of(port, "/metrics") != 200:
                pass


async def test_a_client_that_goes_away_leaves_no_trace(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A scraper which hangs up in the middle, as after its own timeout, is no fault of ours."""
    site.document = large()
    with capture_logs() as logs:
        async with site.served(Limits(concurrent=1)) as port:
            async with stuck(port, get("/metrics")):
                await site.taken.wait()
            async with asyncio.timeout(DEADLINE):
                while await status_of(port, "/metrics") != 200:
                    pass
    assert logs == []
    assert caplog.records == []


async def test_a_stuck_client_does_not_hold_up_the_end(site: Site) -> None:
    """When the port closes, an answer that is not read is given up and its connection reset."""
    site.document = large()
    async with asyncio.timeout(DEADLINE):
        async with site.served(Limits(shutdown=SHORT)) as port:
            connection = stuck(port, get("/metrics"))
            client = await connection.__aenter__()
            await site.taken.wait()
        assert await hang_up(client) & select.POLLERR
        await connection.__aexit__(None, None, None)
