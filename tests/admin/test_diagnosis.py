"""Whatever keeps us from Admin is found and named, with advice; gRPC would fail as well."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.admin.connection import Connection
from exporter.admin.diagnosis import greet, look_up, reach
from exporter.admin.findings import Fault, Finding
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests.admin.answering import Answering, ask
from tests.cable import Cable
from tests.tls import Issued

_SECONDS = 0.5
"""Limit of a step that is expected to reach it."""


def settings(endpoint: str, **others: Any) -> AdminSettings:
    """Return settings that lead to *endpoint*."""
    return AdminSettings(endpoint=endpoint, **others)


async def agree(admin: AdminSettings) -> Fault | None:
    """Greet as *admin* says, check that a call of gRPC ends likewise, and return what was found."""
    fault, code = None, None
    try:
        await greet(admin, now=datetime.now(UTC))
    except Finding as finding:
        fault = finding.fault
    async with Connection(admin, clock=SystemClock()) as connection:
        try:
            await ask(connection, timeout=5)
        except grpc.aio.AioRpcError as error:
            code = error.code()
    assert (fault is None) == (code is None), (fault, code)
    return fault


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve with *answer*, which is no gRPC, and yield where."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await answer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def closed() -> Iterator[str]:
    """Yield an address where nobody listens, nor will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def deaf() -> Iterator[str]:
    """Yield an address whose queue is full, so that the kernel drops who knocks."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield f"127.0.0.1:{full.getsockname()[1]}"


@contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[str]:
    """Serve handshakes that fail, and say why: asyncio's own servers end them without a word."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        raw = listener.accept()[0]
        with context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as session:
            with pytest.raises(ssl.SSLError):
                session.do_handshake()
            # What was said is lost if what the client sends is left unread.
            session.shutdown(socket.SHUT_WR)
            while session.recv(1024):
                pass

    with listener, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve)
        yield "127.0.0.1:" + str(listener.getsockname()[1])
        served.result()


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ("localhost:81", "localhost is "),
        ("dns:///localhost:81", "localhost is "),
        ("dns:localhost:81", "localhost is "),
        ("ipv4:127.0.0.1:81", "127.0.0.1 is an address"),
        ("ipv6:[::1]:81", "::1 is an address"),
        ("unix:/run/admin.sock", "/run/admin.sock is a socket in the file system"),
        ("unix:///run/admin.sock", "/run/admin.sock is a socket in the file system"),
    ],
)
async def test_where_a_name_leads(endpoint: str, found: str) -> None:
    """Every form of endpoint is looked up as gRPC reads it."""
    assert str(await look_up(settings(endpoint))).startswith(found)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "x" * 64])
async def test_no_such_host(host: str) -> None:
    """A name that leads nowhere, or cannot be one, is said to be no host."""
    for step in (look_up, reach):
        with pytest.raises(Finding, match=f"no such host: {host}") as failed:
            await step(settings(f"dns:///{host}:81"))
        assert failed.value.fault is Fault.NO_SUCH_HOST


async def test_a_resolver_of_the_endpoint_s_own() -> None:
    """Where gRPC asks another DNS server than we do, the advice says so."""
    with pytest.raises(Finding) as failed:
        await look_up(settings("dns://10.0.0.10/no-such-host.invalid:81"))
    assert "10.0.0.10" in failed.value.advice


async def test_somebody_listens(tmp_path: Path) -> None:
    """A connection that stands is said with the time it took, over TCP or a socket."""
    async with Answering() as server:
        reached = await reach(settings(f"dns:///localhost:{server.port}"))
        assert reached.place == f"127.0.0.1:{server.port}"
        assert str(reached).startswith(f"127.0.0.1:{server.port} answers in ")
    async with Answering(str(tmp_path / "admin.sock"), host="") as server:
        assert (await reach(settings(f"unix:{server.name}"))).place == server.name
        await greet(settings(f"unix:{server.name}", insecure=True), now=datetime.now(UTC))


