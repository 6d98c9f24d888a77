"""An OAuth2 client, known by its id and secret, gets tokens in its own name."""

import ipaddress
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from exporter.admin.auth.cache import Cache
from exporter.admin.auth.discovery import Announced
from exporter.admin.auth.errors import CredentialsError, SourceRejected
from exporter.admin.auth.secret_file import Origin, SecretFile, Unseen
from exporter.admin.auth.token import Secret, Token
from exporter.admin.auth.token_endpoint import Client, TokenEndpoint, address_of
from exporter.config.settings import AuthSettings
from exporter.model.clock import Clock
from exporter.telemetry.log import get_logger

_log = get_logger(__name__)


class ClientSecret:
    """
    Gets tokens by OAuth2 client credentials.

    Args:
        announced: What Admin says of tokens; what is configured wins over it.
        proxy_headers: What a proxy before the identity provider wants to see.
        clock: Says when it is time to look at the file with the secret again.
        environ: Where a variable with the secret is looked up.
    """

    def __init__(
        self,
        client_id: str,
        auth: AuthSettings,
        endpoint: TokenEndpoint,
        *,
        announced: Cache[Announced],
        proxy_headers: Callable[[], Awaitable[Sequence[tuple[str, str]]]],
        clock: Clock,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._client_id = client_id
        self._auth = auth
        self._endpoint = endpoint
        self._announced = announced
        self._proxy_headers = proxy_headers
        self._environ = environ
        self._url = auth.token_url or ""
        self._warned_of = ""
        path = None if auth.client_secret_env else auth.client_secret_file
        self._file: SecretFile | None = None
        if path is not None:
            setting = "admin.auth.client_secret_file"
            self._file = SecretFile(path, setting=setting, clock=clock)

    @property
    def giver(self) -> str:
        """Who gives the tokens, for a person."""
        if not self._url:
            return "the identity provider that Flyte Admin names"
        return f"the identity provider at {address_of(self._url)}"

    @property
    def origin(self) -> Origin:
        """What changes when the secret does; a variable never does."""
        return self._file or Unseen()

    async def fetch(self) -> Token:
        """Ask the identity provider."""
        announced = await self._announced.get()
        self._url = self._auth.token_url or announced.token_endpoint
        _check(self._url)
        client = Client(
            id=self._client_id,
            secret=await self._secret(),
            scopes=self._auth.scopes or announced.scopes,
            audience=self._auth.audience or announced.audience,
        )
        self._warn_of_plain_http()
        try:
            return await self._endpoint.token(
                self._url, client, headers=await self._proxy_headers()
            )
        except CredentialsError:
            # The provider may have moved, and Admin may know where to by now.
            self._announced.forget()
            raise

    async def _secret(self) -> Secret:
        if self._file is not None:
            return await self._file.read()
        name = self._auth.client_secret_env
        if name is None:
            raise AssertionError("the configuration let a client pass without its secret")
        text = self._environ.get(name, "").strip()
        if not text:
            raise SourceRejected(
                f"The environment variable {name} (admin.auth.client_secret_env) is"
                f" {'empty' if name in self._environ else 'not set'}; have it hold the client's"
                " secret."
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SourceRejected(
                f"The environment variable {name} (admin.auth.client_secret_env) does not hold text"
                " in UTF-8; have it hold the client's secret."
            ) from None
        return Secret(text)

    def _warn_of_plain_http(self) -> None:
        # In a cluster Admin often serves its own endpoint without TLS, so it is not refused.
        parts = urlsplit(self._url)
        if parts.scheme == "https" or _is_loopback(parts.hostname or ""):
            return
        if self._warned_of != self._url:
            self._warned_of = self._url
            _log.warning(
                "client secret travels without TLS",
                token_url=address_of(self._url),
                advice="set admin.auth.token_url to an https address",
            )


def _check(url: str) -> None:
    if not url:
        raise SourceRejected(
            "Flyte Admin does not say where tokens come from; set admin.auth.token_url."
        )
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise SourceRejected(
            f"The token endpoint {address_of(url)} is no http or https URL; set"
            " admin.auth.token_url."
        )
    if parts.username is not None or parts.password is not None:
        raise SourceRejected(
            f"The token endpoint {address_of(url)} has a user in its URL; take it out: the client"
            " proves itself by admin.auth.client_id and its secret."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
