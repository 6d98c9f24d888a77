"""
What every call to Admin carries, and what is done when it is refused.

Two proofs go side by side: the token that Admin wants, in the header that Admin names, and the one
that an identity-aware proxy before it wants. Either, both or none may be configured.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from exporter.admin.auth.cache import Cache
from exporter.admin.auth.claims import scopes_of
from exporter.admin.auth.client_secret import ClientSecret
from exporter.admin.auth.discovery import Announced, Connection, Discovery
from exporter.admin.auth.errors import TokenRejected
from exporter.admin.auth.external_command import ExternalCommand
from exporter.admin.auth.proof import Proof
from exporter.admin.auth.proxy import PROXY_HEADER, ProxyAuthorization
from exporter.admin.auth.reports import AuthObserver, DiscoveryReport, TokenReport
from exporter.admin.auth.secret_file import Origin
from exporter.admin.auth.token import Token, secrets_in, without
from exporter.admin.auth.token_endpoint import TokenEndpoint
from exporter.admin.auth.token_file import TokenFile
from exporter.admin.auth.verdict import is_admins, verdict
from exporter.admin.limits import Limits
from exporter.admin.spans import Spans
from exporter.config.settings import AdminSettings, AuthSettings
from exporter.model.clock import Clock
from exporter.model.time import Micros

_DISCOVERY_WAIT = 5.0
"""Seconds without asking Admin again what it wants: no call can be made before it has said so."""


class TokenSource(Protocol):
    """Gives tokens."""

    @property
    def giver(self) -> str:
        """Who gives them, for a person."""

    @property
    def origin(self) -> Origin:
        """What the tokens are made from."""

    async def fetch(self) -> Token:
        """Give one; raises `CredentialsError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admins:
    """Everything about the token that Admin itself wants."""

    discovery: Discovery
    announced: Cache[Announced]
    proof: Proof
    source: TokenSource


class Credentials:
    """
    Proves to Admin, and to a proxy before it, who we are.

    An async context manager: leaving it ends requests that are under way.
    """

    def __init__(self, admins: _Admins | None, proxy: ProxyAuthorization) -> None:
        self._admins = admins
        self._proxy = proxy

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._admins is not None:
            await self._admins.proof.close()
            await self._admins.announced.close()
        await self._proxy.close()

    @property
    def description(self) -> str:
        """Where the tokens come from, for a person."""
        if self._admins is None:
            what = "no token"
        elif (announced := self._admins.announced.current) is not None and not announced.needed:
            what = "no token: this Admin does not ask for one"
        else:
            what = f"a token from {self._admins.source.giver}"
        also = self._proxy.giver
        return f"{what}; for the proxy before Admin, a token from {also}" if also else what

    @property
    def expires_at(self) -> Micros | None:
        """When the token in use for Admin expires; None when there is none, or nobody knows."""
        token = self._token
        return None if token is None else token.expires_at

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token in use for Admin says that it may do; nothing when it does not say."""
        token = self._token
        return () if token is None else scopes_of(token.secret.reveal())

    async def metadata(self) -> Sequence[tuple[str, str]]:
        """
        Return what the next call carries; nothing when no token is needed.

        Raises:
            CredentialsError: no token can be had now; whether that lasts is in the error.
        """
        carried = await self._proxy.metadata()
        if self._admins is None:
            return carried
        announced = await self._admins.announced.get()
        if not announced.needed:
            return carried
        return (*carried, (announced.header, await self._admins.proof.bearer()))

    async def refused(self, sent: Sequence[tuple[str, str]], details: str) -> None:
        """
        Get other tokens after Admin answered UNAUTHENTICATED to a call.

        However many calls were refused with the same token, it is got anew once.

        Args:
            sent: What `metadata` gave for that call.
            details: The words of the answer.

        Raises:
            CredentialsError: a retry makes no sense; it says why, and what to do.
        """
        carried = dict(sent)
        # Whoever refused may have repeated what was sent.
        details = without(details, *secrets_in(sent))
        # A proxy answers with the same code, but never in Admin's words.
        by_proxy = PROXY_HEADER in carried and not is_admins(details)
        admins = self._admins
        announced = None if admins is None else await admins.announced.get()
        bearer = None if announced is None else carried.get(announced.header)
        if by_proxy:
            try:
                await self._proxy.refused(carried[PROXY_HEADER], details)
            except TokenRejected:
                # A gateway may have meant the other token, so that one is tried too.
                if bearer is None:
                    raise
        if admins is not None and bearer is not None:
            await self._renewed(admins, bearer, details)
        elif by_proxy:
            return
        elif admins is None or announced is None:
            raise TokenRejected(
                "This Admin wants a token, and none is configured; set admin.auth.type.",
                lasting=False,
            )
        elif not announced.needed:
            # It said that it wants none, or something before it answered in its place.
            admins.discovery.proves_needed()
            admins.announced.forget()

    @staticmethod
    async def _renewed(admins: _Admins, bearer: str, details: str) -> None:
        try:
            await admins.proof.refused(bearer, details)
        except TokenRejected as error:
            if not error.lasting:
                # Admin may have come to want it in another header.
                admins.announced.forget()
            raise

    @property
    def _token(self) -> Token | None:
        return None if self._admins is None else self._admins.proof.token


def credentials_from(
    admin: AdminSettings,
    connection: Connection,
    *,
    limits: Limits,
    spans: Spans,
    clock: Clock,
    observer: AuthObserver,
    environ: Mapping[str, str] = os.environ,
) -> Credentials:
    """
    Return the credentials that the settings describe; nothing is asked before the first call.

    Args:
        admin: How Admin is reached, and how we authenticate.
        connection: How Admin is asked which tokens it wants.
        limits: Of all calls to Admin, that one included.
        spans: Of those calls.
        clock: Says when tokens expire and pauses are over.
        observer: Is told of every token.
        environ: Where the variable with a client's secret is looked up.
    """
    auth = admin.auth
    proxy = ProxyAuthorization(auth, clock=clock, observer=observer)
    if auth.type == "none":
        return Credentials(None, proxy)
    by_client = auth.type == "client_secret"
    discovery = Discovery(
        connection,
        limits=limits,
        spans=spans,
        header=auth.header,
        with_endpoint=by_client and not auth.token_url,
        is_complete=bool(auth.header and (not by_client or (auth.token_url and auth.scopes))),
        proxy_metadata=proxy.metadata,
        time_limit=admin.timeout.total_seconds(),
    )
    announced = Cache(
        discovery.fetch, clock=clock, listener=DiscoveryReport(), longest_wait=_DISCOVERY_WAIT
    )
    source = _source(admin, announced, proxy, clock=clock, environ=environ)
    report = TokenReport(observer, source=lambda: source.giver, clock=clock, tells_expiry=True)
    proof = Proof(
        Cache(source.fetch, clock=clock, listener=report, origin=source.origin),
        refuser="Admin",
        source=lambda: source.giver,
        report=report,
        clock=clock,
        judge=verdict,
    )
    return Credentials(
        _Admins(discovery=discovery, announced=announced, proof=proof, source=source), proxy
    )


def _source(
    admin: AdminSettings,
    announced: Cache[Announced],
    proxy: ProxyAuthorization,
    *,
    clock: Clock,
    environ: Mapping[str, str],
) -> TokenSource:
    match admin.auth:
        case AuthSettings(type="client_secret", client_id=str() as client_id) if client_id:
            endpoint = TokenEndpoint(
                proxy=admin.auth.http_proxy_url,
                ca_file=admin.ca_file,
                time_limit=admin.timeout.total_seconds(),
                clock=clock,
            )
            return ClientSecret(
                client_id,
                admin.auth,
                endpoint,
                announced=announced,
                proxy_headers=proxy.metadata,
                clock=clock,
                environ=environ,
            )
        case AuthSettings(type="external_command", command=command) if command:
            return ExternalCommand(command, setting="admin.auth.command", clock=clock)
        case AuthSettings(type="token_file", token_file=Path() as path):
            return TokenFile(path, clock=clock)
        case AuthSettings(type=kind):
            raise AssertionError(f"the configuration let {kind} pass without what it needs")
