"""No token at all, as an Admin within a cluster often wants it."""

from collections.abc import Sequence

from exporter.admin.auth.errors import SourceRejected


class Anonymous:
    """Carries nothing."""

    async def metadata(self) -> Sequence[tuple[str, str]]:
        """Return nothing."""
        return ()

    async def refused(self, sent: Sequence[tuple[str, str]], details: str) -> None:
        """Say what Admin wants."""
        del sent, details
        raise SourceRejected("this Admin wants a token; set admin.auth.type")
