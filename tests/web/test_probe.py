"""Whether the port could be had, without taking it from anybody."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from exporter.web.probe import Port, look_at
from exporter.web.server import ListenError
from tests.web.conftest import Site

_PATIENCE = 5.0


async def test_a_free_port_is_free_afterwards_too(unused_tcp_port: int) -> None:
    """Looking twice finds the same: the first look has kept nothing."""
    listen = f"127.0.0.1:{unused_tcp_port}"
    assert await look_at(listen, seconds=_PATIENCE) is Port.FREE
    assert await look_at(listen, seconds=_PATIENCE) is Port.FREE
    assert await look_at("127.0.0.1:0", seconds=_PATIENCE) is Port.FREE


async def test_a_running_exporter_is_known(site: Site) -> None:
    """Its answers say who they are from, whatever they are."""
    async with site.served() as port:
        for host in ("127.0.0.1", "", "0.0.0.0"):
            assert await look_at(f"{host}:{port}", seconds=_PATIENCE) is Port.OURS


@pytest.fixture(
    params=[b"", b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n", None]
)
async def stranger(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """Yield the port of a server that hangs up, is another one, or says nothing at all."""
    over = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.param is None:
            await over.wait()
        else:
            writer.write(request.param)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await server.wait_closed()


async def test_somebody_elses_port_is_refused(stranger: int) -> None:
    """In the words of a start, and in time even where nothing is said."""
    with pytest.raises(ListenError) as refused:
        await look_at(f"127.0.0.1:{stranger}", seconds=0.2)
    assert str(refused.value) == (
        f'Cannot listen on "127.0.0.1:{stranger}": another process uses this port. Stop it, or'
        " choose another port."
    )


async def test_an_address_of_another_machine_is_refused() -> None:
    """As at a start."""
    with pytest.raises(ListenError, match="this machine has no such address"):
        await look_at("192.0.2.1:9942", seconds=_PATIENCE)
