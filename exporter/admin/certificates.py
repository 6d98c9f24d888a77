"""
Files become what a TLS connection needs, or a sentence that says which of them cannot be used.

1. Nothing of a private key is ever shown: not in an error, not in a `repr`.
2. A pair is used when the key fits the certificate, and not before: files are replaced one by one.
3. What is read is told from what is there by a stamp, so that looking again costs a few `stat`s.
"""

import contextlib
import os
import pkgutil
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import PublicFormat

from exporter.config.settings import AdminSettings

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# How OpenSSL names the files of a directory of authorities.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")
Stamp = tuple[tuple[int, int, int, int] | None, ...]
"""Device, inode, size and time of each file; None for one that is not there."""

_ROOTS_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


class ConnectionSettingsError(Exception):
    """What the settings name cannot be used for a connection; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Certificates of the authorities that may vouch for Admin."""

    pem: bytes = field(repr=False)
    source: str
    """Where they are from, for a person."""
    last_expires_at: datetime | None = None
    """When the last of them expires; None for a store, which somebody else looks after."""

    def refuse_expired(self, now: datetime) -> None:
        """
        Check that somebody is left who may vouch.

        Raises:
            ConnectionSettingsError: Every certificate has expired.
        """
        if self.last_expires_at is not None and self.last_expires_at < now:
            raise ConnectionSettingsError(
                f"admin.ca_file: every certificate in {self.source} has expired, the last on "
                f"{day(self.last_expires_at)}. Replace them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Our own certificate, with the key that proves it to be ours."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    certificate: x509.Certificate
    cert_file: Path
    key_file: Path

    def refuse_expired(self, now: datetime) -> None:
        """
        Check that it still proves anything.

        Raises:
            ConnectionSettingsError: It has expired.
        """
        if self.certificate.not_valid_after_utc < now:
            raise ConnectionSettingsError(
                f"admin.client_cert_file: the certificate in {self.cert_file} "
                f"({subject(self.certificate)}) expired on "
                f"{day(self.certificate.not_valid_after_utc)}. Renew it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the files of the settings held, and the stamp that they had."""

    roots: Roots
    pair: Pair | None
    stamp: Stamp

    def refuse_expired(self, now: datetime) -> None:
        """
        Check that what has been read may still be used.

        Raises:
            ConnectionSettingsError: It has expired.
        """
        self.roots.refuse_expired(now)
        if self.pair is not None:
            self.pair.refuse_expired(now)


def current(settings: AdminSettings, known: Material | None = None) -> Material:
    """
    Return what the files of *settings* hold; *known* when they have not changed since.

    Raises:
        ConnectionSettingsError: They cannot be used.
    """
    # Before reading: what is written in between is then found the next time.
    found = _stamp(_files(settings))
    if known is not None and known.stamp == found:
        return known
    return Material(roots=read_roots(settings), pair=read_pair(settings), stamp=found)


def named(settings: AdminSettings) -> str:
    """Return which files and directories `current` reads, for a person."""
    return ", ".join(map(str, _files(settings)))


def _files(settings: AdminSettings) -> tuple[Path, ...]:
    pair = (settings.client_cert_file, settings.client_key_file)
    return *_places(settings), *(path for path in pair if path)


def read_roots(settings: AdminSettings) -> Roots:
    """
    Read whom *settings* trust: `admin.ca_file`, else what this machine trusts.

    The latter is, in this order: the file that gRPC's own variable names; the store of the
    operating system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` move; and the list that comes with
    gRPC, for images without a store.

    Raises:
        ConnectionSettingsError: `admin.ca_file` cannot be used.
    """
    if settings.ca_file is not None:
        path, setting = settings.ca_file, "admin.ca_file"
        found = _certificates(_read(path, setting), path, setting)
        last = max(certificate.not_valid_after_utc for certificate in found)
        return Roots(pem=_pem(found), source=str(path), last_expires_at=last)
    places = _places(settings)
    blocks = _blocks(places)
    if blocks:
        source = f"this machine's authorities ({' and '.join(map(str, places))})"
        return Roots(pem=b"\n".join(blocks), source=source)
    bundled = pkgutil.get_data("grpc._cython", "_credentials/roots.pem") or b""
    return Roots(pem=bundled, source="the authorities that come with gRPC")


def _places(settings: AdminSettings) -> tuple[Path, ...]:
    """Return the files and directories that may hold certificates of authorities."""
    if settings.ca_file is not None:
        return (settings.ca_file,)
    named = os.environ.get(_ROOTS_VARIABLE)
    paths = ssl.get_default_verify_paths()
    return tuple(Path(p) for p in ((named,) if named else (paths.cafile, paths.capath)) if p)


def _blocks(places: Iterable[Path]) -> list[bytes]:
    """Return each certificate in *places* once; a file that cannot be read has none."""
    found: dict[bytes, None] = {}
    for place in places:
        files = [place]
        if place.is_dir():
            files = sorted(p for p in place.iterdir() if _HASHED_NAME.fullmatch(p.name))
        for path in files:
            with contextlib.suppress(OSError):
                found.update(dict.fromkeys(_CERTIFICATE.findall(path.read_bytes())))
    return list(found)


def read_pair(settings: AdminSettings) -> Pair | None:
    """
    Read our own certificate and its key; None when *settings* name none.

    Raises:
        ConnectionSettingsError: They cannot be used, or not together.
    """
    cert_path, key_path = settings.client_cert_file, settings.client_key_file
    # The configuration has both or neither.
    if cert_path is None or key_path is None:
        return None
    chain = _read(cert_path, "admin.client_cert_file")
    certificate = _certificates(chain, cert_path, "admin.client_cert_file")[0]
    key = _read(key_path, "admin.client_key_file")
    if _public_key(key, key_path) != _spki(certificate.public_key()):
        raise ConnectionSettingsError(
            f"admin.client_key_file: {key_path} is not the key of the first certificate in "
            f"{cert_path} ({subject(certificate)}). Put the two that belong together."
        )
    return Pair(
        chain=chain, key=key, certificate=certificate, cert_file=cert_path, key_file=key_path
    )


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConnectionSettingsError(
            f"{setting}: {path} cannot be read ({error.strerror}). Put the file there, let this "
            "user read it, or remove the setting."
        ) from error


def _certificates(content: bytes, path: Path, setting: str) -> list[x509.Certificate]:
    found = _CERTIFICATE.findall(content)
    if not found:
        # A certificate in DER is an ASN.1 sequence, which begins with this byte.
        binary = content.startswith(b"\x30")
        advice = "; it looks like DER, which `openssl x509 -inform der` turns into PEM"
        raise ConnectionSettingsError(
            f"{setting}: {path} holds no certificate in PEM form{advice if binary else ''}."
        )
    try:
        return [x509.load_pem_x509_certificate(block) for block in found]
    except (ValueError, x509.InvalidVersion) as error:
        raise ConnectionSettingsError(
            f"{setting}: {path} holds a certificate that cannot be read. Write the file anew."
        ) from error


def _public_key(key: bytes, path: Path) -> bytes:
    try:
        return _spki(serialization.load_pem_private_key(key, password=None).public_key())
    except TypeError:
        finding = "is encrypted, and nobody is here to type a passphrase; give it one that is not"
    except ValueError:
        finding = "holds no private key in PEM form"
    # Without its cause: what a parser says of a key may hold parts of it.
    raise ConnectionSettingsError(f"admin.client_key_file: {path} {finding}.") from None


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def _stamp(files: Iterable[Path]) -> Stamp:
    """
    Return what differs once one of *files* has been replaced or written.

    Follows links, because Kubernetes swaps the directory that the files of a secret are linked to.
    """
    return tuple(_stamp_of(path) for path in files)


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def subject(certificate: x509.Certificate) -> str:
    """Say in one line whose *certificate* this is."""
    return certificate.subject.rfc4514_string() or ", ".join(names(certificate)) or "nobody"


def issuer(certificate: x509.Certificate) -> str:
    """Say in one line who issued *certificate*."""
    if certificate.issuer == certificate.subject:
        return "itself"
    return certificate.issuer.rfc4514_string() or "nobody"


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts that *certificate* is for: its alternative names, else its common name."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in common)
    hosts = found.get_values_for_type(x509.DNSName)
    return *hosts, *(str(address) for address in found.get_values_for_type(x509.IPAddress))


def day(instant: datetime) -> str:
    """Write *instant* as a person reads it in a message."""
    return instant.strftime("%Y-%m-%d %H:%M UTC")
