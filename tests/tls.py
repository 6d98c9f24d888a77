"""An authority of the test's own, and the certificates that it issues."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

_DAY = timedelta(days=1)
LOCAL = ("localhost", "127.0.0.1", "::1")
"""Names of a server on this machine."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate, its key, and who issued it: None when it did so itself."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    by: "Issued | None" = None

    @classmethod
    def authority(cls, name: str = "test authority", *, days: float = 1) -> Self:
        """Return a certificate that may issue others, valid for *days* from now."""
        return cls._make(name, by=None, days=days, authority=True, names=())

    @classmethod
    def by_itself(cls, name: str, *, names: Sequence[str] = LOCAL, days: float = 1) -> Self:
        """Return a certificate that nobody vouches for."""
        return cls._make(name, by=None, days=days, authority=False, names=names)

    def issue(self, name: str, *, names: Sequence[str] = LOCAL, days: float = 1) -> "Issued":
        """Return a certificate for *names*; negative *days* are those since it expired."""
        return self._make(name, by=self, days=days, authority=False, names=names)

    def intermediate(self, name: str, *, days: float = 1) -> "Issued":
        """Return a certificate that may issue others in the name of this one."""
        return self._make(name, by=self, days=days, authority=True, names=())

    @classmethod
    def _make(
        cls, name: str, *, by: "Issued | None", days: float, authority: bool, names: Sequence[str]
    ) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        whose = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        ends_at = datetime.now(UTC) + timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(whose)
            .issuer_name(by.certificate.subject if by else whose)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(ends_at, datetime.now(UTC)) - _DAY)
            .not_valid_after(ends_at)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general(host) for host in names])
            builder = builder.add_extension(alternatives, critical=False)
        signed = builder.sign(by.key if by else key, hashes.SHA256())
        return cls(certificate=signed, key=key, by=by)

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> bytes:
        """The certificate and those of its issuers, but for the last."""
        return self.pem + (self.by.chain if self.by and self.by.by else b"")

    def key_pem(self, *, passphrase: str = "") -> bytes:
        """The key; encrypted when there is a *passphrase*."""
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase:
            encryption = BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def save(self, path: Path) -> None:
        """Write the certificate alone to *path*."""
        path.write_bytes(self.pem)

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write certificate and key as `tls.crt` and `tls.key`, and return where they are."""
        cert_file, key_file = directory / "tls.crt", directory / "tls.key"
        cert_file.write_bytes(self.chain)
        key_file.write_bytes(self.key_pem())
        return cert_file, key_file

    def serving(self, *, clients: "Issued | None" = None) -> grpc.ServerCredentials:
        """Return credentials of a server that shows this, and wants a client of *clients*."""
        return grpc.ssl_server_credentials(
            [(self.key_pem(), self.chain)],
            root_certificates=clients.pem if clients else None,
            require_client_auth=clients is not None,
        )


def mount(directory: Path, issued: Issued) -> tuple[Path, Path]:
    """
    Have *directory* hold a pair as Kubernetes mounts a secret, and swap it when it does already.

    The files are links through `..data`, a link that is replaced in one step.
    """
    version = directory / f"..{issued.certificate.serial_number}"
    version.mkdir(parents=True)
    issued.write(version)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(directory / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    return directory / "tls.crt", directory / "tls.key"


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
