"""
`admin.insecure_skip_verify`, as far as it can be had: whatever certificate Admin shows is trusted.

gRPC for Python has no switch that leaves verification out. What it has is a choice of whom to
believe, so it is told to believe exactly the certificate that Admin has shown us, under a name
that stands in it. Whoever sits in between may show one of his own, and is believed as well: this
is no better than no verification, and it is said when it happens. What cannot be had is a
certificate that has expired, because gRPC looks at the dates of those that it is told to believe.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.admin import certificates
from exporter.admin.address import Address
from exporter.admin.certificates import ConnectionSettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A certificate that is trusted because it was shown."""

    certificate: x509.Certificate
    server_name: str | None
    """The name to look for in it; None where that is the endpoint's own."""
    authority: str | None
    """The host to name in calls, where that is not `server_name`."""

    @property
    def pem(self) -> bytes:
        """The certificate as gRPC takes it."""
        return self.certificate.public_bytes(Encoding.PEM)

    def refuse_expired(self, now: datetime) -> None:
        """
        Check that gRPC can be made to trust it.

        Raises:
            ConnectionSettingsError: It has expired, or is not valid yet.
        """
        first, last = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if first <= now <= last:
            return
        finding = f"expired on {certificates.day(last)}"
        if now < first:
            finding = f"is not valid before {certificates.day(first)}"
        raise ConnectionSettingsError(
            f"Admin's certificate ({certificates.subject(self.certificate)}) {finding}. Python's "
            "gRPC cannot be told to accept that, also not by admin.insecure_skip_verify. Renew it."
        )


def pin(certificate: x509.Certificate, address: Address, server_name: str | None) -> Pin:
    """
    Return how to have gRPC trust *certificate*, which was shown at *address*.

    Args:
        certificate: Anything; also one that is signed by an authority that nobody knows.
        address: Where calls go.
        server_name: `admin.server_name`.

    Raises:
        ConnectionSettingsError: It names nobody, so that gRPC can expect nobody.
    """
    wanted = server_name or address.host
    named = certificates.names(certificate)
    if any(_fits(name, wanted) for name in named):
        return Pin(certificate=certificate, server_name=server_name, authority=None)
    if not named:
        raise ConnectionSettingsError(
            "Admin's certificate names no host. Python's gRPC cannot be told to accept that, also "
            "not by admin.insecure_skip_verify. Give Admin one with a subjectAltName."
        )
    return Pin(
        certificate=certificate,
        server_name=named[0].replace("*", "any"),
        # A proxy finds its way by the host of the call: that one stays what it was. Without its
        # port, or gRPC ends each call with "call host does not match SSL server name".
        authority=None if _is_address(wanted) else wanted,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _fits(pattern: str, host: str) -> bool:
    """Tell whether a name in a certificate covers *host*."""
    pattern, host = pattern.lower(), host.lower()
    label, dot, rest = pattern.partition(".")
    return pattern == host or (label == "*" and bool(dot) and host.partition(".")[2] == rest)
