"""What happens to a call before the service that it is for sees it, and how a call is refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from exporter.sim import wire
from exporter.sim.refusal import Refusal

_STATUS_BYTES = 32_000
"""Admin cuts its error texts here. Source: flyteadmin `pkg/common/constants.go`."""

Admit = Callable[[grpc.HandlerCallDetails], Awaitable[None]]
"""Waits until a call may go on, or raises `Refusal`."""


class Gate(grpc.aio.ServerInterceptor):
    """Asks before each call whether it may go on; those that nobody would answer are not judged."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit

    async def intercept_service(
        self, continuation: Callable[..., Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Return what answers the call, if it may go on."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                await self._admit(handler_call_details)
            except Refusal as refusal:
                await abort(context, refusal)
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


async def abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    """End a call as *refusal* says; does not return."""
    if refusal.reason is not None:
        context.set_trailing_metadata(_status_details(refusal, refusal.reason))
    text = refusal.details.encode()[:_STATUS_BYTES].decode(errors="ignore")
    await context.abort(refusal.code, text)


def _status_details(refusal: Refusal, reason: Message) -> tuple[tuple[str, bytes]]:
    """Return the trailer in which gRPC carries a message beside the text: a google.rpc.Status."""
    detail = AnyMessage()
    detail.Pack(reason)
    code = b"\x08" + bytes([refusal.code.value[0]])
    text = wire.field(2, refusal.details.encode())
    status = code + text + wire.field(3, detail.SerializeToString())
    return (("grpc-status-details-bin", status),)
