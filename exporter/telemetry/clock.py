"""The machine's own clock."""

import asyncio
import time

from exporter.model.time import Micros


class SystemClock:
    """Real time, as `exporter.model.clock.Clock`."""

    def now(self) -> Micros:
        """Return the wall clock."""
        return Micros(time.time_ns() // 1000)

    def monotonic(self) -> float:
        """Return seconds that never step back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* on the event loop."""
        await asyncio.sleep(seconds)
