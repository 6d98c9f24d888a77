"""The simulator is as good as its answers are those of a real Flyte Admin."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
from flyteidl.service import admin_pb2
from google.protobuf import message_factory
from google.protobuf.message import Message

from exporter.model.time import Micros
from exporter.sim.api import SERVICE, AdminApi
from exporter.sim.refusal import Refusal
from exporter.sim.store import Store

Disagreements = Callable[[Any, Any], Awaitable[list[str]]]

_GAP_SECONDS = 0.02
"""Between two creations when the recording was made."""


def answer(status: str, details: str = "", response: Message | None = None) -> SimpleNamespace:
    """Return what an Admin made of one call."""
    return SimpleNamespace(status=status, details=details, response=response)


async def test_the_simulator_answers_every_recorded_call_alike(
    disagreements: Disagreements,
) -> None:
    """Status, error text, content, order and token are those of a real Admin, line for line."""
    now = [Micros(1_790_000_000_123_456)]
    api = AdminApi(Store(), now=lambda: now[0])

    async def call(method: str, request: Message) -> SimpleNamespace:
        try:
            return answer("OK", response=api.calls[method](request))
        except Refusal as refusal:
            return answer(refusal.code.name, refusal.details)

    async def pause() -> None:
        now[0] = Micros(now[0] + 20_123)

    assert await disagreements(call, pause) == []


@pytest.mark.live
@pytest.mark.write
async def test_an_admin_on_a_socket_answers_every_recorded_call_alike(
    disagreements: Disagreements, admin_address: str
) -> None:
    """The same holds over real gRPC, for the simulator and for any Admin that is fresh."""
    methods = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name
    async with grpc.aio.insecure_channel(admin_address) as channel:

        async def call(method: str, request: Message) -> SimpleNamespace:
            response = message_factory.GetMessageClass(methods[method].output_type)
            send: Any = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            try:
                return answer("OK", response=await send(request, timeout=10))
            except grpc.aio.AioRpcError as error:
                return answer(error.code().name, error.details() or "")

        async def pause() -> None:
            # The recording has no two executions of one instant; neither may its replay.
            await asyncio.sleep(_GAP_SECONDS)

        assert await disagreements(call, pause) == []
