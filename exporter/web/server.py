"""The port is open while the block runs; what cannot be opened says what to do."""

import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http import HttpProcessingError

from exporter.model.clock import Clock
from exporter.web.content import Pages, Source
from exporter.web.delivery import Limits
from exporter.web.routes import application

# A body is not read, only waited for, so that a client which sends one still sees our answer.
_LONGEST_BODY_SECONDS = 1.0


class ListenError(Exception):
    """The port could not be opened; the message says why, and what to do."""


class Address(NamedTuple):
    """Where to listen."""

    host: str | None
    """None for all interfaces."""
    port: int
    """0 for any free one."""


def parse_address(listen: str) -> Address:
    """
    Read `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for all interfaces.

    Raises:
        ListenError: *listen* is none of these.
    """
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if port is None or listen != parts.netloc or parts.username is not None:
        raise ListenError(
            f'Cannot listen on "{listen}": expected HOST:PORT such as "0.0.0.0:9090", '
            '"[::1]:9090", or ":9090" for all interfaces, with a port up to 65535.'
        )
    return Address(host, port)


@asynccontextmanager
async def serve(
    listen: str, *, source: Source, pages: Pages, clock: Clock, limits: Limits | None = None
) -> AsyncIterator[int]:
    """
    Answer requests on *listen* for as long as the block runs; yields the port.

    Args:
        listen: As `parse_address` reads it.
        source: Where the metrics come from.
        pages: What the health checks and the landing page tell.
        clock: For how long ago something was.
        limits: What clients may take from us, if not the defaults.

    Raises:
        ListenError: The port cannot be opened.
    """
    address = parse_address(listen)
    limits = limits or Limits()
    runner = web.AppRunner(
        application(source=source, pages=pages, clock=clock, limits=limits),
        access_log=None,
        # Nobody sends us a body that we would read, so nobody may have one inflated here.
        auto_decompress=False,
        keepalive_timeout=limits.idle.total_seconds(),
        lingering_time=_LONGEST_BODY_SECONDS,
        logger=_server_log(),
        shutdown_timeout=limits.shutdown.total_seconds(),
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        try:
            await site.start()
        except OSError as error:
            raise ListenError(advice_for(listen, error)) from error
        yield site.port
    finally:
        await runner.cleanup()


def advice_for(listen: str, error: OSError) -> str:
    """Say why *listen* could not be opened, and what to do."""
    start = f'Cannot listen on "{listen}"'
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return f"{start}: another process uses this port. Stop it, or choose another port."
        case OSError(errno=errno.EADDRNOTAVAIL):
            return (
                f"{start}: this machine has no such address. "
                "Use one of its own, or leave the host out to listen on all of them."
            )
        case OSError(errno=errno.EACCES):
            return f"{start}: not permitted. Choose a port from 1024 up."
        case socket.gaierror():
            return f"{start}: the host name does not resolve ({error.strerror}). Use an IP address."
        case _:
            return f"{start}: {error.strerror or error}."


def _server_log() -> logging.Logger:
    """Return a logger for aiohttp that has no traceback for each client that speaks no HTTP."""
    logger = logging.getLogger("exporter.web.http")
    logger.addFilter(_is_our_fault)
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return not (kind and issubclass(kind, HttpProcessingError))
