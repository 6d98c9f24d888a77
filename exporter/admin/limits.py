"""
How many calls we allow ourselves: so many begin in a second, and so many are under way at once.

Admin has no limit of its own, and one database behind it that people use too. So politeness is our
part, over all calls together and retries included.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from aiolimiter import AsyncLimiter

from exporter.config.settings import AdminSettings


class Limits:
    """
    The limits of one Admin.

    Args:
        rate: Calls that may begin in a second, in the long run.
        burst: Calls that may begin at once after a quiet time.
        concurrency: Calls that may be under way together.
        waited: Is told each wait for `rate`, in seconds.
        settings: What in the configuration they come from, for whoever reads of it.

    Attributes:
        no_room: What is said of a call that was held back.
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: int,
        concurrency: int,
        waited: Callable[[float], None],
        settings: str = "admin.rate_limit and admin.max_concurrency",
    ) -> None:
        self._bucket = AsyncLimiter(burst, burst / rate)
        self._slots = asyncio.Semaphore(concurrency)
        self._waited = waited
        self.no_room = f"{settings} left no room for it within its time"

    @asynccontextmanager
    async def room(self, *, within: float) -> AsyncIterator[None]:
        """
        Make a call inside the block, as soon as there is room for it.

        Raises:
            TimeoutError: There was none *within* so many seconds.
        """
        # Where nothing has to be waited for, a timeout would not be noticed.
        if within <= 0:
            raise TimeoutError
        async with asyncio.timeout(within) as patience:
            full, began = not self._bucket.has_capacity(), perf_counter()
            try:
                await self._bucket.acquire()
            finally:
                if full:
                    self._waited(perf_counter() - began)
            await self._slots.acquire()
            # The block has a deadline of its own.
            patience.reschedule(None)
        try:
            yield
        finally:
            self._slots.release()


def limits_of(settings: AdminSettings, *, waited: Callable[[float], None]) -> Limits:
    """Return the limits that *settings* describe."""
    return Limits(
        rate=settings.rate_limit,
        burst=settings.burst,
        concurrency=settings.max_concurrency,
        waited=waited,
    )
