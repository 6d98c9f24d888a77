"""An identity provider and an Admin on real sockets, and programs and files that give tokens."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import grpc
import pytest
import structlog
from aiohttp import web
from flyteidl.admin import version_pb2
from flyteidl.service import admin_pb2_grpc, auth_pb2, auth_pb2_grpc
from opentelemetry.trace import NoOpTracer, Tracer

from exporter.admin.auth.credentials import Credentials, credentials_from
from exporter.admin.auth.token import Secret, Token
from exporter.admin.limits import Limits
from exporter.admin.spans import Spans
from exporter.config.settings import AdminSettings
from exporter.model.time import SECOND, Micros
from tests.rig import ManualClock

CLIENT, SECRET = "exporter", "s3cr:t/+ ä%&="
"""The secret holds everything that has a meaning in a header, a form or a URL."""


def jwt(**claims: object) -> str:
    """Return a token with *claims*, signed by nobody."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


def token(name: str, *, expires_at: int | None = None) -> Token:
    """Return a token called *name*."""
    return Token(secret=Secret(name), expires_at=None if expires_at is None else Micros(expires_at))


@dataclass
class Asked:
    """One request that the identity provider saw."""

    style: str
    client: tuple[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""


@dataclass
class IdentityProvider:
    """Gives `token-1`, `token-2` and so on to one client, as each test wants it."""

    port: int = 0
    secret: str = SECRET
    styles: set[str] = field(default_factory=lambda: {"basic", "form"})
    life: object = 3600
    answer: Callable[[Asked], web.Response | Awaitable[web.Response]] | None = None
    asked: list[Asked] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the test is over, for an answer that hangs until then."""

    @property
    def url(self) -> str:
        """Where it gives tokens."""
        return f"http://127.0.0.1:{self.port}/token"

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request for a token."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        scheme, _, proof = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = base64.b64decode(proof).decode().partition(":")
            client, style = (unquote_plus(name), unquote_plus(secret)), "basic"
        else:
            client, style = (form.get("client_id", ""), form.get("client_secret", "")), "form"
        self.asked.append(
            Asked(style, client, form, {k.lower(): v for k, v in request.headers.items()})
        )
        if self.answer is not None:
            answered = self.answer(self.asked[-1])
            return answered if isinstance(answered, web.Response) else await answered
        if style not in self.styles or client != (CLIENT, self.secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        given = {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer"}
        if self.life is not None:
            given["expires_in"] = self.life  # type: ignore[assignment]  # as hostile as it likes
        return web.json_response(given)


@dataclass
class AdminServer(auth_pb2_grpc.AuthMetadataServiceServicer, admin_pb2_grpc.AdminServiceServicer):  # type: ignore[misc]
    """Says what it wants, and lets through who carries it."""

    port: int = 0
    header: str = "flyte-authorization"
    scopes: tuple[str, ...] = ("all", "offline")
    audience: str = ""
    token_endpoint: str = ""
    refuse_metadata: tuple[grpc.StatusCode, str] | None = None
    accepts: set[str] = field(default_factory=set)
    details: str = "token parse error [access token err: Token is expired]"
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def _note(self, method: str, context: Any) -> None:
        self.asked.append((method, {k: str(v) for k, v in context.invocation_metadata()}))
        if self.refuse_metadata is not None:
            await context.abort(*self.refuse_metadata)

    async def GetOAuth2Metadata(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Say where tokens come from."""
        await self._note("GetOAuth2Metadata", context)
        return auth_pb2.OAuth2MetadataResponse(token_endpoint=self.token_endpoint)

    async def GetPublicClientConfig(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Say how they are carried."""
        await self._note("GetPublicClientConfig", context)
        return auth_pb2.PublicClientAuthConfigResponse(
            scopes=self.scopes,
            audience=self.audience,
            authorization_metadata_key=self.header,
        )

    async def GetVersion(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Answer those whose token is accepted."""
        carried = {k: str(v) for k, v in context.invocation_metadata()}
        if carried.get(self.header) not in self.accepts:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, self.details)
        return version_pb2.GetVersionResponse()


@dataclass
class ToAdmin:
    """The connection: one channel for all calls."""

    open: grpc.aio.Channel

    async def channel(self) -> grpc.aio.Channel:
        """Return it."""
        return self.open


@dataclass
class Told:
    """The observer: what it was told."""

    outcomes: list[str] = field(default_factory=list)
    expiries: list[Micros | None] = field(default_factory=list)

    def token_refreshed(self, *, outcome: str) -> None:
        """Take note."""
        self.outcomes.append(outcome)

    def token_expires(self, at: Micros | None) -> None:
        """Take note."""
        self.expiries.append(at)


@dataclass
class Bench:
    """Everything that credentials stand on."""

    clock: ManualClock
    admin: AdminServer
    connection: ToAdmin
    told: Told
    environ: dict[str, str]
    limits: Limits = field(
        default_factory=lambda: Limits(
            rate=10_000, burst=10_000, concurrency=64, waited=lambda _: None
        )
    )
    tracer: Tracer = field(default_factory=NoOpTracer)
    timeout: str = "15s"

    def credentials(self, **auth: object) -> Credentials:
        """Return credentials as the section `admin.auth` describes them."""
        settings = AdminSettings.model_validate(
            {
                "endpoint": f"127.0.0.1:{self.admin.port}",
                "insecure": True,
                "timeout": self.timeout,
                "auth": auth,
            }
        )
        return credentials_from(
            settings,
            self.connection,
            limits=self.limits,
            spans=Spans(self.tracer),
            clock=self.clock,
            observer=self.told,
            environ=self.environ,
        )


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only the test moves."""
    return ManualClock()


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    """Yield an identity provider."""
    serving = IdentityProvider()
    application = web.Application()
    application.router.add_post("/token", serving.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    serving.port = runner.addresses[0][1]
    yield serving
    serving.over.set()
    await runner.cleanup()


@pytest.fixture
async def admin(provider: IdentityProvider) -> AsyncIterator[AdminServer]:
    """Yield an Admin whose tokens come from the identity provider."""
    serving = AdminServer(token_endpoint=provider.url)
    server = grpc.aio.server()
    auth_pb2_grpc.add_AuthMetadataServiceServicer_to_server(serving, server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(serving, server)
    serving.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield serving
    await server.stop(grace=0)


@pytest.fixture
async def bench(admin: AdminServer, clock: ManualClock) -> AsyncIterator[Bench]:
    """Yield what credentials stand on; the variable SECRET holds the client's secret."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{admin.port}") as channel:
        yield Bench(
            clock=clock,
            admin=admin,
            connection=ToAdmin(channel),
            told=Told(),
            environ={"SECRET": SECRET},
        )


@pytest.fixture
def logged() -> Iterator[Sequence[MutableMapping[str, Any]]]:
    """Yield what is logged."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Return `program(script)`, which writes a shell script and returns its path."""

    def write(script: str) -> str:
        path = tmp_path / f"give-token-{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return os.fspath(path)

    return write


def seconds_from(clock: ManualClock, instant: Micros | None) -> float | None:
    """Return how far *instant* is ahead."""
    return None if instant is None else (instant - clock.now()) / SECOND