@pytest.mark.parametrize("insecure", [True, False])
async def test_nobody_listens(insecure: bool) -> None:
    """A closed port is told from one that does not answer."""
    with closed() as address:
        with pytest.raises(Finding, match=f"{address} refused: nobody listens there"):
            await reach(settings(address))
        assert await agree(settings(address, insecure=insecure)) is Fault.REFUSED


async def test_nobody_answers() -> None:
    """What is dropped on the way ends at the limit of the step."""
    with deaf() as address:
        with pytest.raises(Finding, match=r"timed out after 0\.5 s") as failed:
            await reach(settings(address), seconds=_SECONDS)
        assert failed.value.fault is Fault.TIMED_OUT


async def test_no_way_there(tmp_path: Path) -> None:
    """What the system says of other failures is passed on."""
    with pytest.raises(Finding, match="cannot be reached: Network is unreachable") as failed:
        await reach(settings("ipv4:255.255.255.255:81"))
    assert failed.value.fault is Fault.UNREACHABLE
    with pytest.raises(Finding, match="there is no socket") as failed:
        await reach(settings(f"unix:{tmp_path}/none.sock"))
    assert failed.value.fault is Fault.NO_SOCKET


async def test_plaintext_where_tls_is_expected() -> None:
    """Both sides work, and do not understand each other: the setting to change is named."""
    async with Answering() as server:
        assert await agree(settings(f"127.0.0.1:{server.port}", insecure=True)) is None
        assert await agree(settings(f"127.0.0.1:{server.port}")) is Fault.SPEAKS_PLAINTEXT


async def test_tls_where_plaintext_is_expected() -> None:
    """The other way round."""
    async with Answering(credentials=Issued.by_itself("admin").serving()) as server:
        admin = settings(f"127.0.0.1:{server.port}", insecure=True)
        assert await agree(admin) is Fault.WANTS_TLS
        with pytest.raises(Finding, match="it shows a certificate of CN=admin"):
            await greet(admin, now=datetime.now(UTC))


async def http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an HTTP/1 server does to what it does not understand."""
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def settings_frame(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an HTTP/2 server begins."""
    writer.write(b"\0\0\0\x04\0\0\0\0\0")
    await reader.read()


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read, and say nothing."""
    await reader.read()


async def hang_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """End the connection."""


def serving_tls(issued: Issued, directory: Path) -> ssl.SSLContext:
    """Return a context that shows *issued* and knows nothing of HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued.write(directory))
    return context


async def test_the_wrong_port(tmp_path: Path) -> None:
    """HTTP/1 is told from HTTP/2, with TLS and without, and gRPC wants the latter."""
    async with listening(http1) as address:
        admin = settings(address, insecure=True)
        assert await agree(admin) is Fault.NO_HTTP2
        with pytest.raises(Finding, match=f"{address} speaks HTTP/1 only") as failed:
            await greet(admin, now=datetime.now(UTC))
        assert "8089" in failed.value.advice
    issued = Issued.by_itself("admin")
    issued.save(tmp_path / "ca.crt")
    async with listening(http1, serving_tls(issued, tmp_path)) as address:
        assert await agree(settings(address, ca_file=tmp_path / "ca.crt")) is Fault.NO_HTTP2


async def test_http2_must_be_agreed_upon(tmp_path: Path) -> None:
    """A proxy that speaks HTTP/2 without ALPN is no good to gRPC, and that is said."""
    issued = Issued.by_itself("admin")
    issued.save(tmp_path / "ca.crt")
    async with listening(settings_frame, serving_tls(issued, tmp_path)) as address:
        admin = settings(address, ca_file=tmp_path / "ca.crt")
        assert await agree(admin) is Fault.NO_HTTP2
        with pytest.raises(Finding, match=r"\(ALPN\), and gRPC insists on it"):
            await greet(admin, now=datetime.now(UTC))


