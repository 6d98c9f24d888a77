"""A DNS server for one name, whose addresses a test decides."""

import asyncio
import socket
import struct
from typing import Any, Self


class Resolver(asyncio.DatagramProtocol):
    """A DNS server for one name; an async context manager."""

    def __init__(self) -> None:
        self.addresses = ["127.0.0.1"]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def endpoint(self, port: int) -> str:
        """Return an endpoint whose name is resolved here."""
        own = self._transport.get_extra_info("sockname")[1]
        return f"dns://127.0.0.1:{own}/admin.test:{port}"

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one question: with addresses if it is for those of IPv4, else with none."""
        question = data[12 : data.index(0, 12) + 5]
        found = self.addresses if question[-4:-2] == b"\0\x01" else []
        answer = data[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0) + question
        for address in found:
            answer += struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address)
        self._transport.sendto(answer, addr)
