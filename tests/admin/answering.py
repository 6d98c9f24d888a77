"""A gRPC server with one method, which says who answered, and can be stopped and started again."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

from exporter.admin.connection import Connection

_METHOD = "/test/Ask"


@dataclass
class Answering:
    """
    A server on 127.0.0.1 unless *host* says otherwise; an async context manager.

    Attributes:
        port: Where it listens; the same one after a restart.
        peers: Who the callers were, by the common name of their certificates.
        gate: Calls wait until it is set.
        waiting: Is set while a call waits.
    """

    name: str = "one"
    host: str = "127.0.0.1"
    port: int = 0
    credentials: grpc.ServerCredentials | None = None
    peers: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self.gate.set()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler: Any = grpc.unary_unary_rpc_method_handler(self._answer)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test", {"Ask": handler}),)
        )
        address = f"{self.host}:{self.port}" if self.host else f"unix:{self.name}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self.credentials)
        await self._server.start()

    async def stop(self, grace: float | None = None) -> None:
        """Say GOAWAY, and be gone after *grace* seconds or when all calls are over."""
        await self._server.stop(grace)

    async def _answer(self, _: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        names: Any = context.auth_context().get("x509_common_name", [b""])
        self.peers.append(names[0].decode())
        self.metadata.append({str(k): str(v) for k, v in context.invocation_metadata() or ()})
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
            self.waiting.clear()
        return self.name.encode()


async def ask(connection: Connection, *, timeout: float = 10) -> str:
    """Make one call, and return who answered."""
    call: Any = (await connection.channel()).unary_unary(_METHOD)
    return bytes(await call(b"", timeout=timeout)).decode()
