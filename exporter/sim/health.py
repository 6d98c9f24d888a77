"""
gRPC's standard health check: the process is up. It says nothing about Admin's database.

Its two messages have one field each, and are read and written as the well-known wrappers of the
same shape, so that nothing has to be installed for them.

Source: flyteadmin `pkg/server/service.go`; grpc `health/v1/health.proto`.
"""

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from exporter.sim.interception import abort
from exporter.sim.refusal import Refusal

SERVICE = "grpc.health.v1.Health"
_KNOWN = ("", "flyteadmin")
_SERVING = 1


def handler() -> grpc.GenericRpcHandler:
    """Return the health service; its streaming call is not there."""
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Check": grpc.unary_unary_rpc_method_handler(
                _check,
                request_deserializer=StringValue.FromString,
                response_serializer=Int32Value.SerializeToString,
            )
        },
    )


async def _check(service: StringValue, context: grpc.aio.ServicerContext[Any, Any]) -> Int32Value:
    if service.value not in _KNOWN:
        await abort(context, Refusal(grpc.StatusCode.NOT_FOUND, "unknown service"))
    return Int32Value(value=_SERVING)
