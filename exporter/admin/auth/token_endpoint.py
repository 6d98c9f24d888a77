"""
The identity provider turns a client's id and secret into a token, over HTTP.

RFC 6749 lets a client prove itself in the header or in the form, and providers differ in which
they take. The header is tried first. When the client is refused, the form is tried once, and what
worked is remembered.

Of what the provider answers only its error is repeated, cut, and without the secrets that we sent.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from exporter.admin.auth.claims import expiry_of
from exporter.admin.auth.errors import CredentialsError, SourceRejected, TokenUnavailable
from exporter.admin.auth.token import (
    DEFAULT_LIFE,
    Secret,
    Token,
    fit_to_show,
    secrets_in,
    token_text,
)
from exporter.model.clock import Clock
from exporter.model.time import SECOND, Micros

_LONGEST_LIFE = 366 * 24 * 3600.0
_LONGEST_BODY = 64 * 1024
_LONGEST_WAIT = 300.0
"""Seconds that we stay away at most when we are told to."""

_WORTH_WAITING = {408, 425, 429}
_ADVICE = {
    "invalid_client": "check admin.auth.client_id, and the secret in client_secret_file or"
    " client_secret_env",
    "invalid_scope": "set admin.auth.scopes to scopes that this client may ask for",
    "invalid_target": "set admin.auth.audience to one that the provider knows",
    "unauthorized_client": "allow this client the grant client_credentials there",
    "unsupported_grant_type": "allow the grant client_credentials there, or set"
    " admin.auth.token_url to a provider that has it",
    "access_denied": "allow this client there; some providers also want admin.auth.audience",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks for a token, and for what."""

    id: str
    secret: Secret
    scopes: tuple[str, ...]
    audience: str


