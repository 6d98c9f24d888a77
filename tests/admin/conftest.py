"""A server on a real socket that answers as each test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from flyteidl.service import admin_pb2
from google.protobuf import message_factory
from opentelemetry.trace import NoOpTracer

from exporter.admin.client import AdminClient
from exporter.admin.opening import open_client
from exporter.config.settings import AdminSettings
from exporter.telemetry.clock import SystemClock
from tests.calls import Calls

_METHODS = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name


class Refused(Exception):
    """Raised by an answer: what the server ends the call with."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


def refusing(code: grpc.StatusCode, details: str = "") -> Callable[[Any], Any]:
    """Return an answer that refuses."""

    def answer(_: Any) -> Any:
        raise Refused(code, details)

    return answer


@dataclass
class ScriptedAdmin:
    """Answers each method with `answers[method](request)`: bytes, a message, or a raise."""

    port: int = 0
    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    carried: list[dict[str, str]] = field(default_factory=list)
    """The metadata of each call, in order."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return the handler of one call."""
        method = details.method.rpartition("/")[2]
        request = message_factory.GetMessageClass(_METHODS[method].input_type)

        async def answer(request: Any, context: Any) -> bytes:
            self.asked.append((method, request))
            self.carried.append({key: str(value) for key, value in context.invocation_metadata()})
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


class Impatient(SystemClock):
    """The real clock, but pauses are over at once; they are only remembered."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Take note of a pause."""
        self.pauses.append(seconds)
        await asyncio.sleep(0)


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
def clock() -> Impatient:
    """Return a clock that does not make tests wait."""
    return Impatient()


def settings_for(server: ScriptedAdmin, **more: Any) -> AdminSettings:
    """Return the settings of a client of *server*, limited by nothing unless *more* says so."""
    return AdminSettings.model_validate(
        {
            "endpoint": f"127.0.0.1:{server.port}",
            "insecure": True,
            "rate_limit": "10000/s",
            "burst": 10_000,
            **more,
        }
    )


@pytest.fixture
async def client(
    server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> AsyncIterator[AdminClient]:
    """Yield a client of the scripted server that makes one attempt a call."""
    async with open_client(
        settings_for(server), clock=clock, observer=calls, tracer=NoOpTracer(), attempts=1
    ) as client:
        yield client


@pytest.fixture
async def persistent(
    server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> AsyncIterator[AdminClient]:
    """Yield a client of the scripted server that retries, as the product's does."""
    async with open_client(
        settings_for(server), clock=clock, observer=calls, tracer=NoOpTracer()
    ) as client:
        yield client
