"""Could the port be opened, and if not, is it because we run already?"""

import asyncio
import errno
from enum import Enum

import aiohttp

from exporter.web.routes import HEADERS, HEALTHY
from exporter.web.server import ListenError, advice_for, parse_address

_EVERYWHERE = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # all of them
"""Where a server that listens on all addresses is asked."""


class Port(Enum):
    """Who has the port."""

    FREE = "free"
    OURS = "in use by a running flyte-exporter"


async def look_at(listen: str, *, seconds: float) -> Port:
    """
    Say who has the port of *listen*.

    Args:
        listen: As `parse_address` reads it.
        seconds: How long whoever has it may take to say who that is.

    Raises:
        ListenError: It cannot be opened, or belongs to somebody else.
    """
    address = parse_address(listen)
    loop = asyncio.get_running_loop()
    try:
        # As aiohttp would, but nobody is let in.
        server = await loop.create_server(
            asyncio.Protocol, address.host, address.port, start_serving=False
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _is_ours(
            _EVERYWHERE.get(address.host, address.host or ""), address.port, seconds
        ):
            return Port.OURS
        raise ListenError(advice_for(listen, error)) from error
    server.close()
    await server.wait_closed()
    return Port.FREE


async def _is_ours(host: str, port: int, seconds: float) -> bool:
    place = f"[{host}]" if ":" in host else host
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{place}:{port}{HEALTHY}", allow_redirects=False) as answer,
        ):
            return answer.headers.get("Server") == HEADERS["Server"]
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
