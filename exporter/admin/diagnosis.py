"""
Why Admin cannot be reached, found out step by step: its name, its port, its greeting.

gRPC folds all of this into UNAVAILABLE. Each step here goes the way that gRPC would go, and ends
in what was found or in a `Finding` that says what is wrong and what to do about it.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from exporter.admin import certificates, findings
from exporter.admin.address import Address, Inet, Unix, address_of
from exporter.admin.certificates import Material, day, issuer, subject
from exporter.admin.dial import Streams, dial, proxy_for, resolve
from exporter.admin.findings import Fault, Finding
from exporter.admin.handshake import Presented, believing, credulous, shown
from exporter.config.settings import AdminSettings

SECONDS = 5.0
"""Limit of each step; whoever takes longer would make calls fail as well."""

# What both ends of HTTP/2 begin with, the latter an empty SETTINGS. Source: RFC 9113, section 3.4.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
_FRAME_HEADER_BYTES = 9
_SETTINGS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The name leads somewhere."""

    name: str
    """What was looked up: the host, or that of the HTTP proxy; or the path of a socket."""
    addresses: tuple[str, ...]
    """Empty for a socket in the file system, which needs none."""

    def __str__(self) -> str:
        if not self.addresses:
            return f"{self.name} is a socket in the file system"
        if self.addresses == (self.name,):
            return f"{self.name} is an address"
        return f"{self.name} is {', '.join(self.addresses)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Somebody listens there."""

    place: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.place} answers in {self.seconds * 1000:.0f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """Admin speaks as gRPC does."""

    certificate: x509.Certificate | None
    """What it showed; None in the clear."""
    vouched_by: str = ""
    """Whose word was taken for it; empty where nobody's was, by `insecure_skip_verify`."""

    @property
    def expires_at(self) -> datetime | None:
        """When the certificate ends, aware UTC."""
        return self.certificate.not_valid_after_utc if self.certificate else None

    def __str__(self) -> str:
        if self.certificate is None:
            return "HTTP/2 in the clear, as admin.insecure says"
        belief = f"believed by {self.vouched_by}" if self.vouched_by else "NOT verified"
        return (
            f"{subject(self.certificate)}, issued by {issuer(self.certificate)}, expires "
            f"{day(self.certificate.not_valid_after_utc)}, {belief}"
        )


async def look_up(settings: AdminSettings, *, seconds: float = SECONDS) -> Resolved:
    """
    Find the addresses of the endpoint, or of the HTTP proxy on the way to it.

    Raises:
        Finding: There are none.
    """
    address = address_of(settings.endpoint)
    if isinstance(address, Unix):
        return Resolved(name=address.path, addresses=())
    asked = address
    try:
        if proxy := proxy_for(address):
            asked = proxy.address
        return Resolved(name=asked.host, addresses=await resolve(asked, seconds=seconds))
    except OSError as error:
        raise findings.unreached(error, asked, seconds) from error


async def reach(settings: AdminSettings, *, seconds: float = SECONDS) -> Reached:
    """
    Connect to the endpoint, and say nothing.

    Raises:
        Finding: No connection is to be had, at none of its addresses.
    """
    address = address_of(settings.endpoint)
    places: list[Address] = [address]
    found = (await look_up(settings, seconds=seconds)).addresses
    if isinstance(address, Inet) and proxy_for(address) is None:
        places = [Inet(host=host, port=address.port) for host in found]
    first: OSError | None = None
    for place in places:
        began = time.perf_counter()
        try:
            async with dial(place, seconds=seconds):
                return Reached(place=str(place), seconds=time.perf_counter() - began)
        except OSError as error:
            first = first or error
    assert first is not None  # noqa: S101  # a name that was found has an address
    raise findings.unreached(first, address, seconds) from first


async def greet(settings: AdminSettings, *, now: datetime, seconds: float = SECONDS) -> Greeted:
    """
    Connect as a call would, with TLS unless `admin.insecure`, until HTTP/2 is spoken.

    Raises:
        Finding: Admin, or what is there in its place, is not to be talked to in this way.
        ConnectionSettingsError: The files of *settings* cannot be used.
    """
    address = address_of(settings.endpoint)
    if settings.insecure:
        await _greet_in_the_clear(address, seconds)
        return Greeted(certificate=None)
    material = await asyncio.to_thread(certificates.current, settings)
    material.refuse_expired(now)
    presented = await _greet_anybody(address, settings, material, seconds)
    certificate = presented.certificate
    finding = findings.out_of_date(certificate, now)
    if finding is not None:
        raise finding
    if settings.insecure_skip_verify:
        return Greeted(certificate=certificate)
    context = believing(material.roots, material.pair)
    try:
        async with dial(address, seconds=seconds, tls=context, server_name=settings.server_name):
            return Greeted(certificate=certificate, vouched_by=material.roots.source)
    except ssl.SSLCertVerificationError as error:
        wanted = settings.server_name or address.host
        raise findings.disbelieved(error, certificate, material, wanted) from error
    except OSError as error:
        raise findings.unreached(error, address, seconds) from error


async def _greet_in_the_clear(address: Address, seconds: float) -> None:
    try:
        async with dial(address, seconds=seconds) as streams:
            answer = await _answer(streams, seconds)
    except OSError as error:
        raise findings.unreached(error, address, seconds) from error
    if _is_http2(answer):
        return
    try:
        async with dial(address, seconds=seconds, tls=credulous(None)) as streams:
            certificate = shown(streams).certificate
    except OSError:
        raise findings.no_http2(answer, address) from None
    raise Finding(
        Fault.WANTS_TLS,
        f"{address} wants TLS; it shows a certificate of {subject(certificate)}",
        advice="unset admin.insecure",
    )


async def _greet_anybody(
    address: Address, settings: AdminSettings, material: Material, seconds: float
) -> Presented:
    """Speak TLS and HTTP/2 with whoever is there, and return what was shown."""
    context = credulous(material.pair)
    try:
        async with dial(
            address, seconds=seconds, tls=context, server_name=settings.server_name
        ) as streams:
            presented = shown(streams)
            answer = await _answer(streams, seconds)
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        if "ALERT" not in str(error):
            # Only who speaks TLS can say in it that he will not.
            await _refuse_plaintext(address, seconds)
        if isinstance(error, ssl.SSLError):
            raise findings.no_handshake(error, material) from error
        raise findings.unreached(error, address, seconds) from error
    except OSError as error:
        raise findings.unreached(error, address, seconds) from error
    if not answer:
        raise findings.no_welcome(address, material)
    if not _is_http2(answer):
        raise findings.no_http2(answer, address)
    if presented.protocol != "h2":
        raise findings.no_alpn(address)
    return presented


async def _answer(streams: Streams, seconds: float) -> bytes:
    """
    Return the first bytes that the other end says to the greeting of HTTP/2.

    Returns:
        What there was before it ended the connection; nothing where it did so at once.

    Raises:
        TimeoutError: It says nothing.
        ssl.SSLError: It says why it ends the connection: with TLS 1.3 a server minds who we are
            only after the handshake.
    """
    reader, writer = streams
    writer.write(_GREETING)
    try:
        async with asyncio.timeout(seconds):
            await writer.drain()
            return await reader.readexactly(_FRAME_HEADER_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except ConnectionError:
        return b""


def _is_http2(answer: bytes) -> bool:
    return len(answer) == _FRAME_HEADER_BYTES and answer[3] == _SETTINGS


async def _refuse_plaintext(address: Address, seconds: float) -> None:
    """Raise if *address* speaks HTTP/2 in the clear; whatever else it does is no matter here."""
    try:
        async with dial(address, seconds=seconds) as streams:
            answer = await _answer(streams, seconds)
    except OSError:
        return
    if _is_http2(answer):
        raise Finding(
            Fault.SPEAKS_PLAINTEXT,
            f"{address} speaks plaintext, and admin.insecure is not set",
            advice="set admin.insecure: true, or the port that speaks TLS",
        )
