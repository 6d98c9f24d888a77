"""
A collector that takes spans and keeps none.

It runs as a process of its own (`python -m bench.collector`), so that what it takes of CPU is no
part of any figure.
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from bench.server import LISTENING

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


async def _export(_: bytes, __: Any) -> bytes:
    return b""  # an answer without fields: all were accepted


async def run() -> None:
    """Serve until stdin ends; prints one line when it listens."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler: Any = grpc.unary_unary_rpc_method_handler(_export)  # bytes in and out
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{LISTENING} http://127.0.0.1:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace=None)


if __name__ == "__main__":
    asyncio.run(run())
