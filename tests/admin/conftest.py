"""A server on a real socket that answers as each test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from flyteidl.service import admin_pb2
from google.protobuf import message_factory

from exporter.admin.client import AdminClient
from exporter.admin.connection import Connection
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock

_METHODS = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name


class Refused(Exception):
    """Raised by an answer: what the server ends the call with."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


@dataclass
class ScriptedAdmin:
    """Answers each method with `answers[method](request)`: bytes, a message, or a raise."""

    port: int = 0
    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return the handler of one call."""
        method = details.method.rpartition("/")[2]
        request = message_factory.GetMessageClass(_METHODS[method].input_type)

        async def answer(request: Any, context: Any) -> bytes:
            self.asked.append((method, request))
            try:
                answered = self.answers[method](request)
            except Refused as refused:
                await context.abort(refused.code, refused.details)
            if asyncio.isfuture(answered):
                answered = await answered
            return answered if isinstance(answered, bytes) else answered.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=request.FromString, response_serializer=None
        )


@dataclass
class Calls:
    """The observer: what it was told."""

    finished: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def call_finished(self, *, method: str, code: str, seconds: float) -> None:
        """Take note."""
        self.finished.append((method, code))
        self.seconds.append(seconds)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedAdmin]:
    """Yield a server that waits for its answers."""
    scripted = ScriptedAdmin()

    class Handler(grpc.GenericRpcHandler):
        """What grpc dispatches to."""

        def service(
            self, handler_call_details: grpc.HandlerCallDetails
        ) -> "grpc.RpcMethodHandler[Any, Any]":
            """Return the handler of one call."""
            return scripted.service(handler_call_details)

    listening = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
    listening.add_generic_rpc_handlers((Handler(),))
    scripted.port = listening.add_insecure_port("127.0.0.1:0")
    await listening.start()
    yield scripted
    await listening.stop(grace=0)


@pytest.fixture
def calls() -> Calls:
    """Return the observer of the client."""
    return Calls()


@pytest.fixture
async def client(server: ScriptedAdmin, calls: Calls) -> AsyncIterator[AdminClient]:
    """Yield a client of the scripted server, over the channel that the product makes."""
    settings = AdminSettings.model_validate(
        {"endpoint": f"127.0.0.1:{server.port}", "insecure": True}
    )
    async with Connection(settings, clock=SystemClock()) as connection:
        yield AdminClient(await connection.channel(), observer=calls)
