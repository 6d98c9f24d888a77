"""TLS as the settings say it: whom we believe, who we are, and what changes under way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from exporter.admin.connection import Connection
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests.admin.answering import Answering, ask
from tests.tls import Issued, mount

_LATER = 6.0
"""Seconds after which files are looked at again."""


class Clock(SystemClock):
    """Real time, but for what a test adds to it."""

    def __init__(self) -> None:
        self.added = 0.0

    def monotonic(self) -> float:
        """Return seconds that never step back."""
        return super().monotonic() + self.added


@pytest.fixture
def clock() -> Clock:
    """Return time that the test may push."""
    return Clock()


@pytest.fixture
def authority() -> Issued:
    """Return an authority that this machine does not know."""
    return Issued.authority()


@pytest.fixture
def ca_file(authority: Issued, tmp_path: Path) -> Path:
    """Return the file with its certificate."""
    path = tmp_path / "ca.crt"
    authority.save(path)
    return path


def settings(server: Answering, **others: Any) -> AdminSettings:
    """Return settings for *server*, by the name that its certificate has."""
    return AdminSettings(endpoint=f"localhost:{server.port}", **others)


@asynccontextmanager
async def to(server: Answering, clock: Clock, **others: Any) -> AsyncIterator[Connection]:
    """Connect to *server* over TLS."""
    async with Connection(settings(server, **others), clock=clock) as connection:
        yield connection


async def refused(connection: Connection) -> None:
    """Have a call fail in the handshake: each version of gRPC has its own words for it."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(connection)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_authority_of_ones_own(authority: Issued, ca_file: Path, clock: Clock) -> None:
    """Who is vouched for by `ca_file` is believed, over one certificate or several."""
    for by in (authority, authority.intermediate("below")):
        async with (
            Answering(credentials=by.issue("admin").serving()) as server,
            to(server, clock, ca_file=ca_file) as connection,
        ):
            assert await ask(connection) == "one"


async def test_a_stranger_is_not_believed(ca_file: Path, clock: Clock) -> None:
    """Another authority, another name and another time are each a reason to send nothing."""
    authority = Issued.authority("another")
    for stranger in (authority.issue("admin"), Issued.by_itself("admin")):
        async with Answering(credentials=stranger.serving()) as server:
            async with to(server, clock, ca_file=ca_file) as connection:
                await refused(connection)
            assert server.peers == []


@pytest.mark.parametrize(("name", "days"), [("elsewhere.test", 1), ("localhost", -1)])
async def test_a_certificate_must_fit(
    authority: Issued, ca_file: Path, clock: Clock, name: str, days: float
) -> None:
    """The name that was dialled must stand in it, and it must not have expired."""
    issued = authority.issue("admin", names=[name], days=days)
    async with (
        Answering(credentials=issued.serving()) as server,
        to(server, clock, ca_file=ca_file) as connection,
    ):
        await refused(connection)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"])
