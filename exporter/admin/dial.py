"""
A connection to Admin beside gRPC's own, on the same way: to see what gRPC only reports as failed.

gRPC goes through the HTTP proxy that its variables name; so do we, or we would look elsewhere.
"""

import asyncio
import base64
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from exporter.admin.address import Address, Inet, Unix

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# In the order in which gRPC asks them. Source: gRPC `doc/environment_variables.md`.
_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTION_VARIABLES = ("no_grpc_proxy", "no_proxy")


class ProxyRefused(OSError):
    """The HTTP proxy did not let us through; the text holds its status line."""


class ProxyUnreadable(OSError):
    """The variable that names the HTTP proxy holds no URL; the text says which one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The HTTP proxy on the way to Admin."""

    address: Inet
    credentials: str = field(default="", repr=False)
    """`USER:PASSWORD`, where the proxy wants them."""
    variable: str
    """The environment variable that names it."""


def proxy_for(address: Address, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """
    Return the HTTP proxy that gRPC goes through on its way to *address*, if any.

    Raises:
        ProxyUnreadable: What is meant to name it does not.
    """
    if isinstance(address, Unix):
        return None
    variable = next((name for name in _PROXY_VARIABLES if environ.get(name)), None)
    if variable is None:
        return None
    exceptions = next((environ[name] for name in _EXCEPTION_VARIABLES if environ.get(name)), "")
    if any(_covers(entry.strip(), address.host) for entry in exceptions.split(",")):
        return None
    try:
        parts = urlsplit(environ[variable])
        port = parts.port
    except ValueError as error:
        # Without its value, which may hold a password.
        raise ProxyUnreadable(f"the environment variable {variable} holds no URL") from error
    if parts.scheme != "http" or not parts.hostname:
        # gRPC knows no other kind, and goes without.
        return None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(
        address=Inet(host=parts.hostname, port=port or 80),
        credentials=f"{user}:{password}" if user else "",
        variable=variable,
    )


def _covers(entry: str, host: str) -> bool:
    """Tell whether *entry* of a list of exceptions is about *host*: its end, or its network."""
    if not entry:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return host.lower().endswith(entry.lower())


@asynccontextmanager
async def dial(
    address: Address,
    *,
    seconds: float,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> AsyncIterator[Streams]:
    """
    Connect to *address*, for as long as the block runs.

    Args:
        address: Where to.
        seconds: Limit of the time until the connection stands, TLS included.
        tls: Speak TLS with it; in the clear when None.
        server_name: What to ask for, and to look for, in TLS; by default the host.

    Raises:
        OSError: The connection cannot be made; `TimeoutError`, `socket.gaierror`, `ssl.SSLError`
            and `ProxyRefused` are of that kind.
    """
    async with asyncio.timeout(seconds) as limit:
        reader, writer = await _connect(address)
        try:
            if tls is not None:
                await writer.start_tls(tls, server_hostname=server_name or address.host)
            limit.reschedule(None)
            yield reader, writer
        finally:
            # What the other end does not want to hear any more is no matter here.
            writer.transport.abort()


async def _connect(address: Address) -> Streams:
    if isinstance(address, Unix):
        return await asyncio.open_unix_connection(address.path)
    proxy = proxy_for(address)
    if proxy is None:
        return await asyncio.open_connection(address.host, address.port)
    try:
        reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
    except OSError as error:
        raise ProxyRefused(f"proxy {proxy.address} cannot be reached ({error})") from error
    try:
        await _tunnel(reader, writer, address, proxy)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Inet, proxy: Proxy
) -> None:
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if proxy.credentials:
        token = base64.b64encode(proxy.credentials.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await writer.drain()
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ProxyRefused(f"proxy {proxy.address} answered with no HTTP") from error
    status = answer.partition(b"\r\n")[0].decode(errors="replace")
    if status.split(" ")[1:2] != ["200"]:
        raise ProxyRefused(f'proxy {proxy.address} answered "{status}"')


async def resolve(address: Inet, *, seconds: float) -> tuple[str, ...]:
    """
    Return the addresses of *address*'s host, as this machine resolves it.

    Raises:
        OSError: It has none, or they were not found in *seconds*.
    """
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
    except UnicodeError as error:
        # What no name may look like: an empty label, or one of more than 63 characters.
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return tuple(dict.fromkeys(str(place[4][0]) for place in found))
