"""
Tokens over HTTP, by OAuth2 client credentials, from an endpoint that can be made to misbehave.

Source: ory/fosite, `client_authentication.go`; RFC 6749, section 2.3.1.
"""

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_plus, urlsplit

from aiohttp import web
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from exporter.model.time import Micros
from exporter.sim import auth_metadata
from exporter.sim.authority import (
    Authority,
    Denied,
    TokenRequest,
    invalid_request,
    unknown_client,
)

_PAGE = "<!doctype html><title>Sign in</title><p>Sign in to continue."
"""What a login page before an identity provider answers: no JSON, whatever the status."""
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Fault(Enum):
    """What an identity provider does wrong."""

    ERROR = "500, with a page for people"
    HANG = "no answer"
    GARBAGE = "200, with a page for people"


class Asked(NamedTuple):
    """One request for a token, without its secret."""

    basic: bool
    """Whether the client put its credentials into the header; else they were in the body."""
    client_id: str
    scopes: tuple[str, ...]
    audience: str


@dataclass(slots=True)
class TokenEndpoint:
    """
    The HTTP port that tokens come from. What is changed here counts from the next request on.

    Attributes:
        base_url: Its address, without a path.
        fault: What is wrong with it.
        refuses_basic: Whether clients must put their credentials into the body.
        asked: Every request for a token since the start, whatever became of it.
    """

    base_url: str = ""
    fault: Fault | None = None
    refuses_basic: bool = False
    asked: list[Asked] = field(default_factory=list)
    _rejected: int = 0

    @property
    def token_url(self) -> str:
        """Where clients ask for tokens."""
        return f"{self.base_url}{auth_metadata.TOKEN_PATH}"

    def reject_next(self, count: int) -> None:
        """Refuse the next *count* requests, as if their client were unknown."""
        self._rejected = count

    def rejects(self, asked: Asked) -> bool:
        """Whether a request is refused, whoever it comes from."""
        if self._rejected:
            self._rejected -= 1
            return True
        return self.refuses_basic and asked.basic


@contextlib.asynccontextmanager
async def serve_tokens(
    authority: Authority, *, listen: str, now: Callable[[], Micros], is_down: Callable[[], bool]
) -> AsyncIterator[TokenEndpoint]:
    """
    Hand out *authority*'s tokens for as long as the block runs.

    Args:
        authority: Gets this address for its own, if it has none.
        listen: Host and port; port 0 takes a free one.
        now: The time.
        is_down: Whether nothing is behind the port at the moment.

    Raises:
        OSError: The address is not to be had.
    """
    endpoint = TokenEndpoint()
    routes = _Routes(authority, endpoint, now, is_down)
    # A hanging answer must not delay the end; 0 would mean for ever.
    runner = web.AppRunner(routes.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        host, port = _address(listen)
        site = web.TCPSite(runner, host.strip("[]"), port)
        try:
            await site.start()
        except OSError as error:
            raise OSError(f"cannot listen on {listen}: {error.strerror or error}") from error
        endpoint.base_url = f"http://{host}:{site.port}"
        authority.public_url = authority.public_url or endpoint.base_url
        yield endpoint
    finally:
        await runner.cleanup()


class _Routes:
    def __init__(
        self,
        authority: Authority,
        endpoint: TokenEndpoint,
        now: Callable[[], Micros],
        is_down: Callable[[], bool],
    ) -> None:
        self._authority = authority
        self._endpoint = endpoint
        self._now = now
        self._is_down = is_down

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", auth_metadata.TOKEN_PATH, self._token)
        application.router.add_get("/.well-known/oauth-authorization-server", self._metadata)
        application.router.add_get("/config/v1/flyte_client", self._client)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        asked, wanted = _read(request, form)
        self._endpoint.asked.append(asked)
        if self._is_down():
            return _down()
        match self._endpoint.fault:
            case Fault.ERROR:
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                return web.Response(status=status, text=_PAGE, content_type="text/html")
            case Fault.GARBAGE:
                return web.Response(text=_PAGE, content_type="text/html")
            case Fault.HANG:
                await asyncio.get_running_loop().create_future()
        try:
            _refuse_malformed(request, form)
            if self._endpoint.rejects(asked):
                raise unknown_client()
            grant = self._authority.issue(wanted, self._now())
        except Denied as denied:
            answer = {"error": denied.error, "error_description": denied.description}
            return web.json_response(answer, status=denied.status, headers=_NO_STORE)
        return web.json_response(
            {
                "access_token": grant.token,
                "expires_in": grant.expires_in,
                "scope": " ".join(grant.scopes),
                "token_type": "bearer",
            },
            headers=_NO_STORE,
        )

    async def _metadata(self, request: web.Request) -> web.Response:
        return self._document(request, auth_metadata.oauth2_metadata(self._authority))

    async def _client(self, request: web.Request) -> web.Response:
        return self._document(request, auth_metadata.public_client_config(self._authority))

    def _document(self, request: web.Request, message: Message) -> web.Response:
        if self._is_down():
            return _down()
        # Who does not ask for JSON by its name gets the names of RFC 8414 in camel case.
        asked_for = request.headers.get("Accept", "")
        return web.json_response(
            MessageToDict(
                message,
                preserving_proto_field_name="application/json" in asked_for,
                always_print_fields_with_no_presence=True,
            )
        )


def _address(listen: str) -> tuple[str, int]:
    """Return host and port; the host as a URL has it."""
    try:
        parts = urlsplit(f"//{listen}")
        port = parts.port
    except ValueError:
        port = None
    host = listen.rpartition(":")[0]
    if port is None or not host or listen != parts.netloc:
        raise OSError(f"cannot listen on {listen}: expected HOST:PORT, such as 127.0.0.1:0")
    return host, port


def _down() -> web.Response:
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="no healthy upstream")


def _refuse_malformed(request: web.Request, form: Mapping[str, str]) -> None:
    """
    Refuse a request for a token whose client cannot even be told.

    Raises:
        Denied: 400.
    """
    if request.method != "POST":
        raise invalid_request(f"HTTP method is '{request.method}', expected 'POST'.")
    if not form:
        raise invalid_request("The POST body can not be empty.")
    if not form.get("grant_type"):
        return  # Which is said first, and by the authority.
    basic = _basic_parts(request)
    if basic is None and not form.get("client_id"):
        raise invalid_request(
            "Client credentials missing or malformed in both HTTP Authorization header and HTTP"
            " POST body."
        )
    for name, part in zip(("id", "secret"), basic or (), strict=False):
        if _BAD_ESCAPE.search(part):
            raise invalid_request(
                f"The client {name} in the HTTP authorization header could not be decoded from"
                " 'application/x-www-form-urlencoded'."
            )


def _read(request: web.Request, form: Mapping[str, str]) -> tuple[Asked, TokenRequest]:
    scopes, audience = tuple(form.get("scope", "").split()), form.get("audience", "")
    basic = _basic_parts(request)
    client_id, secret = (
        map(unquote_plus, basic)
        if basic is not None
        else (form.get("client_id", ""), form.get("client_secret", ""))
    )
    return (
        Asked(basic is not None, client_id, scopes, audience),
        TokenRequest(
            client_id=client_id,
            secret=secret,
            grant_type=form.get("grant_type", ""),
            scopes=scopes,
            audience=audience,
        ),
    )


def _basic_parts(request: web.Request) -> tuple[str, str] | None:
    """Return id and secret of a Basic header, each as it was escaped; None without one."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    client_id, _, secret = decoded.partition(":")
    return client_id, secret
