"""
TLS as Python speaks it, set up to judge as gRPC would.

gRPC says of a failed handshake only that it failed. The same handshake, made by us, shows the
certificate that was presented, and why it is not believed.
"""

import asyncio
import ssl
from dataclasses import dataclass

from cryptography import x509

from exporter.admin.address import Address
from exporter.admin.certificates import Pair, Roots
from exporter.admin.dial import Streams, dial


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a server showed in a handshake."""

    certificate: x509.Certificate
    protocol: str | None
    """What ALPN agreed on; None when the server does not speak ALPN."""


def believing(roots: Roots, pair: Pair | None) -> ssl.SSLContext:
    """Return a context that believes whom gRPC believes with these *roots*."""
    context = _context(pair)
    context.load_verify_locations(cadata=roots.pem.decode("ascii", errors="ignore"))
    # gRPC takes any certificate among the roots for an anchor, self-signed or not.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


def credulous(pair: Pair | None) -> ssl.SSLContext:
    """Return a context that believes anybody; good for looking, not for talking."""
    context = _context(pair)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(pair: Pair | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # gRPC's own minimum.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if pair is not None:
        context.load_cert_chain(pair.cert_file, pair.key_file)
    return context


async def presented(
    address: Address, *, server_name: str | None, pair: Pair | None, seconds: float
) -> Presented:
    """
    Return what the server at *address* shows to anybody who asks; nothing of it is verified.

    Raises:
        OSError: There is no TLS handshake to be had; see `dial`.
    """
    # The pair is read from its files once more.
    context = await asyncio.to_thread(credulous, pair)
    async with dial(address, seconds=seconds, tls=context, server_name=server_name) as streams:
        return shown(streams)


def shown(streams: Streams) -> Presented:
    """
    Return what the server at the other end of *streams* has shown.

    Raises:
        ssl.SSLError: It is no certificate that anybody else would read.
    """
    session = streams[1].get_extra_info("ssl_object")
    try:
        certificate = x509.load_der_x509_certificate(session.getpeercert(binary_form=True))
    except (ValueError, x509.InvalidVersion) as error:
        raise ssl.SSLError(f"its certificate cannot be read ({error})") from error
    return Presented(certificate=certificate, protocol=session.selected_alpn_protocol())
