"""Where gRPC goes through an HTTP proxy, so do we; where it does not, neither do we."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import pytest

from exporter.admin.address import Inet, Unix, address_of
from exporter.admin.connection import Connection
from exporter.admin.diagnosis import greet, look_up, reach
from exporter.admin.dial import proxy_for
from exporter.admin.findings import Fault, Finding
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests.admin.answering import Answering, ask
from tests.tls import Issued

_CREDENTIALS = "exporter:s3cret"


@dataclass
class Tunnel:
    """
    An HTTP proxy that lets everybody who knows the password through to *port*.

    Attributes:
        asked: The hosts and ports that it was asked for.
    """

    port: int
    asked: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def url(self, credentials: str = _CREDENTIALS) -> str:
        """Return how a variable names this proxy."""
        return f"http://{credentials}@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split(" ")[1])
        if base64.b64encode(_CREDENTIALS.encode()).decode() not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            writer.close()
            return
        answers, admin = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pour(reader, admin), _pour(answers, writer))


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65_536):
            sink.write(chunk)
    except ConnectionError:
        pass
    finally:
        sink.close()


@pytest.fixture
async def server() -> AsyncIterator[Answering]:
    """Yield an Admin with TLS, whose name only the proxy knows."""
    issued = Issued.by_itself("admin", names=["admin.invalid"])
    async with Answering(credentials=issued.serving()) as answering:
        yield answering


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


async def test_through_the_proxy(server: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of the diagnosis, the look at the certificate, and the call: all go one way."""
    admin = AdminSettings(endpoint="admin.invalid:443", insecure_skip_verify=True)
    async with Tunnel(server.port) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url())
        assert (await look_up(admin)).name == "127.0.0.1"
        await reach(admin)
        await greet(admin, now=datetime.now(UTC))
        async with Connection(admin, clock=SystemClock()) as connection:
            assert await ask(connection) == "one"
        assert len(tunnel.asked) >= 4
        assert set(tunnel.asked) == {"admin.invalid:443"}


async def test_a_proxy_that_refuses(server: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is shown, and its password is not."""
    admin = AdminSettings(endpoint="admin.invalid:443")
    async with Tunnel(server.port) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url("exporter:wr0ng"))
        with pytest.raises(Finding, match=r"answered .*407 Proxy Authentication") as failed:
            await reach(admin)
    with pytest.raises(Finding, match="cannot be reached") as gone:
        await reach(admin)
    assert failed.value.fault is gone.value.fault is Fault.PROXY
    assert "wr0ng" not in f"{failed.value!r} {gone.value!r} {gone.value.__cause__!r}"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, None),
        ({"http_proxy": "http://p:1", "https_proxy": "http://p:2"}, "https_proxy"),
        ({"grpc_proxy": "http://p:1", "https_proxy": "http://p:2"}, "grpc_proxy"),
        ({"https_proxy": "socks5://p:1"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "flyte.test"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "other.test, .flyte.test"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "admin.flyte.testing"}, "https_proxy"),
        ({"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "https_proxy"),
        (
            {"grpc_proxy": "http://p:1", "no_grpc_proxy": "x", "no_proxy": "flyte.test"},
            "grpc_proxy",
        ),
    ],
)
def test_which_proxy(environ: dict[str, str], variable: str | None) -> None:
    """GRPC's variables, in its order, with its exceptions."""
    found = proxy_for(Inet(host="admin.flyte.test", port=443), environ)
    assert (found.variable if found else None) == variable


def test_exceptions_may_be_networks() -> None:
    """An address is excepted with its network; a socket in the file system always is."""
    environ = {"https_proxy": "http://u:p@p:1", "no_proxy": "10.0.0.0/8"}
    assert proxy_for(Inet(host="10.1.2.3", port=443), environ) is None
    assert proxy_for(Unix(path="/run/admin.sock"), environ) is None
    assert "u:p" not in repr(proxy_for(Inet(host="11.1.2.3", port=443), environ))


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("admin:81", Inet(host="admin", port=81)),
        ("dns:admin:81", Inet(host="admin", port=81)),
        ("dns:///admin:81", Inet(host="admin", port=81)),
        ("dns://10.0.0.10:53/admin:81", Inet(host="admin", port=81, resolver="10.0.0.10:53")),
        ("[::1]:81", Inet(host="::1", port=81)),
        ("ipv4:10.0.0.1:81", Inet(host="10.0.0.1", port=81)),
        ("ipv6:[::1]:81", Inet(host="::1", port=81)),
        ("unix:run/admin", Unix(path="run/admin")),
        ("unix:/run/admin", Unix(path="/run/admin")),
        ("unix:///run/admin", Unix(path="/run/admin")),
    ],
)
def test_where_an_endpoint_leads(endpoint: str, address: Inet | Unix) -> None:
    """Every form that the settings accept is read, as gRPC reads it."""
    assert AdminSettings(endpoint=endpoint).endpoint == endpoint
    assert address_of(endpoint) == address


def test_what_is_no_endpoint() -> None:
    """What the settings would not have let through is not guessed at."""
    with pytest.raises(ValueError, match='"admin" is no HOST:PORT'):
        address_of("admin")


@pytest.mark.parametrize("url", ["http://[::1", "http://u:s3cret@proxy:port"])
async def test_a_proxy_that_is_no_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named; its value, which may hold a password, is not shown."""
    monkeypatch.setenv("https_proxy", url)
    for step in (look_up, reach):
        with pytest.raises(Finding, match="variable https_proxy holds no URL") as found:
            await step(AdminSettings(endpoint="admin.invalid:443"))
        assert found.value.fault is Fault.PROXY
        assert "s3cret" not in repr(found.value)
