"""
What an identity-aware proxy before Admin wants to see, whatever Admin itself wants.

It stands before the identity provider as often as before Admin, so requests to both carry it.
"""

from exporter.admin.auth.cache import Cache
from exporter.admin.auth.external_command import ExternalCommand
from exporter.admin.auth.proof import Proof
from exporter.admin.auth.reports import AuthObserver, TokenReport
from exporter.config.settings import AuthSettings
from exporter.model.clock import Clock

PROXY_HEADER = "proxy-authorization"
"""Where such a proxy looks for its token."""


class ProxyAuthorization:
    """Keeps the proxy's token; there may be no such proxy."""

    def __init__(self, auth: AuthSettings, *, clock: Clock, observer: AuthObserver) -> None:
        self._proof: Proof | None = None
        self.giver = ""
        if not auth.proxy_command:
            return
        command = ExternalCommand(
            auth.proxy_command, setting="admin.auth.proxy_command", clock=clock
        )
        self.giver = command.giver
        report = TokenReport(
            observer,
            source=lambda: f"{self.giver} for the proxy",
            clock=clock,
            tells_expiry=False,
        )
        self._proof = Proof(
            Cache(command.fetch, clock=clock, listener=report),
            refuser="Admin, or the proxy before it,",
            source=lambda: self.giver,
            report=report,
            clock=clock,
        )

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a request carries for it; raises `CredentialsError`."""
        if self._proof is None:
            return ()
        return ((PROXY_HEADER, await self._proof.bearer()),)

    async def refused(self, bearer: str, details: str) -> None:
        """Get another token than that of *bearer*; raises when a retry makes no sense."""
        if self._proof is not None:
            await self._proof.refused(bearer, details)

    async def close(self) -> None:
        """End a request that is under way."""
        if self._proof is not None:
            await self._proof.close()