@pytest.mark.parametrize("insecure", [True, False])
async def test_somebody_who_says_nothing(insecure: bool) -> None:
    """A server that hangs is not waited for longer than the step may take."""
    async with listening(silence) as address:
        admin = settings(address, insecure=insecure)
        with pytest.raises(Finding) as failed:
            await greet(admin, now=datetime.now(UTC), seconds=_SECONDS)
        assert failed.value.fault is Fault.TIMED_OUT


async def test_somebody_who_hangs_up() -> None:
    """A load balancer without a backend takes connections and ends them."""
    async with listening(hang_up) as address:
        assert await agree(settings(address, insecure=True)) is Fault.NO_HTTP2
        assert await agree(settings(address)) is Fault.HANGS_UP


_KNOWN = Issued.authority("known")
_BELOW = _KNOWN.intermediate("below")


@pytest.mark.parametrize(
    ("issued", "believed", "fault"),
    [
        (_KNOWN.issue("admin"), _KNOWN, None),
        (_BELOW.issue("admin"), _KNOWN, None),
        (_BELOW.issue("admin"), _BELOW, None),
        (Issued.by_itself("localhost", names=[]), None, None),
        (Issued.by_itself("admin"), None, None),
        (Issued.by_itself("admin"), _KNOWN, Fault.UNKNOWN_AUTHORITY),
        (Issued.authority("unknown").issue("admin"), _KNOWN, Fault.UNKNOWN_AUTHORITY),
        (_KNOWN.issue("admin", names=["flyte.test", "10.0.0.1"]), _KNOWN, Fault.WRONG_NAME),
        (_KNOWN.issue("admin", names=["*.localhost"]), _KNOWN, Fault.WRONG_NAME),
        (_KNOWN.issue("localhost", names=["flyte.test"]), _KNOWN, Fault.WRONG_NAME),
        (Issued.by_itself("flyte.test", names=[]), None, Fault.WRONG_NAME),
        (_KNOWN.issue("admin", days=-1), _KNOWN, Fault.EXPIRED),
        (_KNOWN.intermediate("old", days=-1).issue("admin"), _KNOWN, Fault.NOT_BELIEVED),
    ],
)
async def test_we_believe_whom_grpc_believes(
    tmp_path: Path, issued: Issued, believed: Issued | None, fault: Fault | None
) -> None:
    """What is found in a certificate is what gRPC finds in it, good or bad."""
    (believed or issued).save(tmp_path / "ca.crt")
    async with Answering(credentials=issued.serving()) as server:
        admin = settings(f"localhost:{server.port}", ca_file=tmp_path / "ca.crt")
        assert await agree(admin) is fault


async def test_what_is_said_of_a_certificate(tmp_path: Path) -> None:
    """Whose it is, who issued it, when it ends, and who is taken at his word."""
    _KNOWN.save(tmp_path / "ca.crt")
    issued = _KNOWN.issue("admin", names=["flyte.test"])
    async with Answering(credentials=issued.serving()) as server:
        admin = settings(
            f"localhost:{server.port}", ca_file=tmp_path / "ca.crt", server_name="flyte.test"
        )
        greeted = await greet(admin, now=datetime.now(UTC))
        assert greeted.expires_at == issued.certificate.not_valid_after_utc
        ends = f"{greeted.expires_at:%Y-%m-%d %H:%M UTC}"
        assert str(greeted) == (
            f"CN=admin, issued by CN=known, expires {ends}, believed by {tmp_path / 'ca.crt'}"
        )
        admin = settings(f"localhost:{server.port}", insecure_skip_verify=True)
        assert str(await greet(admin, now=datetime.now(UTC))).endswith("NOT verified")


