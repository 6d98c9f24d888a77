"""
A proxy before Admin that a test can make misbehave, for all targets or for one.

It knows nothing of most messages: bytes come in and bytes go out.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from threading import Event
from typing import Any, NamedTuple, NoReturn, Self

import grpc
from flyteidl.admin import common_pb2, execution_pb2

_THREADS = 32
"""A call that hangs holds one of them, and none may keep another call waiting."""
_CALL_SECONDS = 10.0
SLOW_SECONDS = 0.2
_LIST = "/flyteidl.service.AdminService/ListExecutions"
_TOO_MUCH = 25 * 1024 * 1024
"""More than any client of Admin accepts in one message."""


class Trouble(Enum):
    """How calls are answered."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    """As a load balancer without a backend."""
    UNKNOWN = "unknown"
    """As Admin when its database fails it."""
    HANG = "hang"
    """Not at all."""
    SLOW = "slow"
    """Late, but in time."""
    DENIED = "denied"
    GARBAGE = "garbage"
    """With bytes that are no message."""
    UNSORTED = "unsorted"
    """With the rows of a list in the wrong order."""
    NAMELESS = "nameless"
    """With rows that lack what identifies them."""
    TIMELESS = "timeless"
    """With rows created in a year that no calendar has."""
    OVERSIZED = "oversized"
    """With more than the client accepts, however few rows it asks for."""


_REFUSALS = {
    Trouble.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, "no healthy upstream"),
    Trouble.UNKNOWN: (grpc.StatusCode.UNKNOWN, "failed database operation"),
    Trouble.DENIED: (grpc.StatusCode.PERMISSION_DENIED, "not for you"),
}


class State(NamedTuple):
    """What the proxy is to do."""

    trouble: Trouble = Trouble.NONE
    project: str = ""
    """Whose lists are concerned; empty for every call there is."""


class Proxy(grpc.GenericRpcHandler):
    """
    A proxy on a free port; a context manager.

    Attributes:
        state: What it does from the next call on; a test may set it at any time.
        hanging: The calls that hang now.
    """

    def __init__(self, upstream: str) -> None:
        self.state = State()
        self.hanging: set[grpc.ServicerContext] = set()
        self._over = Event()
        self._channel = grpc.insecure_channel(upstream)
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="proxy"))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.stop(grace=None).wait()
        self._channel.close()

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Answer whatever is called."""
        method = details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._answer(method, request, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _answer(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        trouble, project = self.state
        if project and project != _project_asked_for(method, request):
            trouble = Trouble.NONE
        if trouble in _REFUSALS:
            context.abort(*_REFUSALS[trouble])
        if trouble is Trouble.HANG:
            self._hang(context)
        if trouble is Trouble.SLOW:
            time.sleep(SLOW_SECONDS)
        answer = self._forward(method, request, context)
        spoil = _SPOILT.get(trouble)
        return answer if spoil is None else spoil(answer)

    def _hang(self, context: grpc.ServicerContext) -> NoReturn:
        gone = Event()
        self.hanging.add(context)
        if context.add_callback(gone.set):
            while not gone.wait(0.1) and not self._over.is_set():
                pass
        self.hanging.remove(context)
        context.abort(grpc.StatusCode.CANCELLED, "the client has given up")

    def _forward(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        call: Any = self._channel.unary_unary(method)
        try:
            return bytes(call(request, timeout=_CALL_SECONDS))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details() or "")


def _project_asked_for(method: str, request: bytes) -> str:
    if method != _LIST:
        return ""
    return str(common_pb2.ResourceListRequest.FromString(request).id.project)


def _garbage(_: bytes) -> bytes:
    return b"<html>502 Bad Gateway</html>"


def _unsorted(answer: bytes) -> bytes:
    page = execution_pb2.ExecutionList.FromString(answer)
    rows = list(page.executions)
    return _page(reversed(rows), page.token)


def _nameless(answer: bytes) -> bytes:
    page = execution_pb2.ExecutionList.FromString(answer)
    for row in page.executions:
        row.id.ClearField("name")
    return bytes(page.SerializeToString())


def _timeless(answer: bytes) -> bytes:
    page = execution_pb2.ExecutionList.FromString(answer)
    for row in page.executions:
        row.closure.created_at.seconds = 10**12
    return bytes(page.SerializeToString())


def _oversized(answer: bytes) -> bytes:
    page = execution_pb2.ExecutionList.FromString(answer)
    for row in page.executions[:1]:
        row.spec.annotations.values["notes"] = "x" * _TOO_MUCH
    return bytes(page.SerializeToString())


def _page(rows: Any, token: str) -> bytes:
    return bytes(execution_pb2.ExecutionList(executions=rows, token=token).SerializeToString())


_SPOILT: dict[Trouble, Callable[[bytes], bytes]] = {
    Trouble.GARBAGE: _garbage,
    Trouble.UNSORTED: _unsorted,
    Trouble.NAMELESS: _nameless,
    Trouble.TIMELESS: _timeless,
    Trouble.OVERSIZED: _oversized,
}
