"""
The simulated Admin on a real socket: clients cannot tell, which is the point.

The world is advanced to the clock right before each call is answered, so that every answer is
current, and a few times a second in between, so that no call has to wait for a long catch-up.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from flyteidl.admin import execution_pb2
from flyteidl.service import admin_pb2
from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from exporter.model.clock import Clock
from exporter.sim import mischief, wire
from exporter.sim.api import SERVICE
from exporter.sim.incidents import Incident, Trouble
from exporter.sim.lifecycle import Page
from exporter.sim.refusal import Refusal, database_fault
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock

_STATUS_BYTES = 32_000
"""Admin cuts its error texts here. Source: flyteadmin `pkg/common/constants.go`."""
_TICK_SECONDS = 0.25
_SLOW_SECONDS = (1.0, 3.0)
_FAULTY_SHARE = 0.3
_NOTES_BYTES = 64 * 1024
"""Ballast of each row in oversized pages: 500 rows are 32 MiB, 250 pass a limit of 20 MiB."""
_BALLAST = execution_pb2.Execution(
    spec=execution_pb2.ExecutionSpec(annotations={"values": {"notes": "x" * _NOTES_BYTES}})
).SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that is up."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serve(
    world: World, *, listen: str = "127.0.0.1:0", clock: Clock | None = None
) -> AsyncIterator[Serving]:
    """
    Answer AdminService from *world* for as long as the block runs.

    Args:
        world: Is advanced by the server alone while it serves.
        listen: Host and port; port 0 takes a free one.
        clock: What the world follows; the machine's by default.

    Raises:
        OSError: The address is not to be had.
    """
    clock = clock or SystemClock()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Answers(world, clock).handler(),))
    host = listen.rpartition(":")[0]
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {listen}: {error}") from error
    await server.start()
    ticking = asyncio.create_task(_tick(world, clock), name="simulated world")
    try:
        yield Serving(host=host, port=port)
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await server.stop(grace=0)


async def _tick(world: World, clock: Clock) -> None:
    while True:
        world.advance(clock.now())
        await clock.sleep(_TICK_SECONDS)


class _Answers:
    """Each call of AdminService: first the troubles of the hour, then the world's answer."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._random = random.Random("faults")

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what grpc dispatches to; calls that are not simulated stay UNIMPLEMENTED."""
        methods = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name
        calls = {**self._world.api.calls, "ListExecutions": self._list_executions}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._answering(call),
                    request_deserializer=message_factory.GetMessageClass(
                        methods[name].input_type
                    ).FromString,
                    response_serializer=_serialized,
                )
                for name, call in calls.items()
            },
        )

    def _answering(self, call: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                await self._suffer()
                self._world.advance(self._clock.now())
                return call(request)
            except Refusal as refusal:
                if refusal.reason is not None:
                    context.set_trailing_metadata(_status_details(refusal, refusal.reason))
                text = refusal.details.encode()[:_STATUS_BYTES].decode(errors="ignore")
                await context.abort(refusal.code, text)

        return answer

    async def _suffer(self) -> None:
        now, agenda = self._clock.now(), self._world.agenda
        if agenda.is_on(Trouble.ADMIN_HANG, now):
            # Ends with the call: grpc cancels it at the client's deadline.
            await asyncio.get_running_loop().create_future()
        if agenda.is_on(Trouble.ADMIN_SLOW, now):
            await self._clock.sleep(self._random.uniform(*_SLOW_SECONDS))
        if agenda.is_on(Trouble.ADMIN_UNAVAILABLE, now):
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
        if agenda.is_on(Trouble.ADMIN_UNKNOWN, now) and self._random.random() < _FAULTY_SHARE:
            raise database_fault("canceling statement due to statement timeout")

    def _list_executions(self, request: Any) -> bytes:
        page = self._world.api.lifecycle.executions_page(request)
        now, agenda = self._clock.now(), self._world.agenda
        if agenda.is_on(Trouble.PAGE_SHIFT, now) and page.token:
            mischief.shift_page(self._world, page.rows)
        if agenda.is_on(Trouble.OVERSIZED_PAGE, now):
            # Messages that follow each other are one message to protobuf: ballast is appended.
            page = Page([row + _BALLAST for row in page.rows], page.token)
        return page.serialized()


def _serialized(response: Any) -> bytes:
    return response if isinstance(response, bytes) else bytes(response.SerializeToString())


def _status_details(refusal: Refusal, reason: Message) -> tuple[tuple[str, bytes]]:
    """Return the trailer in which gRPC carries a message beside the text: a google.rpc.Status."""
    detail = AnyMessage()
    detail.Pack(reason)
    code = b"\x08" + bytes([refusal.code.value[0]])
    text = wire.field(2, refusal.details.encode())
    status = code + text + wire.field(3, detail.SerializeToString())
    return (("grpc-status-details-bin", status),)


async def run(
    *,
    listen: str = "127.0.0.1:8089",
    seed: int = 0,
    speed: float = 1,
    drive: bool = False,
    incidents: Sequence[Incident] = (),
) -> None:
    """
    Serve a world that begins now, until the process is told to stop.

    Prints one line when clients may connect: `simulated Flyte Admin listening on HOST:PORT`.

    Raises:
        OSError: The address is not to be had.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    clock = SystemClock()
    world = World(seed=seed, start=clock.now(), speed=speed, drive=drive, incidents=incidents)
    async with serve(world, listen=listen, clock=clock) as serving:
        print(f"simulated Flyte Admin listening on {serving.address}", flush=True)  # noqa: T201 - the line that callers wait for
        await stopped.wait()
