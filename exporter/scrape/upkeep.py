"""What time alone brings about: holds that end, and series that nobody has used for weeks."""

import asyncio

from exporter.ledger.errors import LedgerError
from exporter.ledger.journal import Journal
from exporter.ledger.records import Commit
from exporter.metrics.book import Book
from exporter.metrics.places import Keep
from exporter.metrics.series import held_in_ledger
from exporter.model.clock import Clock
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_RELEASED_AT_ONCE = 500
"""Series that are rendered in one go: some 10 ms."""

_TICK = 1.0  # seconds
_TICKS_BETWEEN_EXPIRIES = 3600


class Upkeep:
    """Keeps the book while nothing is polled."""

    def __init__(self, *, book: Book, journal: Journal, clock: Clock, keep: Keep) -> None:
        self._book = book
        self._journal = journal
        self._clock = clock
        self._keep = keep

    async def run(self) -> None:
        """Work until cancelled."""
        ticks = 0
        while True:
            await self.release()
            ticks += 1
            # Not at the start: before targets are discovered, none seems to be in use.
            if ticks % _TICKS_BETWEEN_EXPIRIES == 0:
                await self.expire()
            await self._clock.sleep(_TICK)

    async def release(self) -> None:
        """Show the series whose hold is over."""
        due = self._book.showing.due(self._clock.now())
        if not due:
            return
        ids = held_in_ledger(due)
        try:
            if ids:
                await self._journal.commit(Commit(released=ids), then=lambda: None)
            while due:
                self._book.showing.release(due[:_RELEASED_AT_ONCE])
                due = due[_RELEASED_AT_ONCE:]
                await asyncio.sleep(0)
        except LedgerError as error:
            log.warning("series stay held back", series=len(due), problem=str(error))
        finally:
            # Also where we are told to stop: somebody may go on with the book.
            self._book.showing.retry(due)

    async def expire(self) -> None:
        """Forget the series of launch plans that are long gone."""
        posting = self._book.expire(self._clock.now(), self._keep)
        if posting.is_empty:
            return
        commit = Commit(**posting.entries())
        try:
            await self._journal.commit(
                commit, then=lambda: self._book.apply(posting, self._clock.now())
            )
        except LedgerError as error:
            log.warning("expired series stay in the ledger", problem=str(error))
