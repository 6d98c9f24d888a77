"""
The cable between a client and Admin, in the hands of a test: it delays, stalls, cuts and breaks.

It carries bytes of any protocol. Of HTTP/2 in the clear it knows where a frame ends, so that it
can also say what a server or a load balancer says before it goes: GOAWAY and RST_STREAM.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER_BYTES = 9
_CHUNK_BYTES = 64 * 1024
_DATA, _HEADERS, _RST_STREAM, _GOAWAY = 0, 1, 3, 7
NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 2, 7, 8, 11
"""Error codes of HTTP/2. Source: RFC 9113, section 7."""
NOTHING, EVERYTHING = 0, 2**31 - 1
"""What a GOAWAY says was worked on: no stream at all, or each one that is open."""


class Cut(Enum):
    """How a connection ends."""

    FIN = "fin"
    """As a process that ends in order."""
    RST = "rst"
    """As one that was killed, or a firewall that has forgotten the connection."""


@dataclass(eq=False)
class _Wire:
    """One connection of a client, and ours to Admin for it."""

    client: asyncio.StreamWriter
    admin: asyncio.StreamWriter
    framed: bool = False
    streams: set[int] = field(default_factory=set)

    def end(self, how: Cut) -> None:
        for writer in (self.client, self.admin):
            if how is Cut.RST:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                writer.transport.abort()
            else:
                writer.close()


class Cable:
    """
    A cable from a free port to *upstream*; an async context manager.

    Attributes:
        upstream: Where new connections lead; None lets nobody in, and cuts whoever comes.
        delay: Seconds that every piece of data waits, in both directions.
        accepted: How many connections clients have made so far.
    """

    def __init__(self, upstream: int | None, *, port: int = 0) -> None:
        self.upstream = upstream
        self.delay = 0.0
        self.accepted = 0
        self._port = port
        self._wires: set[_Wire] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._changed = asyncio.Condition()
        self._spoil: Callable[[_Wire, int, int, bytes], bytes | None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.plug_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unplug()
        self.resume()
        await asyncio.gather(*self._tasks)

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._port

    @property
    def address(self) -> str:
        """Where clients connect, as an endpoint."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._wires)

    async def plug_in(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def unplug(self, how: Cut = Cut.RST) -> None:
        """End every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
        self.cut(how)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def cut(self, how: Cut = Cut.RST) -> None:
        """End every connection; new ones are welcome."""
        for wire in self._wires:
            wire.end(how)

    def stall(self) -> None:
        """Carry nothing any more, and say nothing of it: data is taken and goes nowhere."""
        self._flowing.clear()

    def resume(self) -> None:
        """Carry what was stalled, and all that comes."""
        self._flowing.set()

    def truncate(self, how: Cut = Cut.RST) -> None:
        """End the connection of the next answer in the middle of its data."""

        def spoil(wire: _Wire, kind: int, _: int, frame: bytes) -> bytes | None:
            if kind != _DATA:
                return None
            self._spoil = None
            wire.client.write(frame[: _HEADER_BYTES + (len(frame) - _HEADER_BYTES) // 2])
            wire.end(how)
            return b""

        self._spoil = spoil

    def reset_stream(self, code: int = CANCEL) -> None:
        """End the next answer with RST_STREAM, before it has begun."""

        def spoil(_: _Wire, kind: int, stream: int, frame: bytes) -> bytes | None:
            if kind != _HEADERS:
                return None
            self._spoil = None
            # What follows is for a stream that is closed: clients keep its headers in mind only.
            return _frame(_RST_STREAM, stream, struct.pack(">I", code)) + frame

        self._spoil = spoil

    def go_away(self, *, last: int = EVERYTHING, code: int = NO_ERROR, text: str = "") -> None:
        """Tell the client of every connection to go; *last* is the last stream worked on."""
        payload = struct.pack(">II", last, code) + text.encode()
        for wire in self._wires:
            wire.client.write(_frame(_GOAWAY, 0, payload))

    def streams(self) -> int:
        """Return how many calls were begun on the connections that are open."""
        return sum(len(wire.streams) for wire in self._wires)

    async def until(self, claim: Callable[[Self], bool]) -> None:
        """Wait until *claim* holds for the connections and calls of this cable."""
        async with self._changed:
            await self._changed.wait_for(lambda: claim(self))

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        try:
            await self._connect(reader, client)
        except (OSError, asyncio.IncompleteReadError):
            client.transport.abort()
        finally:
            client.close()
            await self._tell()

    async def _connect(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.upstream is None:
            client.transport.abort()
            return
        answers, admin = await asyncio.open_connection("127.0.0.1", self.upstream)
        wire = _Wire(client, admin)
        self._wires.add(wire)
        try:
            first = await reader.read(_CHUNK_BYTES)
            wire.framed = first.startswith(_PREFACE[: len(first)]) and bool(first)
            await self._tell()
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._outward(wire, reader, first))
                directions.create_task(self._homeward(wire, answers))
        except* OSError:
            wire.end(Cut.RST)
        finally:
            self._wires.discard(wire)
            wire.end(Cut.FIN)

    async def _outward(self, wire: _Wire, reader: asyncio.StreamReader, first: bytes) -> None:
        """Carry what the client says; end the whole when it ends."""
        seen = bytearray()
        chunk = first
        while chunk:
            await self._pass()
            if wire.framed:
                seen += chunk
                await self._note(wire, seen)
            wire.admin.write(chunk)
            await wire.admin.drain()
            chunk = await reader.read(_CHUNK_BYTES)
        wire.admin.close()

    async def _note(self, wire: _Wire, seen: bytearray) -> None:
        """Take the frames that are complete out of *seen*, and remember the calls begun in them."""
        if seen.startswith(_PREFACE):
            del seen[: len(_PREFACE)]
        while len(seen) >= _HEADER_BYTES:
            size, kind, stream = _read_header(seen)
            if len(seen) < _HEADER_BYTES + size:
                break
            del seen[: _HEADER_BYTES + size]
            if kind == _HEADERS:
                wire.streams.add(stream)
                await self._tell()

    async def _homeward(self, wire: _Wire, answers: asyncio.StreamReader) -> None:
        """Carry what Admin says; end the whole when it ends."""
        pieces = _frames(answers) if wire.framed else _chunks(answers)
        async for piece in pieces:
            await self._pass()
            kind, stream = _read_header(piece)[1:] if wire.framed else (_DATA, 0)
            spoilt = self._spoil(wire, kind, stream, piece) if self._spoil else None
            if wire.client.is_closing():
                break
            wire.client.write(piece if spoilt is None else spoilt)
            await wire.client.drain()
        wire.client.close()

    async def _pass(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flowing.wait()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _frame(kind: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, stream) + payload


def _read_header(frame: bytes | bytearray) -> tuple[int, int, int]:
    """Return the size, the kind and the stream of the frame that begins here."""
    size = int.from_bytes(frame[:3], "big")
    return size, frame[3], int.from_bytes(frame[5:9], "big") & EVERYTHING


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            header = await reader.readexactly(_HEADER_BYTES)
            yield header + await reader.readexactly(_read_header(header)[0])
        except asyncio.IncompleteReadError:
            return


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(_CHUNK_BYTES):
        yield chunk