async def test_what_is_said_when_it_is_wrong(tmp_path: Path) -> None:
    """The sentence holds what was found and what was wanted; the advice, which setting it is."""
    _KNOWN.save(tmp_path / "ca.crt")
    now = datetime.now(UTC)
    async with Answering(credentials=_KNOWN.issue("admin", names=["a.test"]).serving()) as server:
        admin = settings(f"localhost:{server.port}", ca_file=tmp_path / "ca.crt")
        with pytest.raises(Finding, match=r"is for a\.test, not for localhost") as failed:
            await greet(admin, now=now)
        assert "admin.server_name" in failed.value.advice
        admin = settings(f"localhost:{server.port}")
        with pytest.raises(Finding, match=r"issued by CN=known, which is not known to ") as failed:
            await greet(admin, now=now)
        assert "admin.ca_file" in failed.value.advice
        with pytest.raises(Finding, match="is not valid before") as failed:
            await greet(admin, now=now - timedelta(days=3))
        assert failed.value.fault is Fault.NOT_YET_VALID
        assert "clock" in failed.value.advice


async def test_who_we_are_is_asked(tmp_path: Path) -> None:
    """A server that wants a certificate is told from one that does not accept ours."""
    _KNOWN.save(tmp_path / "ca.crt")
    serving = _KNOWN.issue("admin").serving(clients=_KNOWN)
    async with Answering(credentials=serving) as server:
        named: dict[str, Any] = {"ca_file": tmp_path / "ca.crt"}
        admin = settings(f"localhost:{server.port}", **named)
        assert await agree(admin) is Fault.WANTS_CERTIFICATE
        with pytest.raises(Finding, match="wants a certificate of ours"):
            await greet(admin, now=datetime.now(UTC))
        cert_file, key_file = Issued.authority("unknown").issue("exporter").write(tmp_path)
        named |= {"client_cert_file": cert_file, "client_key_file": key_file}
        admin = settings(f"localhost:{server.port}", **named)
        assert await agree(admin) is Fault.WANTS_CERTIFICATE
        with pytest.raises(Finding, match=r"does not accept our certificate \(CN=exporter\)"):
            await greet(admin, now=datetime.now(UTC))
        _KNOWN.issue("exporter").write(tmp_path)
        assert await agree(admin) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_we_are_is_asked_in_words(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A server that says why it ends the connection is quoted, whenever it says so."""
    context = serving_tls(_KNOWN.issue("admin"), tmp_path)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=_KNOWN.pem.decode())
    with (
        refusing(context) as address,
        pytest.raises(Finding, match=r"wants a certificate of ours: .* alert ") as failed,
    ):
        await greet(settings(address), now=datetime.now(UTC))
    assert failed.value.fault is Fault.WANTS_CERTIFICATE


async def test_no_tls_at_all() -> None:
    """What is neither TLS nor HTTP/2 is said as the library says it."""
    async with listening(http1) as address:
        admin = settings(address)
        assert await agree(admin) is Fault.NO_TLS
        with pytest.raises(Finding, match="does not end a TLS handshake: "):
            await greet(admin, now=datetime.now(UTC))


async def test_a_certificate_that_nobody_can_read(tmp_path: Path) -> None:
    """What is no certificate to others is said, verified or not, and breaks nothing here."""
    issued = Issued.by_itself("admin")
    context = serving_tls(issued, tmp_path)
    good, version = issued.certificate.public_bytes(Encoding.DER), b"\xa0\x03\x02\x01"
    bad = good.replace(version + b"\x02", version + b"\x07", 1)
    (tmp_path / "tls.crt").write_text(ssl.DER_cert_to_PEM_cert(bad))
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    async with listening(settings_frame, context) as address:
        admin = settings(address, insecure_skip_verify=True)
        assert await agree(admin) is Fault.NO_TLS
        with pytest.raises(Finding, match="its certificate cannot be read"):
            await greet(admin, now=datetime.now(UTC))


async def test_a_cable_that_is_pulled() -> None:
    """The lead that the client's tests use to break things is found broken here as well."""
    async with Answering() as server, Cable(server.port) as line:
        assert await agree(settings(line.address, insecure=True)) is None
        await line.unplug()
        assert await agree(settings(line.address, insecure=True)) is Fault.REFUSED