async def test_the_machine_s_own_authorities(
    authority: Issued,
    ca_file: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """An authority in the operating system's store is believed, though gRPC itself never looks."""
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    monkeypatch.setenv(variable, str(ca_file))
    async with (
        Answering(credentials=authority.issue("admin").serving()) as server,
        to(server, clock) as connection,
    ):
        assert await ask(connection) == "one"


async def test_a_server_name(authority: Issued, ca_file: Path, clock: Clock) -> None:
    """With `server_name` another name is asked for: in the handshake, the certificate, the call."""
    issued = authority.issue("admin", names=["flyte.example.com"])
    with authorities(issued) as (server, seen):
        async with to(server, clock, ca_file=ca_file) as connection:
            await refused(connection)
        async with to(
            server, clock, ca_file=ca_file, server_name="flyte.example.com"
        ) as connection:
            assert await ask(connection) == "one"
    assert seen == ["flyte.example.com"]


async def test_our_own_certificate(
    authority: Issued, ca_file: Path, tmp_path: Path, clock: Clock
) -> None:
    """A server that wants to know who we are is told, and one that does not hear it hangs up."""
    serving = authority.issue("admin").serving(clients=authority)
    cert_file, key_file = authority.issue("exporter").write(tmp_path)
    async with Answering(credentials=serving) as server:
        async with to(server, clock, ca_file=ca_file) as connection:
            await refused(connection)
        ours = {"client_cert_file": cert_file, "client_key_file": key_file}
        async with to(server, clock, ca_file=ca_file, **ours) as connection:
            assert await ask(connection) == "one"
    assert server.peers == ["exporter"]


async def test_rotation_costs_no_call(
    authority: Issued, ca_file: Path, tmp_path: Path, clock: Clock
) -> None:
    """
    Calls in flight end as they began; those that follow carry the new certificate.

    The files are swapped as Kubernetes does it, again and again, while calls never pause.
    """
    cert_file, key_file = mount(tmp_path / "secret", authority.issue("exporter 0"))
    ours = {"client_cert_file": cert_file, "client_key_file": key_file}
    serving = authority.issue("admin").serving(clients=authority)
    async with (
        Answering(credentials=serving) as server,
        to(server, clock, ca_file=ca_file, **ours) as connection,
    ):
        over = asyncio.Event()

        async def calling() -> int:
            answered = 0
            while not over.is_set():
                assert await ask(connection) == "one"
                answered += 1
            return answered

        callers = [asyncio.create_task(calling()) for _ in range(4)]
        for turn in range(1, 6):
            while server.peers.count(f"exporter {turn - 1}") < 20:
                assert await ask(connection) == "one"
            mount(tmp_path / "secret", authority.issue(f"exporter {turn}"))
            clock.added += _LATER
        while "exporter 5" not in server.peers:
            assert await ask(connection) == "one"
        over.set()
        assert sum(await asyncio.gather(*callers)) > 0
    assert len(set(server.peers)) == 6


async def test_an_old_channel_stays_for_the_calls_on_it(
    authority: Issued, ca_file: Path, tmp_path: Path, clock: Clock
) -> None:
    """Whoever took a channel before the rotation may still use it, until calls are over anyhow."""
    cert_file, key_file = authority.issue("before").write(tmp_path)
    ours = {"client_cert_file": cert_file, "client_key_file": key_file}
    serving = authority.issue("admin").serving(clients=authority)
    async with (
        Answering(credentials=serving) as server,
        to(server, clock, ca_file=ca_file, **ours) as connection,
    ):
        old = await connection.channel()
        server.gate.clear()
        call = asyncio.create_task(ask(connection))
        await server.waiting.wait()
        authority.issue("after").write(tmp_path)
        clock.added += _LATER
        assert await connection.channel() is not old
        server.gate.set()
        assert await call == "one"
        assert await ask(connection) == "one"
        send: Any = old.unary_unary("/test/Ask")
        assert await send(b"", timeout=10) == b"one"
        clock.added += 2 * 15
        await connection.channel()
        with pytest.raises(grpc.aio.UsageError):
            await send(b"", timeout=10)
    assert server.peers == ["before", "after", "before"]


async def test_half_a_rotation_is_waited_for(
    authority: Issued, ca_file: Path, tmp_path: Path, clock: Clock
) -> None:
    """A key that is not that of the certificate is said once, and used once they are a pair."""
    cert_file, key_file = authority.issue("before").write(tmp_path)
    ours = {"client_cert_file": cert_file, "client_key_file": key_file}
    after = authority.issue("after")
    async with (
        Answering(credentials=authority.issue("admin").serving(clients=authority)) as server,
        to(server, clock, ca_file=ca_file, **ours) as connection,
    ):
        assert await ask(connection) == "one"
        after.save(cert_file)
        with capture_logs() as logs:
            for _ in range(3):
                clock.added += _LATER
                assert await ask(connection) == "one"
        [warning] = logs
        assert warning["log_level"] == "warning"
        assert f"{key_file} is not the key of the first certificate in" in warning["reason"]
        key_file.write_bytes(after.key_pem())
        clock.added += _LATER
        assert await ask(connection) == "one"
    assert server.peers == ["before"] * 4 + ["after"]


async def test_a_new_authority_is_taken_over(
    authority: Issued, ca_file: Path, clock: Clock
) -> None:
    """A `ca_file` that is written anew counts from then on."""
    async with (
        Answering(credentials=authority.issue("admin").serving()) as server,
        to(server, clock, ca_file=ca_file) as connection,
    ):
        Issued.authority("another").save(ca_file)
        await refused(connection)
        authority.save(ca_file)
        clock.added += _LATER
        assert await ask(connection) == "one"


@contextmanager
def authorities(issued: Issued) -> Iterator[tuple[Answering, list[str]]]:
    """Serve with *issued*, and list which host each call is for; grpc.aio does not say it."""
    seen: list[str] = []

    def answer(_: bytes, context: Any) -> bytes:
        seen.append(context._rpc_event.call_details.host.decode())
        return b"one"

    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test", {"Ask": handler}),)
    )
    port = server.add_secure_port("127.0.0.1:0", issued.serving())
    server.start()
    try:
        yield Answering(port=port), seen
    finally:
        server.stop(grace=None).wait()
