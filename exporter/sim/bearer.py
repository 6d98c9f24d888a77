"""
Calls carry a token in `authorization`, or where that is taken by a mesh, in a header of Admin's.

Source: flyteadmin `auth/handlers.go`: the header of its own is appended to `authorization`, of
which the first value counts.
"""

from collections.abc import Callable, Sequence
from typing import Any

from exporter.model.time import Micros
from exporter.sim.auth_metadata import SERVICE as ANONYMOUS
from exporter.sim.authority import Authority


class Doorkeeper:
    """Lets nobody in without a token, except to be told where to get one."""

    def __init__(self, authority: Authority, now: Callable[[], Micros]) -> None:
        self._authority = authority
        self._now = now

    async def admit(self, call: Any) -> None:
        """
        Let a call pass that carries a good token.

        Raises:
            Refusal: UNAUTHENTICATED.
        """
        if not call.method.startswith(f"/{ANONYMOUS}/"):
            header = authorization(call.invocation_metadata, self._authority.header)
            self._authority.judge(header, self._now())


def authorization(metadata: Sequence[tuple[str, Any]], header: str) -> str:
    """Return what proves who is calling: the first `authorization`, else the first *header*."""
    for name in ("authorization", header.lower()):
        for key, value in metadata:
            if key == name:
                return str(value)
    return ""
