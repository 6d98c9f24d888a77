"""Everything that asks for the time asks a `Clock`, so that tests can own it."""

from typing import Protocol

from exporter.model.time import Micros


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> Micros:
        """Return the wall clock."""

    def monotonic(self) -> float:
        """Return seconds that never step back, for measuring lengths of time."""

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
