"""Files that cannot be used are named, with what they hold and what to do; keys are never shown."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from exporter.admin import certificates
from exporter.admin.certificates import ConnectionSettingsError
from exporter.admin.connection import Connection
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests.rig import ManualClock
from tests.tls import Issued


class Files(NamedTuple):
    """A directory with all that TLS may need, to be spoilt."""

    directory: Path
    ca_file: Path
    client_cert_file: Path
    client_key_file: Path
    authority: Issued
    client: Issued

    def settings(self, **changes: Any) -> AdminSettings:
        """Return settings that name all of them, but for *changes*."""
        named: dict[str, Any] = {
            "ca_file": self.ca_file,
            "client_cert_file": self.client_cert_file,
            "client_key_file": self.client_key_file,
        }
        return AdminSettings(endpoint="localhost:443", **(named | changes))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return files of which each can be used."""
    authority = Issued.authority()
    client = authority.issue("exporter")
    cert_file, key_file = client.write(tmp_path)
    authority.save(tmp_path / "ca.crt")
    return Files(tmp_path, tmp_path / "ca.crt", cert_file, key_file, authority, client)


def no_ca(files: Files) -> None:
    """Remove the authority."""
    files.ca_file.unlink()


def directory_for_ca(files: Files) -> None:
    """Have a directory where a file is named, as a wrong `subPath` does."""
    files.ca_file.unlink()
    files.ca_file.mkdir()


def text_for_ca(files: Files) -> None:
    """Have something else in the file."""
    files.ca_file.write_text("# to be filled in\n")


def der_for_ca(files: Files) -> None:
    """Have the right certificate in the wrong form."""
    files.ca_file.write_bytes(files.authority.certificate.public_bytes(Encoding.DER))


def broken_ca(files: Files) -> None:
    """Have a certificate that lost some of it."""
    files.ca_file.write_bytes(files.authority.pem.replace(b"MII", b"MMM", 1))


def expired_ca(files: Files) -> None:
    """Have an authority of old."""
    Issued.authority("old", days=-1).save(files.ca_file)


def no_key(files: Files) -> None:
    """Remove the key."""
    files.client_key_file.unlink()


def certificate_for_key(files: Files) -> None:
    """Name the wrong file."""
    files.client.save(files.client_key_file)


def another_key(files: Files) -> None:
    """Have a key that belongs to somebody else."""
    files.client_key_file.write_bytes(Issued.by_itself("else").key_pem())


def encrypted_key(files: Files) -> None:
    """Have a key that wants a passphrase."""
    files.client_key_file.write_bytes(files.client.key_pem(passphrase="hunter2"))


def broken_key(files: Files) -> None:
    """Have a key that lost some of it."""
    files.client_key_file.write_bytes(files.client.key_pem()[:-80])


def expired_client(files: Files) -> None:
    """Have a certificate of our own that is over."""
    files.authority.issue("exporter", days=-2).write(files.directory)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_ca, "admin.ca_file: {ca_file} cannot be read (No such file or directory)."),
        (directory_for_ca, "admin.ca_file: {ca_file} cannot be read (Is a directory)."),
        (text_for_ca, "admin.ca_file: {ca_file} holds no certificate in PEM form."),
        (der_for_ca, "it looks like DER, which `openssl x509 -inform der` turns into PEM."),
        (broken_ca, "admin.ca_file: {ca_file} holds a certificate that cannot be read."),
        (expired_ca, "admin.ca_file: every certificate in {ca_file} has expired, the last on "),
        (no_key, "admin.client_key_file: {client_key_file} cannot be read (No such file"),
        (certificate_for_key, "admin.client_key_file: {client_key_file} holds no private key in"),
        (another_key, "{client_key_file} is not the key of the first certificate in {client_cert"),
        (encrypted_key, "admin.client_key_file: {client_key_file} is encrypted, and nobody is"),
        (broken_key, "admin.client_key_file: {client_key_file} holds no private key in PEM form."),
        (expired_client, "the certificate in {client_cert_file} (CN=exporter) expired on "),
    ],
)
async def test_what_cannot_be_used_is_said(
    files: Files, spoil: Callable[[Files], None], sentence: str
) -> None:
    """The setting, the file, what was found: and nothing of the key, also not in the causes."""
    spoil(files)
    key = files.client_key_file.read_text().split() if files.client_key_file.exists() else []
    async with Connection(files.settings(), clock=SystemClock()) as connection:
        with pytest.raises(ConnectionSettingsError) as failed:
            await connection.channel()
    said = str(failed.value)
    for name in ("ca_file", "client_cert_file", "client_key_file"):
        said = said.replace(str(getattr(files, name)), f"{{{name}}}")
    assert sentence in said
    secret = [line for line in key if len(line) > 30]
    error: BaseException | None = failed.value
    while error is not None:
        assert not any(line in repr(error) for line in secret)
        error = error.__cause__


