"""
What a failure on the way to Admin means, in words for the person who must mend it.

Pure: each function turns what was met into one `Finding`.
"""

import socket
import ssl
from datetime import datetime
from enum import Enum

from cryptography import x509

from exporter.admin.address import Address, Inet
from exporter.admin.certificates import Material, day, issuer, names, subject
from exporter.admin.dial import ProxyRefused, ProxyUnreadable


class Fault(Enum):
    """What may be wrong between us and Admin."""

    NO_SUCH_HOST = "no such host"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"
    NO_SOCKET = "no such socket"
    HANGS_UP = "hangs up"
    PROXY = "proxy refused"
    WANTS_TLS = "server wants TLS"
    SPEAKS_PLAINTEXT = "server speaks plaintext"
    NO_HTTP2 = "no HTTP/2"
    NO_TLS = "no TLS handshake"
    WANTS_CERTIFICATE = "server wants a certificate of ours"
    WRONG_NAME = "wrong name"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    UNKNOWN_AUTHORITY = "unknown authority"
    NOT_BELIEVED = "not believed"


class Finding(Exception):
    """
    Something is wrong; the text says what was found.

    Attributes:
        fault: Which kind it is of.
        advice: What to do about it.
    """

    def __init__(self, fault: Fault, text: str, *, advice: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.advice = advice


def no_http2(answer: bytes, address: Address) -> Finding:
    """Say what is at *address*, where HTTP/2 was answered with *answer*."""
    finding = "does not speak HTTP/2" if answer else "says nothing to HTTP/2"
    if answer.startswith(b"HTTP/1"):
        finding = "speaks HTTP/1 only"
    return Finding(
        Fault.NO_HTTP2,
        f"{address} {finding}, and gRPC needs HTTP/2",
        advice="check the port: Admin serves gRPC at 8089, its service at 81, and HTTP at 8088 and "
        "80; an ingress must be told to pass gRPC on",
    )


def no_alpn(address: Address) -> Finding:
    """Say that *address* speaks HTTP/2, but does not agree on it in the handshake."""
    return Finding(
        Fault.NO_HTTP2,
        f"{address} does not agree on HTTP/2 in the TLS handshake (ALPN), and gRPC insists on it",
        advice="have the proxy before Admin offer h2 in ALPN",
    )


def out_of_date(certificate: x509.Certificate, now: datetime) -> Finding | None:
    """Say what is wrong with *certificate* at *now*, if anything is."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    whose = f"Admin's certificate ({subject(certificate)})"
    if now > last:
        advice = "renew it; nothing makes gRPC accept one that has expired"
        return Finding(Fault.EXPIRED, f"{whose} expired on {day(last)}", advice=advice)
    if now < first:
        advice = f"check the clock of this machine, which says {day(now)}"
        return Finding(
            Fault.NOT_YET_VALID, f"{whose} is not valid before {day(first)}", advice=advice
        )
    return None


_UNKNOWN_AUTHORITY = {18, 19, 20, 21}
_WRONG_NAME = {62, 64}
"""Codes of verification. Source: OpenSSL `x509_vfy.h`."""


def disbelieved(
    error: ssl.SSLCertVerificationError,
    certificate: x509.Certificate,
    material: Material,
    wanted: str,
) -> Finding:
    """Say why *certificate*, shown by one who should be *wanted*, was not believed."""
    if error.verify_code in _WRONG_NAME:
        return Finding(
            Fault.WRONG_NAME,
            f"Admin's certificate is for {', '.join(names(certificate)) or 'nobody'}, not for "
            f"{wanted}",
            advice="correct admin.endpoint, or set admin.server_name to the name that is meant",
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return Finding(
            Fault.UNKNOWN_AUTHORITY,
            f"Admin's certificate ({subject(certificate)}) is issued by {issuer(certificate)}, "
            f"which is not known to {material.roots.source}",
            advice="set admin.ca_file to a file with that authority's certificate",
        )
    return Finding(
        Fault.NOT_BELIEVED,
        f"Admin's certificate ({subject(certificate)}) is not believed: {error.verify_message}",
        advice="renew what is wrong with it, or with those that vouch for it",
    )


def no_handshake(error: ssl.SSLError, material: Material) -> Finding:
    """Say what *error*, met in a handshake in which nothing was verified, means."""
    # Only what OpenSSL itself found has a reason of its own.
    reason = (getattr(error, "reason", None) or str(error.args[-1])).lower().replace("_", " ")
    if "alert" in reason and ("certificate" in reason or "handshake failure" in reason):
        text, advice = _who_we_are(material)
        return Finding(Fault.WANTS_CERTIFICATE, f"Admin {text}: {reason}", advice=advice)
    return Finding(
        Fault.NO_TLS,
        f"Admin does not end a TLS handshake: {reason}",
        advice="check the port, and what is between us and Admin",
    )


def no_welcome(address: Address, material: Material) -> Finding:
    """Say what it means that *address* ends the connection right after the handshake."""
    text, advice = _who_we_are(material)
    return Finding(
        Fault.WANTS_CERTIFICATE,
        f"{address} ends the connection after the handshake, without a word, as one that {text}",
        advice=f"{advice}; if that is not it, its log may say what is",
    )


def _who_we_are(material: Material) -> tuple[str, str]:
    """Return what Admin does, and what to do about it, when it minds who we are."""
    if material.pair is None:
        advice = "set admin.client_cert_file and admin.client_key_file"
        return "wants a certificate of ours", advice
    return (
        f"does not accept our certificate ({subject(material.pair.certificate)})",
        "have it issued by an authority that Admin, or the mesh before it, knows",
    )


def unreached(error: OSError, address: Address, seconds: float) -> Finding:
    """Say what *error*, met on the way to *address* within *seconds*, means."""
    match error:
        case socket.gaierror():
            fault, text = Fault.NO_SUCH_HOST, f"no such host: {address.host}"
            advice = "check admin.endpoint, and that this pod may ask the cluster's DNS"
            if isinstance(address, Inet) and address.resolver:
                advice = (
                    "this was asked of the machine's resolver; admin.endpoint has gRPC ask "
                    f"{address.resolver}, so look there"
                )
        case ProxyUnreadable():
            fault, text = Fault.PROXY, str(error)
            advice = "correct it, or add the host of admin.endpoint to no_proxy"
        case ProxyRefused():
            fault, text = Fault.PROXY, str(error)
            advice = "add the host of admin.endpoint to no_proxy, or allow it at the proxy"
        case TimeoutError():
            fault, text = Fault.TIMED_OUT, f"{address} timed out after {seconds:g} s"
            advice = (
                "look for a firewall or a network policy that drops what we send, or for an Admin "
                "that hangs"
            )
        case ConnectionRefusedError():
            fault, text = Fault.REFUSED, f"{address} refused: nobody listens there"
            advice = "check the port in admin.endpoint, and that Admin is running"
        case ConnectionResetError():
            fault, text = Fault.HANGS_UP, f"{address} took the connection and ended it"
            advice = "check the port, and what is between us and Admin"
        case FileNotFoundError():
            fault, text = Fault.NO_SOCKET, f"there is no socket {address}"
            advice = "check admin.endpoint, and that whoever makes the socket is running"
        case _:
            fault = Fault.UNREACHABLE
            text = f"{address} cannot be reached: {error.strerror or error}"
            advice = "check the route from here to Admin"
    return Finding(fault, text, advice=advice)
