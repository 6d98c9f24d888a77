"""The stub to call Admin by, on the connection of the moment."""

from typing import Any

from exporter.admin import columns
from exporter.admin.connection import Connection

_HANGS = 3
"""Calls in a row without any answer, after which the next one begins a connection of its own: one
to a proxy that has lost its way looks sound for ever."""


class Line:
    """AdminService's stub; made anew when the connection is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: Any = None
        self._stub: Any = None
        self._hung = 0

    async def stub(self) -> Any:
        """
        Return the stub for the next attempt.

        Raises:
            ConnectionSettingsError: Files of the configuration cannot be used.
        """
        channel = await self._connection.channel()
        if channel is not self._channel:
            self._channel, self._stub, self._hung = channel, columns.stub(channel), 0
        return self._stub

    def ended(self, stub: Any, *, answered: bool) -> None:
        """Take note of an attempt by *stub* that was *answered*, by whomever, or that hung."""
        # What hung on a connection that was replaced says nothing of the one in its place.
        if stub is not self._stub:
            return
        self._hung = 0 if answered else self._hung + 1
        if self._hung == _HANGS:
            self._connection.renew(self._channel)
            self._channel = self._stub = None
