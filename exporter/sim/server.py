"""
The simulated Admin on a real socket: clients cannot tell, which is the point.

The world is advanced to the clock right before each call is answered, so that every answer is
current, and a few times a second in between, so that no call has to wait for a long catch-up.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from flyteidl.admin import execution_pb2
from flyteidl.service import admin_pb2
from google.protobuf import message_factory

from exporter.model.clock import Clock
from exporter.model.time import Micros
from exporter.sim import auth_metadata, health, mischief
from exporter.sim.api import SERVICE
from exporter.sim.authority import Authority
from exporter.sim.bearer import Doorkeeper
from exporter.sim.front import Front
from exporter.sim.incidents import Trouble
from exporter.sim.interception import Gate, abort
from exporter.sim.lifecycle import Page
from exporter.sim.refusal import Refusal, database_fault
from exporter.sim.tls import Tls
from exporter.sim.token_endpoint import TokenEndpoint, serve_tokens
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock

NEWER_CALLS = frozenset(
    {"GetDomains", "GetDynamicNodeWorkflow", "GetExecutionMetrics"}
    | {"GetDescriptionEntity", "ListDescriptionEntities"}
)
"""What AdminService has learned in the course of time: an old server has never heard of these."""

_TICK_SECONDS = 0.25
_FAULTY_SHARE = 0.3
_NOTES_BYTES = 64 * 1024
"""Ballast of each row in oversized pages: 500 rows are 32 MiB, 250 pass a limit of 20 MiB."""
_BALLAST = execution_pb2.Execution(
    spec=execution_pb2.ExecutionSpec(annotations={"values": {"notes": "x" * _NOTES_BYTES}})
).SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """
    A server that is up.

    Attributes:
        token_endpoint: Where tokens come from, and what can be made to go wrong there; None when
            no call needs one.
    """

    host: str
    port: int
    token_endpoint: TokenEndpoint | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{self.host}:{self.port}"

    @property
    def token_url(self) -> str | None:
        """Where they get tokens, if they need any."""
        return None if self.token_endpoint is None else self.token_endpoint.token_url


@contextlib.asynccontextmanager
async def serve(
    world: World,
    *,
    listen: str = "127.0.0.1:0",
    clock: Clock | None = None,
    authority: Authority | None = None,
    http_listen: str = "127.0.0.1:0",
    tls: Tls | None = None,
    without: Collection[str] = (),
) -> AsyncIterator[Serving]:
    """
    Answer AdminService from *world* for as long as the block runs.

    Args:
        world: Is advanced by the server alone while it serves.
        listen: Host and port; port 0 takes a free one.
        clock: What the world follows; the machine's by default.
        authority: Whose tokens every call needs; without one, no call needs any.
        http_listen: Host and port of the HTTP endpoint that hands out *authority*'s tokens.
        tls: What the gRPC port proves itself with; plaintext without.
        without: Calls of AdminService that this server does not know, such as `NEWER_CALLS`.

    Raises:
        OSError: An address is not to be had.
        TlsError: A file of *tls* cannot be used.
    """
    clock = clock or SystemClock()
    credentials = None if tls is None else tls.credentials()
    async with AsyncExitStack() as stack:
        gates = [Gate(Front(world.agenda, clock).admit)]
        handlers = [_Answers(world, clock).handler(without), health.handler()]
        endpoint = None
        if authority is not None:
            now = _current(world, clock)
            endpoint = await stack.enter_async_context(
                serve_tokens(
                    authority,
                    listen=http_listen,
                    now=now,
                    is_down=lambda: world.agenda.is_on(Trouble.IDENTITY_DOWN, now()),
                )
            )
            _schedule_revocations(world, authority)
            gates.append(Gate(Doorkeeper(authority, now).admit))
            handlers.append(auth_metadata.handler(authority))
        server = grpc.aio.server(interceptors=gates, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers(handlers)
        host = listen.rpartition(":")[0]
        try:
            if credentials is None:
                port = server.add_insecure_port(listen)
            else:
                port = server.add_secure_port(listen, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {listen}: {error}") from error
        await server.start()
        ticking = asyncio.create_task(_tick(world, clock), name="simulated world")
        try:
            yield Serving(host=host, port=port, token_endpoint=endpoint)
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await server.stop(grace=0)


def _current(world: World, clock: Clock) -> Callable[[], Micros]:
    """Return a clock that first lets everything happen that is due."""

    def now() -> Micros:
        instant = clock.now()
        world.advance(instant)
        return instant

    return now


def _schedule_revocations(world: World, authority: Authority) -> None:
    for window in world.agenda.windows:
        if window.trouble is Trouble.TOKENS_REVOKED:
            world.at(window.since, lambda _: authority.revoke_all())


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

    def handler(self, without: Collection[str]) -> grpc.GenericRpcHandler:
        """
        Return what grpc dispatches to.

        Calls that are not simulated, and those *without* which it has to do, are UNIMPLEMENTED.
        """
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
                if name not in without
            },
        )

    def _answering(self, call: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                self._suffer()
                self._world.advance(self._clock.now())
                return call(request)
            except Refusal as refusal:
                await abort(context, refusal)

        return answer

    def _suffer(self) -> None:
        now, agenda = self._clock.now(), self._world.agenda
        if agenda.is_on(Trouble.ADMIN_PANIC, now):
            raise Refusal(grpc.StatusCode.INTERNAL, "")
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


async def run(
    serving: AbstractAsyncContextManager[Serving], *, started: Callable[[Serving], None]
) -> None:
    """
    Serve until the process is told to stop.

    Args:
        serving: What `serve` returned.
        started: Is called when clients may connect.

    Raises:
        OSError, TlsError: As `serve`.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    async with serving as server:
        started(server)
        await stopped.wait()