async def test_one_file_may_hold_both(files: Files) -> None:
    """Some tools write key and certificate into one file."""
    both = files.directory / "both.pem"
    both.write_bytes(files.client.key_pem() + files.client.pem)
    settings = files.settings(client_cert_file=both, client_key_file=both)
    async with Connection(settings, clock=SystemClock()) as connection:
        assert (await connection.channel()).get_state() is grpc.ChannelConnectivity.IDLE


def test_keys_are_in_no_repr(files: Files) -> None:
    """What has been read can be printed by accident, and says nothing."""
    material = certificates.current(files.settings())
    secret = files.client.key_pem().decode().split("\n")[1]
    assert secret not in repr(material)
    assert "PRIVATE" not in repr(material)


def test_nothing_is_read_while_nothing_changes(files: Files) -> None:
    """To look again costs a stamp; reading comes only with another one."""
    material = certificates.current(files.settings())
    assert certificates.current(files.settings(), material) is material
    os.utime(files.client_key_file, ns=(1, 1))
    assert certificates.current(files.settings(), material) is not material


def test_an_image_without_a_store(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the operating system trusts nobody, gRPC's own list of public authorities serves."""
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, str(files.directory / "nothing"))
    roots = certificates.read_roots(files.settings(ca_file=None))
    assert roots.source == "the authorities that come with gRPC"
    assert roots.pem.count(b"BEGIN CERTIFICATE") > 50


def test_a_store_of_many_files(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory as OpenSSL keeps it counts beside the one file; what is in both counts once."""
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    another = Issued.authority("another")
    another.save(files.directory / "0a1b2c3d.0")
    files.authority.save(files.directory / "0a1b2c3e.0")
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(files.directory))
    roots = certificates.read_roots(files.settings(ca_file=None))
    assert roots.pem.count(b"BEGIN CERTIFICATE") == 2
    assert another.pem.strip() in roots.pem


async def test_a_certificate_that_runs_out_is_said_once(files: Files) -> None:
    """Calls go on, because only the server can say that it minds; but somebody should know."""

    class Clock(SystemClock):
        days = 0

        def now(self) -> Any:
            return super().now() + self.days * 86_400 * 1_000_000

        def monotonic(self) -> float:
            return super().monotonic() + self.days * 86_400

    clock = Clock()
    async with Connection(files.settings(), clock=clock) as connection:
        channel = await connection.channel()
        with capture_logs() as logs:
            for days in (2, 3):
                clock.days = days
                assert await connection.channel() is channel
    assert [entry["log_level"] for entry in logs] == ["warning"]


async def test_files_that_hang_are_told_and_read_once(tmp_path: Path) -> None:
    """However often they are looked for, one thread waits for a mount that is gone."""
    hanging, authority = tmp_path / "ca.pem", Issued.authority()
    os.mkfifo(hanging)
    settings = AdminSettings(endpoint="localhost:443", ca_file=hanging)
    clock, before = ManualClock(), threading.active_count()
    async with Connection(settings, clock=clock, patience=0.05) as connection:
        for _ in range(3):
            with pytest.raises(ConnectionSettingsError, match=r"0\.05 s: .*ca\.pem\. Look at"):
                await connection.channel()
            clock.advance(10)
        assert threading.active_count() == before + 1
        with hanging.open("wb") as written:
            written.write(authority.pem)
        hanging.unlink()
        hanging.write_bytes(authority.pem)
        assert await connection.channel()
