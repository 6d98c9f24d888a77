"""How large the live set of one target is, and which parts of that are to be shown again."""

import asyncio
from collections.abc import Iterable
from itertools import islice

from exporter.metrics.book import Book
from exporter.model.clock import Clock
from exporter.model.targets import Target
from exporter.scrape.memory import Memory
from exporter.track.executions import levels as levels_of

_AT_ONCE = 1_000
"""Launch plans whose levels are shown in one go: some 20 ms."""


class LiveLevels:
    """Shows the levels of a live set, by the names that launch plans have on /metrics."""

    def __init__(self, target: Target, book: Book, clock: Clock) -> None:
        self._target = target
        self._book = book
        self._clock = clock
        self._touched: set[str] = set()
        self._begun = False

    def touch(self, *labels: Iterable[str]) -> None:
        """Have *labels* shown again: their part of the live set changed."""
        self._touched.update(*labels)

    def begin_anew(self) -> None:
        """Have all shown again."""
        self._begun = False

    async def show(self, memory: Memory) -> None:
        """Show the levels of the launch plans whose part of the live set changed."""
        if memory.progress is None:
            return
        book = self._book
        changed = bool(self._touched) or not self._begun
        if not self._begun:
            # Who runs may have another name than when something was last counted of them.
            book.roster.open(self._target, memory.labels(), self._clock.now())
            self._touched.update(book.places.launch_plans(self._target))
            self._touched.update(memory.labels())
            self._begun = True
        if changed and book.levels.of_targets:
            book.levels.show_target(self._target, levels_of(memory.live_rows()))
        if not book.levels.of_plans:
            self._touched.clear()
        # The inventory touches while we pause, who becomes active: that changes no live set. Each
        # goes once it is shown, and what fails is shown later.
        while self._touched:
            for label in [*islice(self._touched, _AT_ONCE)]:
                book.levels.show(self._target, label, levels_of(memory.live_of(label)))
                self._touched.discard(label)
            if self._touched:
                await asyncio.sleep(0)
