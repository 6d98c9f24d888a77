"""
Admin's own OAuth2 server, without a socket: it issues access tokens, and judges what calls carry.

A clock and a network are the caller's business; so a test can live through an expiry in no time.

Source: flyteadmin `auth/authzserver/{token,provider,claims_verifier}.go`, `auth/token.go`,
`auth/interceptor.go`; ory/fosite for what the token endpoint refuses.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import grpc

from exporter.model.time import SECOND, Micros
from exporter.sim import tokens
from exporter.sim.refusal import Refusal

SCOPE = "all"
"""The one scope that lets a client do anything, and that every call needs."""
SCOPES = (SCOPE, "offline")
"""What Admin tells public clients to ask for."""
HEADER = "flyte-authorization"
"""Where Admin looks for a token by default, beside `authorization`: that is often a mesh's."""
LIFETIME = timedelta(minutes=30)

_GRANT = "client_credentials"
_BAD_REQUEST, _UNAUTHORIZED = 400, 401


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A program that may have tokens."""

    id: str
    secret: str = field(repr=False)
    scopes: tuple[str, ...] = SCOPES
    """What it may ask for."""
    audiences: tuple[str, ...] = ()
    """Whom its tokens may be for, should it ask; a real Admin allows none unless told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a client asks of the token endpoint."""

    client_id: str
    secret: str = field(repr=False)
    grant_type: str = _GRANT
    scopes: tuple[str, ...] = ()
    audience: str = ""


class Grant(NamedTuple):
    """A token, as its client gets it."""

    token: str
    expires_in: int
    scopes: tuple[str, ...]


class Denied(Exception):
    """
    The token endpoint says no, as OAuth2 has it.

    Attributes:
        status: HTTP status.
        error: The word for programs.
        description: The sentence for people.
    """

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description


class Authority:
    """
    Who may have a token, and which token is good.

    All of its attributes may be changed while it is at work.

    Attributes:
        public_url: What Admin takes for its own address: tokens are issued by and for it.
        header: Where Admin looks for a token, beside `authorization`.
        lifetime: Of the tokens that are issued from now on.
        audience: Whom new tokens are for, when that is not this Admin.
        scopes_as_text: Whether new tokens have their scopes as one text, as some identity
            providers write them. Admin takes that for one scope, blanks and all.
        advertised_audience: The audience that public clients are told to ask for.
    """

    def __init__(
        self,
        clients: Iterable[OAuthClient],
        *,
        public_url: str = "",
        header: str = HEADER,
        lifetime: timedelta = LIFETIME,
    ) -> None:
        self.public_url = public_url
        self.header = header
        self.lifetime = lifetime
        self.audience: str | None = None
        self.scopes_as_text = False
        self.advertised_audience = ""
        self._clients = {client.id: client for client in clients}
        self._key = secrets.token_bytes()

    def add(self, client: OAuthClient) -> None:
        """Let *client* have tokens; a known id gets a new secret and new rights."""
        self._clients[client.id] = client

    def revoke_all(self) -> None:
        """Forget every token: they were signed with a key that is no longer ours."""
        self._key = secrets.token_bytes()

    def issue(self, request: TokenRequest, now: Micros) -> Grant:
        """
        Return a token for the client that asks.

        Raises:
            Denied: It may not have one.
        """
        _check(request, self._clients.get(request.client_id))
        seconds = round(self.lifetime.total_seconds())
        issued_at = now // SECOND
        claims: dict[str, Any] = {
            "aud": [self.public_url if self.audience is None else self.audience],
            # Admin's own server does not name the client here; others do.
            "client_id": "",
            "exp": issued_at + seconds,
            "iat": issued_at,
            "iss": self.public_url,
            "jti": secrets.token_hex(16),
            "sub": request.client_id,
        }
        if self.scopes_as_text:
            claims |= {"client_id": request.client_id, "scp": " ".join(request.scopes)}
        elif request.scopes:
            claims["scp"] = list(request.scopes)
        # The time that it takes to answer rounds the remainder down, on a real Admin too.
        return Grant(tokens.write(claims, self._key), max(0, seconds - 1), request.scopes)

    def judge(self, authorization: str, now: Micros) -> None:
        """
        Let a call pass that carries *authorization*: empty, or a scheme and a token.

        Raises:
            Refusal: UNAUTHENTICATED.
        """
        try:
            scopes = self._scopes(_bearer(authorization), now)
        except tokens.BadToken as bad:
            scheme = "Request unauthenticated with IDToken"
            if authorization and " " not in authorization:
                scheme = "Bad authorization string"
            # Admin mixes up what it calls which.
            raise _unauthenticated(
                f"token parse error id token err: access token err: {bad},"
                f" access token err: {_unread('id token', scheme)}"
            ) from bad
        if SCOPE not in scopes:
            raise _unauthenticated("authenticated user doesn't have required scope")

    def _scopes(self, token: str, now: Micros) -> list[str]:
        claims = tokens.read(token, self._key)
        if now // SECOND >= claims["exp"]:
            raise tokens.BadToken("Token is expired")
        if self.public_url not in claims["aud"]:
            audience = " ".join(claims["aud"])
            raise tokens.BadToken(
                f"invalid audience [{audience}], wanted [map[{self.public_url}:{{}}]]"
            )
        scopes = claims.get("scp", [])
        # One text is one scope, with all the blanks in it.
        readable = scopes if isinstance(scopes, list) else [scopes]
        # A token of no client and with no scope is taken for a person's, who may do anything.
        return readable if readable or claims["client_id"] else [SCOPE]


def _check(request: TokenRequest, client: OAuthClient | None) -> None:
    if not request.grant_type:
        raise invalid_request("Request parameter 'grant_type' is missing")
    known = client is not None and hmac.compare_digest(
        client.secret.encode(), request.secret.encode()
    )
    if client is None or not known:
        raise unknown_client()
    if request.grant_type == "authorization_code":
        raise Denied(
            _BAD_REQUEST,
            "unauthorized_client",
            "The client is not authorized to request a token using this method. The OAuth 2.0"
            " Client is not allowed to use authorization grant 'authorization_code'.",
        )
    if request.grant_type != _GRANT:
        # No refresh token was ever given out here.
        raise invalid_request(
            "Make sure that the various parameters are correct, be aware of case sensitivity and"
            " trim your parameters. Make sure that the client you are using has exactly"
            " whitelisted the redirect_uri you specified."
        )
    for scope in request.scopes:
        if scope not in client.scopes:
            raise Denied(
                _BAD_REQUEST,
                "invalid_scope",
                "The requested scope is invalid, unknown, or malformed. "
                f"The OAuth 2.0 Client is not allowed to request scope '{scope}'.",
            )
    if request.audience and request.audience not in client.audiences:
        raise invalid_request(
            f"Requested audience '{request.audience}' has not been whitelisted"
            " by the OAuth 2.0 Client."
        )


def unknown_client() -> Denied:
    """Return what whoever is not let in is told, whatever the reason."""
    return Denied(
        _UNAUTHORIZED,
        "invalid_client",
        "Client authentication failed (e.g., unknown client, no client authentication included,"
        " or unsupported authentication method).",
    )


def invalid_request(hint: str) -> Denied:
    """Return what a client is told whose request makes no sense, with a *hint* why."""
    return Denied(
        _BAD_REQUEST,
        "invalid_request",
        "The request is missing a required parameter, includes an invalid parameter value,"
        f" includes a parameter more than once, or is otherwise malformed. {hint}",
    )


def _bearer(authorization: str) -> str:
    scheme, blank, token = authorization.partition(" ")
    if not authorization or (blank and scheme.lower() != "bearer"):
        raise tokens.BadToken(_unread("bearer token", "Request unauthenticated with Bearer"))
    if not blank:
        raise tokens.BadToken(_unread("bearer token", "Bad authorization string"))
    if not token:
        raise tokens.BadToken("[JWT_VERIFICATION_FAILED] IDToken token is blank")
    return token


def _unread(kind: str, reason: str) -> str:
    return (
        f"[JWT_VERIFICATION_FAILED] Could not retrieve {kind} from metadata, caused by:"
        f" rpc error: code = Unauthenticated desc = {reason}"
    )


def _unauthenticated(details: str) -> Refusal:
    return Refusal(grpc.StatusCode.UNAUTHENTICATED, details)
