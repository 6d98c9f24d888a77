"""Files that prove who a server is; changed files count from the next connection on."""

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


class TlsError(Exception):
    """The files cannot be used; the message says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files."""

    cert_file: Path
    """The server's certificate, and those between it and its authority."""
    key_file: Path
    client_ca_file: Path | None = None
    """Authorities that vouch for clients; then nobody connects without a certificate (mTLS)."""

    def credentials(self) -> grpc.ServerCredentials:
        """
        Return what a gRPC port is opened with.

        Raises:
            TlsError: A file cannot be used.
        """
        self._check()
        last = self._configuration()

        def current() -> grpc.ServerCertificateConfiguration:
            nonlocal last
            # Files that are being replaced may not be there for a moment.
            with contextlib.suppress(OSError):
                last = self._configuration()
            return last

        return grpc.dynamic_ssl_server_credentials(
            last, current, require_client_authentication=self.client_ca_file is not None
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        authorities = self.client_ca_file.read_bytes() if self.client_ca_file else None
        pair = (self.key_file.read_bytes(), self.cert_file.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)

    def _check(self) -> None:
        """Have OpenSSL look first: gRPC would open the port and fail at every connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for path in filter(None, (self.cert_file, self.key_file, self.client_ca_file)):
            try:
                path.read_bytes()
            except OSError as error:
                raise TlsError(f"Cannot read {path}: {error.strerror}.") from error
        try:
            context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
        except ssl.SSLError as error:
            raise TlsError(
                f"{self.cert_file} and {self.key_file} are not a certificate and its key, in PEM"
                f" and without a password: {error.reason or error}."
            ) from error
        if self.client_ca_file is not None:
            try:
                context.load_verify_locations(self.client_ca_file)
            except ssl.SSLError as error:
                raise TlsError(
                    f"{self.client_ca_file} holds no certificates in PEM: {error.reason or error}."
                ) from error


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    return ""
