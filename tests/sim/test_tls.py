"""The gRPC port with TLS, with certificates of the test's own authority."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from flyteidl.admin import version_pb2
from flyteidl.service import admin_pb2_grpc

from exporter.sim.server import serve
from exporter.sim.tls import Tls, TlsError
from exporter.sim.world import World
from tests.sim.pki import CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """Whom both sides trust."""
    return CertificateAuthority(tmp_path)


def world(clock: Any) -> World:
    """Return one that is soon there."""
    return World(seed=3, start=clock.now(), history=timedelta())


async def calls(
    address: str, authority: CertificateAuthority, pair: tuple[Path, Path] | None = None
) -> bool:
    """Whether a call over a connection of its own is answered."""
    cert, key = (path.read_bytes() for path in pair) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(
        authority.file.read_bytes(), private_key=key, certificate_chain=cert
    )
    # Connections are shared by channels of the same options, unless told otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
        try:
            await stub.GetVersion(version_pb2.GetVersionRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return True


async def test_a_client_that_trusts_the_authority_is_answered(
    clock: Any, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """One that trusts another authority, or speaks plaintext, is not."""
    cert, key = authority.issue("localhost")
    async with serve(world(clock), clock=clock, tls=Tls(cert_file=cert, key_file=key)) as serving:
        assert await calls(serving.address, authority)
        assert not await calls(serving.address, CertificateAuthority(tmp_path, "stranger"))
        async with grpc.aio.insecure_channel(serving.address) as channel:
            stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.GetVersion(version_pb2.GetVersionRequest(), timeout=5)


async def test_a_client_may_have_to_show_a_certificate(
    clock: Any, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Of the authority that the server was told of, and no other."""
    cert, key = authority.issue("localhost")
    clients = CertificateAuthority(tmp_path, "clients")
    tls = Tls(cert_file=cert, key_file=key, client_ca_file=clients.file)
    async with serve(world(clock), clock=clock, tls=tls) as serving:
        assert await calls(serving.address, authority, clients.issue("exporter"))
        assert not await calls(serving.address, authority)
        assert not await calls(serving.address, authority, authority.issue("impostor"))


async def test_changed_files_count_from_the_next_connection_on(
    clock: Any, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """So a test can rotate certificates under a client; files half written change nothing."""
    cert, key = authority.issue("localhost")
    successor = CertificateAuthority(tmp_path, "successor")
    async with serve(world(clock), clock=clock, tls=Tls(cert_file=cert, key_file=key)) as serving:
        assert not await calls(serving.address, successor)
        successor.issue("localhost")
        assert await calls(serving.address, successor)
        assert not await calls(serving.address, authority)
        key.unlink()
        assert await calls(serving.address, successor)


def test_unusable_files_are_named(authority: CertificateAuthority, tmp_path: Path) -> None:
    """Before the port is opened: what is wrong with which file."""
    cert, key = authority.issue("localhost")
    _, other = authority.issue("other")
    absent, text = tmp_path / "absent", tmp_path / "text"
    text.write_text("hello", encoding="utf-8")
    for tls, said in (
        (Tls(cert_file=absent, key_file=key), f"Cannot read {absent}: No such file"),
        (Tls(cert_file=cert, key_file=tmp_path), f"Cannot read {tmp_path}: Is a directory"),
        (Tls(cert_file=text, key_file=key), f"{text} and {key} are not a certificate and its"),
        (Tls(cert_file=cert, key_file=other), f"{cert} and {other} are not a certificate and"),
        (Tls(cert_file=cert, key_file=key, client_ca_file=text), f"{text} holds no certificates"),
    ):
        with pytest.raises(TlsError) as refused:
            tls.credentials()
        assert str(refused.value).startswith(said)
