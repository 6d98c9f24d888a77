"""
What stands between a client and Admin: a network, an ingress, a mesh, each with its bad hours.

A call that ends here was never seen by Admin; so no token is asked for, and none helps.
"""

import asyncio
import random
from typing import Any

import grpc

from exporter.model.clock import Clock
from exporter.sim.incidents import Agenda, Trouble
from exporter.sim.refusal import Refusal

_SLOW_SECONDS = (1.0, 3.0)
_REFUSALS = {
    Trouble.ADMIN_UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, "no healthy upstream"),
    Trouble.THROTTLED: (grpc.StatusCode.RESOURCE_EXHAUSTED, "local_rate_limited"),
    Trouble.PROXY_DENIED: (grpc.StatusCode.PERMISSION_DENIED, "RBAC: access denied"),
}
"""In the words of Envoy, which most meshes are made of."""


class Front:
    """The way to Admin, as the agenda has it."""

    def __init__(self, agenda: Agenda, clock: Clock) -> None:
        self._agenda = agenda
        self._clock = clock
        self._random = random.Random("front")

    async def admit(self, _: Any) -> None:
        """
        Let a call through, late perhaps.

        Raises:
            Refusal: It does not get through.
        """
        now = self._clock.now()
        if self._agenda.is_on(Trouble.ADMIN_HANG, now):
            # Ends with the call: grpc cancels it at the client's deadline.
            await asyncio.get_running_loop().create_future()
        if self._agenda.is_on(Trouble.ADMIN_SLOW, now):
            await self._clock.sleep(self._random.uniform(*_SLOW_SECONDS))
        for trouble, (code, details) in _REFUSALS.items():
            if self._agenda.is_on(trouble, now):
                raise Refusal(code, details)
