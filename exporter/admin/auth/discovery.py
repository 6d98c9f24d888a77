"""
Admin says, to anybody who asks, what tokens it wants and where they come from.

The service that says so is not there where Admin's authentication is off, and that is the answer:
no token is needed. It is not there either where an ingress does not route to it; then the first
refused call shows that a token is needed after all, and what is configured must do.

These calls keep to the limits of all calls to Admin, and have spans. They need neither retries nor
the circuit breaker: while there is no answer, the question is repeated for all calls together,
after pauses that grow (see `exporter.admin.auth.cache`).
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from flyteidl.service import auth_pb2, auth_pb2_grpc
from opentelemetry.trace import Span

from exporter.admin.auth.errors import CredentialsError, SourceRejected
from exporter.admin.auth.token import fit_to_show, secrets_in
from exporter.admin.certificates import ConnectionSettingsError
from exporter.admin.errors import AdminError, nonsense, refusal
from exporter.admin.limits import Limits
from exporter.admin.question import Question
from exporter.admin.spans import Spans
from exporter.model.time import Micros
from exporter.telemetry.context import trace_metadata

DEFAULT_HEADER = "flyte-authorization"
"""Where Admin looks for the token unless it says otherwise."""

# What grpc accepts as a key. Keys in -bin carry bytes, and those in grpc- are its own.
_KEY = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")

# A proxy before Admin refuses what it does not know; what is configured may be enough.
_SERVICE = "flyteidl.service.AuthMetadataService"
_Headers = tuple[tuple[str, str], ...]

_NOT_FOR_US = {"PERMISSION_DENIED", "UNAUTHENTICATED", "NOT_FOUND"}


class Connection(Protocol):
    """How Admin is reached."""

    async def channel(self) -> grpc.aio.Channel:
        """Return the channel for the next call; raises `ConnectionSettingsError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What Admin says of the tokens that it wants."""

    needed: bool
    """Whether it wants any."""
    header: str = DEFAULT_HEADER
    scopes: tuple[str, ...] = ()
    audience: str = ""
    token_endpoint: str = ""
    """URL of the identity provider; empty when it was not asked for."""

    @property
    def expires_at(self) -> Micros | None:
        """Never: it holds until something shows that it does not."""
        return None


class Discovery:
    """
    Asks AuthMetadataService.

    Args:
        limits: Of all calls to Admin.
        spans: Of those calls.
        header: The configured metadata key, which wins over Admin's.
        with_endpoint: Whether the token endpoint is wanted too.
        is_complete: Whether all is configured, so that there is nothing to ask.
        proxy_metadata: What a proxy before Admin wants to see.
        time_limit: Seconds for each call.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        limits: Limits,
        spans: Spans,
        header: str | None,
        with_endpoint: bool,
        is_complete: bool,
        proxy_metadata: Callable[[], Awaitable[Sequence[tuple[str, str]]]],
        time_limit: float,
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._spans = spans
        self._header = header
        self._with_endpoint = with_endpoint
        self._is_complete = is_complete
        self._proxy_metadata = proxy_metadata
        self._time_limit = time_limit
        self._is_proven = False

    def proves_needed(self) -> None:
        """Take note that Admin wants a token, whatever its metadata service says."""
        self._is_proven = True

    async def fetch(self) -> Announced:
        """Ask Admin; raises `CredentialsError` when it does not answer."""
        if self._is_complete:
            return Announced(needed=True, header=self._key(""))
        try:
            config = await self._ask(
                "GetPublicClientConfig", auth_pb2.PublicClientAuthConfigRequest()
            )
            endpoint = ""
            if self._with_endpoint:
                metadata = await self._ask("GetOAuth2Metadata", auth_pb2.OAuth2MetadataRequest())
                endpoint = metadata.token_endpoint
        except CredentialsError as error:
            if error.code == "UNIMPLEMENTED":
                return Announced(needed=self._is_proven, header=self._key(""))
            if error.code in _NOT_FOR_US and not self._with_endpoint:
                return Announced(needed=True, header=self._key(""))
            raise
        return Announced(
            needed=True,
            header=self._key(config.authorization_metadata_key),
            scopes=tuple(config.scopes),
            audience=config.audience,
            token_endpoint=endpoint,
        )

    def _key(self, announced: str) -> str:
        key = (self._header or announced or DEFAULT_HEADER).lower()
        if not _KEY.fullmatch(key):
            raise SourceRejected(
                f'gRPC cannot send a header named "{fit_to_show(key)}"; set admin.auth.header to'
                " the one that Flyte Admin reads."
            )
        return key

    async def _ask(self, method: str, request: Any) -> Any:
        question = Question(
            service=_SERVICE, method=method, request=request, timeout=self._time_limit
        )
        try:
            stub = auth_pb2_grpc.AuthMetadataServiceStub(await self._connection.channel())
        except ConnectionSettingsError as error:
            raise CredentialsError(str(error), code="UNAVAILABLE", lasting=False) from None
        proof = tuple(await self._proxy_metadata())
        try:
            async with self._limits.room(within=question.timeout):
                with self._spans.attempt(question, number=1) as span:
                    return await _answer(stub, question, proof, span)
        except TimeoutError:
            raise CredentialsError(
                f"Admin was not asked which tokens it wants: {self._limits.no_room}.",
                code="DEADLINE_EXCEEDED",
                lasting=False,
            ) from None
        except AdminError as error:
            raise CredentialsError(
                f"Admin was asked which tokens it wants, and {method} failed with {error.code}"
                f"{': ' if error.said else ''}{error.said}.",
                code=error.code,
                lasting=False,
            ) from None


async def _answer(stub: Any, question: Question, proof: _Headers, span: Span) -> Any:
    """Ask once; raises `AdminError`, which holds nothing of *proof*."""
    try:
        answer = await getattr(stub, question.method)(
            question.request,
            timeout=question.timeout,
            metadata=(*proof, *trace_metadata(span)) or None,
        )
    except grpc.aio.AioRpcError as error:
        said = fit_to_show(error.details() or "", *secrets_in(proof))
        raise refusal(question.method, error.code().name, said) from None
    if answer is None:
        # How grpc.aio passes on an answer that it could not decode.
        raise nonsense(question.method, "", "bytes that are no answer to it")
    return answer
