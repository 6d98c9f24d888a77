"""What a well-behaved client gets over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
import zlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from exporter.metrics.formats import Format
from exporter.model.reload import Reload, ReloadOutcome
from exporter.model.status import TargetStatus
from exporter.model.targets import Target
from exporter.telemetry.clock import SystemClock
from exporter.web import encoding
from exporter.web.server import ListenError, parse_address, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from tests.web.conftest import Site


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client whose paths are those of the served site, and which inflates nothing."""
    async with (
        site.served() as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session,
    ):
        yield session


async def test_metrics_as_text(site: Site, client: aiohttp.ClientSession) -> None:
    """A client with no wishes gets the text format, whole and unpacked."""
    async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == Format.TEXT.content_type
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
        assert "Content-Encoding" not in response.headers
        assert await response.read() == b"".join(site.document)
    assert site.asked == [Format.TEXT]


async def test_metrics_as_openmetrics(site: Site, client: aiohttp.ClientSession) -> None:
    """A client that names OpenMetrics is sent that, from one snapshot."""
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with client.get("/metrics", headers=headers) as response:
        assert response.headers["Content-Type"] == Format.OPENMETRICS.content_type
    assert site.asked == [Format.OPENMETRICS]


async def test_gzip_round_trip(site: Site, client: aiohttp.ClientSession) -> None:
    """A document of many blocks arrives compressed and loses no byte."""
    site.document = [b"metric_%d{label='value'} %d\n" % (n, n * n) for n in range(200_000)]
    async with client.get("/metrics", headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert gzip.decompress(await response.read()) == b"".join(site.document)


async def test_a_large_document_unpacked(site: Site, client: aiohttp.ClientSession) -> None:
    """Without gzip a document of many blocks arrives whole, its length told beforehand."""
    site.document = [b"metric_%d %d\n" % (n, n * n) for n in range(200_000)]
    async with client.get("/metrics", headers={"Accept-Encoding": "gzip;q=0"}) as response:
        assert "Content-Encoding" not in response.headers
        assert response.content_length == sum(map(len, site.document))
        assert await response.read() == b"".join(site.document)


async def test_the_event_loop_neither_joins_nor_compresses(
    site: Site, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 30 MB of a large document are joined and compressed in blocks, off the loop's thread."""
    site.document = [b"x" * 600] * 50_000
    real_compressor = zlib.compressobj
    real_blocks = encoding.blocks
    threads: set[int] = set()
    sizes: list[int] = []

    class Compressor:
        def __init__(self) -> None:
            self._real = real_compressor(wbits=31)

        def compress(self, block: bytes) -> bytes:
            threads.add(threading.get_ident())
            sizes.append(len(block))
            return self._real.compress(block)

        def flush(self) -> bytes:
            threads.add(threading.get_ident())
            return self._real.flush()

    def watched(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for block in real_blocks(pieces):
            threads.add(threading.get_ident())
            yield block

    monkeypatch.setattr(zlib, "compressobj", lambda *_: Compressor())
    monkeypatch.setattr(encoding, "blocks", watched)
    for coding in ("gzip", "identity"):
        async with client.get("/metrics", headers={"Accept-Encoding": coding}) as response:
            body = await response.read()
            content = gzip.decompress(body) if coding == "gzip" else body
            assert len(content) == 30_000_000
    assert threads
    assert threading.get_ident() not in threads
    assert len(sizes) >= 28
    assert max(sizes) < encoding.BLOCK_BYTES + 600


async def test_an_old_client_gets_the_same(site: Site) -> None:
    """HTTP/1.0, which knows no chunks, gets the document up to the end of the connection."""
    async with site.served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert b"chunked" not in head
    assert gzip.decompress(body) == b"".join(site.document)


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/config"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_head_tells_what_get_would(
    client: aiohttp.ClientSession, path: str, coding: str
) -> None:
    """HEAD is answered with the headers of GET, without a body, and the connection goes on."""
    headers = {"Accept-Encoding": coding}
    async with client.head(path, headers=headers) as response:
        assert response.status == 200
        head = response.headers.copy()
        assert await response.read() == b""
    async with client.get(path, headers=headers) as response:
        whole = response.headers.copy()
    # They need not tell a length that only making the body would reveal.
    for varying in ("Date", "Transfer-Encoding"):
        head.pop(varying, None)
        whole.pop(varying, None)
    assert head == whole


async def test_health_follows_the_state(site: Site, client: aiohttp.ClientSession) -> None:
    """Each health check is 200 while there is no objection, and else 503 with the objection."""
    async with client.get("/-/healthy") as response:
        assert (response.status, await response.text()) == (200, "healthy\n")
    async with client.get("/-/ready") as response:
        assert (response.status, await response.text()) == (200, "ready\n")
    site.objection = "the scheduler has stopped"
    site.wait = "6 of 600 targets are still to be polled for the first time"
    async with client.get("/-/healthy") as response:
        assert (response.status, await response.text()) == (503, f"{site.objection}\n")
    async with client.get("/-/ready") as response:
        assert (response.status, await response.text()) == (503, f"{site.wait}\n")


async def test_landing_page_over_http(site: Site, client: aiohttp.ClientSession) -> None:
    """The landing page shows the targets, and its style is the only thing its policy lets in."""
    problem = "<b>bold</b>"
    site.statuses = [TargetStatus(Target("etl", "staging"), False, None, None, 0, problem)]
    async with client.get("/") as response:
        html = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert response.content_type == "text/html"
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert problem not in html
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/nowhere"])
async def test_strict_headers_everywhere(client: aiohttp.ClientSession, path: str) -> None:
    """Every answer forbids sniffing, framing, caching and referring, and names no version."""
    async with client.get(path) as response:
        headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "flyte-exporter"


async def test_elsewhere_says_where_to_look(client: aiohttp.ClientSession) -> None:
    """A wrong path is answered with the right ones."""
    async with client.get("/metric") as response:
        text = await response.text()
        assert response.status == 404
    assert all(path in text for path in ("/metrics", "/-/healthy", "/-/ready"))


async def test_only_reading_is_allowed(client: aiohttp.ClientSession) -> None:
    """Other methods are refused with those that are allowed."""
    async with client.post("/metrics", data=b"x") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


async def test_the_configuration_is_text(site: Site, client: aiohttp.ClientSession) -> None:
    """A browser shows it and runs nothing of it."""
    site.settings = "admin:\n  endpoint: <script>\n"
    async with client.get("/config") as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.text() == site.settings


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ReloadOutcome.DONE, 200),
        (ReloadOutcome.REFUSED, 400),
        (ReloadOutcome.FAILED, 500),
        (ReloadOutcome.STOPPING, 503),
    ],
)
async def test_a_reload_is_answered_with_what_came_of_it(
    site: Site, client: aiohttp.ClientSession, outcome: ReloadOutcome, status: int
) -> None:
    """A script sees by the status whether it went well, and a person reads why it did not."""
    site.reloaded = Reload(outcome, "exporter.yaml:1:1: no\n1 problem; nothing was changed.")
    async with client.post("/-/reload") as response:
        assert response.status == status
        assert await response.text() == f"{site.reloaded.text}\n"
    assert site.reloads_asked == 1