class TokenEndpoint:
    """
    Asks an identity provider.

    Args:
        proxy: URL of an HTTP proxy; None leaves it to the usual environment variables.
        ca_file: Certificates that may vouch for the provider, beside the system's.
        time_limit: Seconds for one request.
    """

    def __init__(
        self, *, proxy: str | None, ca_file: Path | None, time_limit: float, clock: Clock
    ) -> None:
        self._proxy = proxy
        self._ca_file = ca_file
        self._time_limit = time_limit
        self._clock = clock
        self._in_form = False

    async def token(
        self, url: str, client: Client, *, headers: Sequence[tuple[str, str]] = ()
    ) -> Token:
        """
        Return a token for *client* from *url*, sending *headers* along.

        Raises:
            TokenUnavailable: no answer, or one that says that the provider is in trouble.
            SourceRejected: it refused, or *url* is not where tokens come from.
        """
        verified = await self._trusted()
        proxy = self._proxy or _proxy_of_environment(url)
        hidden = (
            client.secret,
            _basic(client),
            *secrets_in(headers),
            *_password_of(proxy),
        )
        limit = aiohttp.ClientTimeout(total=self._time_limit)
        where = address_of(url)
        try:
            async with aiohttp.ClientSession(
                timeout=limit, headers=headers, connector=aiohttp.TCPConnector(ssl=verified)
            ) as session:
                answer = await self._asked(session, url, client, proxy)
                if answer.refuses_client:
                    self._in_form = not self._in_form
                    other = await self._asked(session, url, client, proxy)
                    if other.refuses_client:
                        self._in_form = not self._in_form
                    else:
                        answer = other
        except TimeoutError:
            raise TokenUnavailable(
                f"The identity provider at {where} did not answer within {self._time_limit:g} s;"
                " check admin.auth.token_url and that it is running.",
                code="DEADLINE_EXCEEDED",
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unasked(where, error, hidden) from None
        if answer.status == 200:  # noqa: PLR2004  # OK
            return self._read(answer, where, hidden)
        raise _refusal(answer, client, where, hidden)

    async def _asked(
        self, session: aiohttp.ClientSession, url: str, client: Client, proxy: str | None
    ) -> "_Answer":
        form = {"grant_type": "client_credentials"}
        if client.scopes:
            form["scope"] = " ".join(client.scopes)
        if client.audience:
            form["audience"] = client.audience
        headers = {"Accept": "application/json"}
        if self._in_form:
            form |= {"client_id": client.id, "client_secret": client.secret.reveal()}
        else:
            headers["Authorization"] = f"Basic {_basic(client).reveal()}"
        async with session.post(
            url,
            data=form,
            headers=headers,
            proxy=proxy,
            # The secret is for the configured address, and not for wherever it points.
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(8192):
                body += chunk
                if len(body) > _LONGEST_BODY:
                    break
            return _Answer(response.status, response.headers, bytes(body))

    def _read(self, answer: "_Answer", where: str, hidden: Sequence[Secret]) -> Token:
        given = answer.fields.get("access_token")
        giver = f"The identity provider at {where}"
        if not isinstance(given, str):
            said = answer.said(hidden)
            raise TokenUnavailable(
                f"{giver} answered without an access_token{': ' if said else ''}{said};"
                " check admin.auth.token_url."
            )
        kind = answer.fields.get("token_type", "bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise SourceRejected(
                f'{giver} gave a token of type "{fit_to_show(str(kind), *hidden)}"; Flyte Admin'
                " takes bearer tokens only."
            )
        secret = token_text(given, giver=giver)
        now = self._clock.now()
        life = _seconds(answer.fields.get("expires_in"))
        expires_at = Micros(now + round((life or DEFAULT_LIFE) * SECOND))
        if life is None and (claimed := expiry_of(secret.reveal())) is not None and claimed > now:
            expires_at = claimed
        return Token(secret=secret, expires_at=expires_at)

    async def _trusted(self) -> ssl.SSLContext | bool:
        """Return what decides whether the provider's certificate is good."""
        if self._ca_file is None:
            return True

        def load() -> ssl.SSLContext:
            context = ssl.create_default_context()
            context.load_verify_locations(self._ca_file)
            return context

        try:
            return await asyncio.to_thread(load)
        except OSError as error:  # ssl.SSLError is one
            raise SourceRejected(
                f"The file {self._ca_file} (admin.ca_file) cannot be used:"
                f" {error.strerror or error}; put certificates in PEM form there."
            ) from None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fields(self) -> Mapping[str, Any]:
        """What the body says, when it is what it should be."""
        try:
            fields = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) else {}

    @property
    def error(self) -> str:
        """The error in the words of RFC 6749; empty when it is none of those."""
        error = self.fields.get("error")
        return error if isinstance(error, str) else ""

    @property
    def refuses_client(self) -> bool:
        """Whether the client was not recognised, so that it may prove itself in another way."""
        return self.status == 401 or (self.status == 400 and self.error == "invalid_client")  # noqa: PLR2004

    def said(self, hidden: Sequence[Secret]) -> str:
        """Return what the provider gave as the reason, fit to be shown."""
        words = [self.fields.get(name) for name in ("error", "error_description")]
        text = ": ".join(word for word in words if isinstance(word, str) and word)
        # What is no JSON is a page of some proxy; its first words mostly tell which.
        shown = fit_to_show(text or self.body.decode("utf-8", errors="replace"), *hidden)
        # Part of one sentence of ours, whose end says what to do.
        return shown.replace(". ", "; ").rstrip(".")


def address_of(url: str) -> str:
    """Return *url* fit to be shown: without what may be secret in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "an address that is no URL"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return fit_to_show(f"{parts.scheme}://{host}{port}{parts.path}")


def _basic(client: Client) -> Secret:
    """Return the credentials of HTTP Basic; RFC 6749, 2.3.1 wants both parts form-encoded first."""
    pair = f"{quote_plus(client.id)}:{quote_plus(client.secret.reveal())}"
    return Secret(base64.b64encode(pair.encode()).decode())


def _proxy_of_environment(url: str) -> str | None:
    # aiohttp could do this too, but would then send what ~/.netrc holds as well.
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _password_of(url: str | None) -> Sequence[Secret]:
    try:
        password = urlsplit(url).password if url else None
    except ValueError:
        # It will be refused as what it is, and shown to nobody.
        return (Secret(url),) if url else ()
    return (Secret(password), Secret(unquote(password))) if password else ()


def _seconds(value: object) -> float | None:
    """Read `expires_in`, which some providers write as a text; None when it makes no sense."""
    match value:
        case bool():
            return None
        case int() | float() as number:
            pass
        case str() if value.isdecimal() and value.isascii():
            number = int(value[:12])
        case _:
            return None
    return min(float(number), _LONGEST_LIFE) if number > 0 else None


def _unasked(where: str, error: Exception, hidden: Sequence[Secret]) -> CredentialsError:
    """Return what a request becomes that got no answer."""
    begin = f"The identity provider at {where} cannot be"
    text = fit_to_show(str(error) or type(error).__name__, *hidden)
    match error:
        case aiohttp.ClientConnectorCertificateError():
            advice = "put the authority that vouches for it into admin.ca_file"
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            advice = "check admin.auth.http_proxy_url, or the proxy in the environment"
        case aiohttp.InvalidURL() | ValueError() if not isinstance(error, OSError):
            return SourceRejected(
                f"{begin} asked: {text}; check admin.auth.token_url, and admin.auth.http_proxy_url"
                " or the proxy in the environment."
            )
        case _:
            advice = "check admin.auth.token_url and that it is running"
    return TokenUnavailable(f"{begin} reached: {text}; {advice}.")


def _refusal(
    answer: _Answer, client: Client, where: str, hidden: Sequence[Secret]
) -> CredentialsError:
    said = answer.said(hidden)
    begin = f"The identity provider at {where}"
    because = f": {said}" if said else ""
    if answer.status >= 500 or answer.status in _WORTH_WAITING:  # noqa: PLR2004
        wait = _seconds(answer.headers.get("Retry-After"))
        return TokenUnavailable(
            f"{begin} answered with HTTP {answer.status}{because}; where that lasts, look into its"
            " log.",
            wait=None if wait is None else min(wait, _LONGEST_WAIT),
        )
    if 300 <= answer.status < 400:  # noqa: PLR2004
        target = address_of(answer.headers.get("Location", ""))
        return SourceRejected(
            f"{begin} points elsewhere, to {target} (HTTP {answer.status}); a secret is not sent"
            " on. Set admin.auth.token_url to where tokens really come from."
        )
    advice = _ADVICE.get(
        "invalid_client" if answer.refuses_client else answer.error,
        "check admin.auth.token_url, and what the provider says of this client",
    )
    return SourceRejected(
        f'{begin} refused client "{fit_to_show(client.id, *hidden)}" with HTTP {answer.status}'
        f"{because.rstrip('.')}; {advice}."
    )
