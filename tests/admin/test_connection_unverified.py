"""`insecure_skip_verify` trusts whatever is shown, says so, and says what it cannot do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from exporter.admin.certificates import ConnectionSettingsError
from exporter.admin.connection import Connection
from exporter.config.settings import AdminSettings
from tests.admin.answering import Answering, ask
from tests.admin.test_connection import answered
from tests.admin.test_connection_tls import Clock, authorities
from tests.tls import Issued


@asynccontextmanager
async def to(server: Answering, **others: Any) -> AsyncIterator[tuple[Connection, Clock]]:
    """Connect to *server* and believe whatever it shows."""
    settings = AdminSettings(
        endpoint=f"localhost:{server.port}", insecure_skip_verify=True, **others
    )
    clock = Clock()
    async with Connection(settings, clock=clock) as connection:
        yield connection, clock


@pytest.mark.parametrize(
    "issued",
    [
        Issued.by_itself("admin"),
        Issued.by_itself("admin", names=["elsewhere.test"]),
        Issued.by_itself("admin", names=["*.elsewhere.test"]),
        Issued.by_itself("admin", names=["10.9.8.7"]),
        Issued.by_itself("admin", names=[]),
        Issued.authority("unknown").issue("admin"),
        Issued.authority("unknown").intermediate("below").issue("admin", names=["elsewhere.test"]),
    ],
    ids=["own", "elsewhere", "wildcard", "address", "nameless", "authority", "intermediate"],
)
async def test_whatever_is_shown_is_trusted(issued: Issued) -> None:
    """Whoever signed it, and whomever it is for; the host that calls name stays the endpoint's."""
    with authorities(issued) as (server, seen):
        async with to(server) as (connection, _):
            assert await ask(connection) == "one"
    assert [host.partition(":")[0] for host in seen] == ["localhost"]


async def test_where_nobody_is_named() -> None:
    """An address is no name to find a way by: the one in the certificate is the better one."""
    issued = Issued.by_itself("admin", names=["flyte.example.com"])
    with authorities(issued) as (server, seen):
        settings = AdminSettings(
            endpoint=f"ipv4:127.0.0.1:{server.port}", insecure_skip_verify=True
        )
        async with Connection(settings, clock=Clock()) as connection:
            assert await ask(connection) == "one"
    assert seen == ["flyte.example.com"]


async def test_it_is_said_what_that_means() -> None:
    """The log names the certificate and the remedy, once, however many calls there are."""
    issued = Issued.authority("unknown").issue("admin")
    async with Answering(credentials=issued.serving()) as server:
        with capture_logs() as logs:
            async with to(server) as (connection, _):
                assert [await ask(connection) for _ in range(3)] == ["one"] * 3
    [warning] = logs
    assert warning["log_level"] == "warning"
    assert (warning["subject"], warning["issuer"]) == ("CN=admin", "CN=unknown")
    assert "ca_file" in warning["advice"]


async def test_another_certificate_is_trusted_too() -> None:
    """After a failed handshake the certificate is looked at again, as verification off implies."""
    server = Answering(credentials=Issued.by_itself("before").serving())
    async with server, to(server) as (connection, clock):
        assert await ask(connection) == "one"
        await server.stop()
        server.credentials = Issued.by_itself("after").serving()
        await server.start()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ask(connection)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        clock.added += 6
        with capture_logs() as logs:
            assert await ask(connection) == "one"
    assert [entry["log_level"] for entry in logs] == ["warning", "info"]


async def test_an_expired_certificate_cannot_be_had() -> None:
    """GRPC looks at the dates of what it is told to believe; that is said instead of a failure."""
    issued = Issued.by_itself("admin", days=-1)
    async with Answering(credentials=issued.serving()) as server, to(server) as (connection, _):
        with pytest.raises(ConnectionSettingsError, match=r"\(CN=admin\) expired on .* Renew it"):
            await connection.channel()


async def test_an_admin_that_is_down_is_no_fault_of_settings() -> None:
    """Calls fail as they do with any Admin that is down, and succeed once it is there."""
    server = Answering(credentials=Issued.by_itself("admin").serving())
    async with server, to(server) as (connection, clock):
        await server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ask(connection)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        await server.start()
        clock.added += 6
        assert await ask(connection) == "one"


async def test_a_certificate_that_comes_back_is_not_news() -> None:
    """After a restart of Admin the same certificate is shown, and nobody is warned again."""
    server = Answering(credentials=Issued.by_itself("admin").serving())
    async with server, to(server) as (connection, clock):
        assert await ask(connection) == "one"
        await server.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(connection)
        await server.start()
        clock.added += 6
        with capture_logs() as logs:
            assert await answered(connection) == "one"
    assert logs == []


async def test_who_we_are_is_shown_all_the_same(tmp_path: Path) -> None:
    """A server that wants a certificate of ours gets it, verified or not."""
    authority = Issued.authority()
    cert_file, key_file = authority.issue("exporter").write(tmp_path)
    serving = Issued.by_itself("admin").serving(clients=authority)
    ours = {"client_cert_file": cert_file, "client_key_file": key_file}
    async with Answering(credentials=serving) as server, to(server, **ours) as (connection, _):
        assert await ask(connection) == "one"
    assert server.peers == ["exporter"]
