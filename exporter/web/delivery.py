"""
A response is delivered to its last byte within a time limit, or its connection is reset.

aiohttp waits for ever on a client that does not read, and once it has handed over a response it
forgets what is still in the transport's buffer. Therefore everything is sent from in here:
prepared, written, and flushed to the kernel, all under one deadline.
"""

import asyncio
import socket
import struct
from datetime import timedelta
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`struct linger`: on, for zero seconds."""


class Limits(NamedTuple):
    """What clients may take from us."""

    response: timedelta = timedelta(seconds=30)
    """
    From a complete request to the last byte of its answer.

    Generous: Prometheus itself gives up after its scrape timeout, 10 s unless told otherwise.
    """
    idle: timedelta = timedelta(seconds=75)
    """
    How long a connection may wait for a request, or be in the midst of sending its head.

    Longer than the usual scrape interval of a minute, so that Prometheus keeps its connection.
    """
    concurrent: int = 8
    """
    Answers to one path under way at a time, for paths whose answers are large.

    Each holds on to a document of tens of megabytes. Two Prometheus servers and a few people with
    curl fit; eight clients that do not read are as many as we can afford.
    """
    shutdown: timedelta = timedelta(seconds=2)
    """How long an answer under way may go on when we are told to stop; aiohttp waits twice."""


def within(limits: Limits, large: frozenset[str]) -> Middleware:
    """
    Return a middleware that delivers every response within *limits*.

    Args:
        limits: What clients may take from us.
        large: The paths of which only `limits.concurrent` answers may be under way.
    """
    rooms = {path: asyncio.Semaphore(limits.concurrent) for path in large}

    @web.middleware
    async def deliver(request: web.Request, handler: Handler) -> web.StreamResponse:
        room = rooms.get(request.path)
        if room is None:
            return await _delivered(request, handler, limits.response)
        if room.locked():
            return await _delivered(request, _too_many, limits.response)
        async with room:
            return await _delivered(request, handler, limits.response)

    return deliver


async def _delivered(
    request: web.Request, handler: Handler, limit: timedelta
) -> web.StreamResponse:
    transport = request.transport
    if transport is None:
        return _nothing()
    # Without a buffer that may stay full, aiohttp's drain() waits for the last byte to leave.
    transport.set_write_buffer_limits(high=0)
    try:
        async with asyncio.timeout(limit.total_seconds()) as deadline:
            response = await handler(request)
            await response.prepare(request)
            await response.write_eof()
            # Where the length was told beforehand, write_eof() waits for nothing.
            await request.writer.drain()
            return response
    except TimeoutError:
        if not deadline.expired():
            raise
        _reset(transport)
        log.warning(
            "response given up: the client did not read it in time",
            path=request.path,
            client=request.remote,
            limit=str(limit),
        )
    except asyncio.CancelledError:
        _reset(transport)
        raise
    except ConnectionError:
        if not transport.is_closing():
            raise
    return _nothing()


def _reset(transport: asyncio.Transport) -> None:
    """Close without lingering, so that not even the kernel keeps bytes for a stuck client."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _nothing() -> web.Response:
    """Return what aiohttp wants returned when there is nobody left to send it to."""
    return web.Response()


async def _too_many(_: web.Request) -> web.Response:
    return web.Response(
        status=503,
        headers={"Retry-After": "1"},
        text="Too many answers are under way to clients that read slowly. Try again in a second.\n",
    )
