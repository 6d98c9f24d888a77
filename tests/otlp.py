"""A collector for tests: it speaks OTLP over gRPC or HTTP, and decodes what arrives."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.telemetry.authority import Identity

_PATIENCE_SECONDS = 20
_HASTE_SECONDS = 0.05  # to aiohttp, 0 is for ever
_PATH = "/v1/traces"

Protocol = Literal["grpc", "http/protobuf"]
PROTOCOLS: tuple[Protocol, ...] = ("grpc", "http/protobuf")
Mood = Literal["accept", "refuse", "unavailable", "hang"]
"""`refuse` is for good, `unavailable` may be tried again, `hang` never answers."""

_CODES: Mapping[Mood, grpc.StatusCode] = {
    "refuse": grpc.StatusCode.PERMISSION_DENIED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
}
_STATUSES: Mapping[Mood, int] = {"accept": 200, "refuse": 403, "unavailable": 503}


@dataclass(frozen=True, slots=True)
class Received:
    """A span as it arrived."""

    span: Span
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    scope: str
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return its name."""
        return self.span.name


@dataclass
class Receiver:
    """
    What the collector got.

    Attributes:
        endpoint: URL without a path.
        mood: What it does with the next export.
        asked: Is set when an export arrives, whatever becomes of it.
    """

    endpoint: str = ""
    mood: Mood = "accept"
    spans: list[Received] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def names(self) -> list[str]:
        """Return the names of all spans, in the order of their arrival."""
        return [each.name for each in self.spans]

    def named(self, name: str) -> Received:
        """Return the only span of that name."""
        (found,) = (each for each in self.spans if each.name == name)
        return found

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until *enough* of what arrived."""
        async with asyncio.timeout(_PATIENCE_SECONDS), self._news:
            await self._news.wait_for(enough)

    async def until_spans(self, number: int) -> None:
        """Wait until so many spans arrived."""
        await self.until(lambda: len(self.spans) >= number)

    async def export(
        self, request: service.ExportTraceServiceRequest, headers: Mapping[str, str]
    ) -> Mood:
        """Take one export, or do to it what the mood says."""
        mood = self.mood
        self.asked.set()
        if mood == "hang":
            await asyncio.Event().wait()
        if mood == "accept":
            async with self._news:
                self.spans += _decoded(request, headers)
                self._news.notify_all()
        return mood


@asynccontextmanager
async def collector(
    protocol: Protocol, *, identity: Identity | None = None
) -> AsyncIterator[Receiver]:
    """Run a collector on a loopback port; with an *identity* it wants TLS, and one of clients."""
    receiver = Receiver()
    async with (_grpc if protocol == "grpc" else _http)(receiver, identity):
        yield receiver


@asynccontextmanager
async def _grpc(receiver: Receiver, identity: Identity | None) -> AsyncIterator[None]:
    class Service(service_grpc.TraceServiceServicer):
        async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # its name
            headers = {key: str(value) for key, value in context.invocation_metadata()}
            mood = await receiver.export(request, headers)
            if mood != "accept":
                await context.abort(_CODES[mood], f"the collector is told to {mood}")
            return service.ExportTraceServiceResponse()

    server = grpc.aio.server()
    service_grpc.add_TraceServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    if identity is None:
        port = server.add_insecure_port("127.0.0.1:0")
        receiver.endpoint = f"http://127.0.0.1:{port}"
    else:
        credentials = grpc.ssl_server_credentials(
            [(identity.key.read_bytes(), identity.certificate.read_bytes())],
            root_certificates=identity.authority.read_bytes(),
            require_client_auth=True,
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        receiver.endpoint = f"https://127.0.0.1:{port}"
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace=None)


@asynccontextmanager
async def _http(receiver: Receiver, identity: Identity | None) -> AsyncIterator[None]:
    async def export(request: web.Request) -> web.Response:
        # aiohttp undoes what it knows by itself.
        message = service.ExportTraceServiceRequest.FromString(await request.read())
        headers = {key.lower(): value for key, value in request.headers.items()}
        mood = await receiver.export(message, headers)
        return web.Response(status=_STATUSES[mood])

    application = web.Application()
    application.router.add_post(_PATH, export)
    runner = web.AppRunner(application, shutdown_timeout=_HASTE_SECONDS)
    await runner.setup()
    context = None
    if identity is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=identity.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(identity.certificate, identity.key)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "http" if identity is None else "https"
        receiver.endpoint = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


def _decoded(
    request: service.ExportTraceServiceRequest, headers: Mapping[str, str]
) -> list[Received]:
    return [
        Received(
            span,
            _plain(span.attributes),
            _plain(group.resource.attributes),
            scoped.scope.name,
            headers,
        )
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