async def test_a_reload_is_asked_for_by_post_alone(
    site: Site, client: aiohttp.ClientSession
) -> None:
    """No link and no prefetch of a browser has anything read again."""
    async with client.get("/-/reload") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert (await response.text()).startswith("Here, use POST.")
    assert site.reloads_asked == 0


async def test_reloads_can_be_turned_off(site: Site, client: aiohttp.ClientSession) -> None:
    """Then the answer says by which setting, and what works all the same."""
    site.may_reload = False
    async with client.post("/-/reload") as response:
        assert response.status == 403
        text = await response.text()
    assert "web.enable_reload" in text
    assert "SIGHUP" in text
    assert site.reloads_asked == 0


async def test_a_failing_page_is_one_answer_and_not_the_end(
    site: Site, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug behind one page is a 500 with a traceback in the log; the port goes on."""
    site.targets = lambda: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    async with client.get("/") as response:
        assert response.status == 500
        assert "ZeroDivisionError" not in await response.text()
    assert "ZeroDivisionError" in caplog.text
    async with client.get("/metrics") as response:
        assert response.status == 200


async def test_who_speaks_no_http_leaves_no_traceback(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that sends garbage is told so, and our log does not fill with its faults."""
    async with site.served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n: nameless\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.0 400")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:9090", "127.0.0.1", 9090),
        ("[::1]:9090", "::1", 9090),
        (":9090", None, 9090),
        ("localhost:0", "localhost", 0),
    ],
)
def test_addresses(listen: str, host: str | None, port: int) -> None:
    """A host, an IPv6 address in brackets, or nothing at all may stand before the port."""
    assert parse_address(listen) == (host, port)


@pytest.mark.parametrize(
    "listen",
    ["", "9090", "host", "host:", "host:http", "host:70000", "::1:9090", "http://host:1", "a:1/b"],
)
def test_a_bad_address_says_what_is_expected(listen: str) -> None:
    """What is not an address is refused with an example of one."""
    with pytest.raises(ListenError, match=r'expected HOST:PORT such as "0\.0\.0\.0:9090"'):
        parse_address(listen)


async def _open(site: Site, listen: str) -> None:
    async with serve(listen, source=site, pages=site, clock=SystemClock()):
        pass


async def test_a_port_in_use_says_what_to_do(site: Site) -> None:
    """A second server on one port fails with the port and the way out, not with an errno."""
    async with site.served() as port:
        with pytest.raises(ListenError) as caught:
            await _open(site, f"127.0.0.1:{port}")
    assert str(caught.value) == (
        f'Cannot listen on "127.0.0.1:{port}": another process uses this port. '
        "Stop it, or choose another port."
    )


async def test_a_foreign_address_says_what_to_do(site: Site) -> None:
    """An address of another machine fails with advice."""
    with pytest.raises(ListenError, match="this machine has no such address"):
        await _open(site, "192.0.2.1:9090")


async def test_an_unknown_host_says_what_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that does not resolve fails with advice."""

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(ListenError, match="the host name does not resolve"):
        await _open(site, "nowhere.invalid:9090")


async def test_the_port_is_free_afterwards(site: Site) -> None:
    """When the block is left the port is closed, even with a connection kept alive."""
    async with site.served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"ready\n")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    async with serve(f"127.0.0.1:{port}", source=site, pages=site, clock=SystemClock()) as again:
        assert again == port
