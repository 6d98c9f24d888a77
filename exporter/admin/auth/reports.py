"""What a person and the metrics hear about tokens: every change, and none of the secrets."""

from collections.abc import Callable
from typing import Protocol

from exporter.admin.auth.discovery import Announced
from exporter.admin.auth.errors import CredentialsError
from exporter.admin.auth.token import Token
from exporter.admin.auth.token_endpoint import address_of
from exporter.model.clock import Clock
from exporter.model.time import SECOND, Micros
from exporter.telemetry.log import get_logger

_log = get_logger(__name__)

TOKEN_OUTCOMES = ("success", "failure", "rejected")
"""
How getting a token may end.

`failure` may pass by itself. `rejected` does not: whoever gives tokens refused us, or Admin refuses
what they give.
"""


class AuthObserver(Protocol):
    """Is told of tokens as they come and go."""

    def token_refreshed(self, *, outcome: str) -> None:
        """Take note that a token was asked for, with one of `TOKEN_OUTCOMES`."""

    def token_expires(self, at: Micros | None) -> None:
        """Take note when the token in use expires; None when there is none, or nobody knows."""


class TokenReport:
    """
    Reports on the tokens of one source.

    Args:
        source: Who gives them, for a person; it may become known late.
        tells_expiry: Whether the expiry of its tokens is the one to tell.
    """

    def __init__(
        self, observer: AuthObserver, *, source: Callable[[], str], clock: Clock, tells_expiry: bool
    ) -> None:
        self._observer = observer
        self._source = source
        self._clock = clock
        self._tells_expiry = tells_expiry

    def renewed(self, value: Token) -> None:
        """Report a new token."""
        life = None
        if value.expires_at is not None:
            life = round((value.expires_at - self._clock.now()) / SECOND)
        _log.info("token refreshed", source=self._source(), expires_in=life)
        self._observer.token_refreshed(outcome="success")
        if self._tells_expiry:
            self._observer.token_expires(value.expires_at)

    def failed(self, error: CredentialsError, *, first: bool) -> None:
        """Report that none came."""
        if first:
            _log.warning(
                "token refresh failed", source=self._source(), code=error.code, error=str(error)
            )
        self._observer.token_refreshed(outcome="rejected" if error.lasting else "failure")

    def rejected(self, error: CredentialsError, *, first: bool) -> None:
        """Report that Admin refuses what the source gives, and will go on to."""
        if first:
            _log.warning("token rejected", source=self._source(), code=error.code, error=str(error))
        self._observer.token_refreshed(outcome="rejected")
        if self._tells_expiry:
            self._observer.token_expires(None)


class DiscoveryReport:
    """
    Reports on what Admin says of the tokens that it wants.

    While no token can be had Admin is asked again and again, and what it repeats is no news.
    """

    def __init__(self) -> None:
        self._told: Announced | None = None

    def renewed(self, value: Announced) -> None:
        """Report what is known now, unless that was known before."""
        if value == self._told:
            return
        self._told = value
        if value.needed:
            endpoint = address_of(value.token_endpoint) if value.token_endpoint else None
            _log.info("admin wants tokens", header=value.header, token_endpoint=endpoint)
        else:
            _log.info("admin wants no tokens", reason="it has no AuthMetadataService")

    def failed(self, error: CredentialsError, *, first: bool) -> None:
        """Report that Admin did not say."""
        self._told = None
        if first:
            _log.warning("admin does not say which tokens it wants", error=str(error))
