"""
What was created of one target since its cursor, less the overlap.

Each complete slice of the list is committed with its cursor, so a backlog that is longer than a
poll's time still gets shorter with every poll; and of a slice that was cut off, nothing happened.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from exporter.admin.errors import AdminError
from exporter.garbage import let_go
from exporter.model.executions import TERMINAL, Execution, ExecutionId
from exporter.model.progress import Progress
from exporter.model.time import Micros, earlier, micros
from exporter.scrape.commits import Commits
from exporter.scrape.frontier import Frontier
from exporter.scrape.inquiry import Inquiry, PollTimeout
from exporter.scrape.listing import Slice, slices
from exporter.scrape.memory import Memory

_MOST_ROWS_AT_ONCE = 10_000
"""
Rows that are digested in one go: some 15 ms, in which nothing else can happen.

More than are listed while the disk is busy with as many, or the list would wait for the disk.
"""

_NEW_SHARE = 0.5
"""Part of a poll's time that may go to what is new, before the live set has its turn."""


@dataclass(slots=True)
class Found:
    """
    What the list of what is new came to.

    Attributes:
        progress: How far the target has come with it.
        rows: The last of its rows, which are not committed yet.
        live: The executions that it showed unfinished.
        problem: Why it was cut off; None when it came to its end.
    """

    progress: Progress
    rows: list[Execution] = field(default_factory=list)
    live: set[ExecutionId] = field(default_factory=set)
    problem: AdminError | PollTimeout | None = None


class News:
    """
    Lists what is new, and knows where it was cut off.

    Args:
        inquiry: Asks Admin.
        commits: Makes true what was answered.
        overlap: How far before the cursor the list begins.
    """

    def __init__(self, inquiry: Inquiry, commits: Commits, *, overlap: timedelta) -> None:
        self._inquiry = inquiry
        self._commits = commits
        self._overlap = overlap
        self._lateness = micros(overlap)
        self._frontier: Frontier | None = None

    def begin_anew(self) -> None:
        """Forget where the list was cut off: the next one begins at the cursor, as any other."""
        self._frontier = None

    async def look(self, memory: Memory, progress: Progress, horizon: Micros) -> Found:
        """
        List what is new, and commit all of it but the last part, whose rows can share a commit.

        While the disk is busy with one part, the next ones are read and gather. A list that is cut
        off, by an error or for lack of time, is gone on with by the next poll.

        Args:
            memory: What is known of the target.
            progress: How far it has come.
            horizon: How far it has come once all is listed.
        """
        new = Found(progress)
        writing: asyncio.Future[None] | None = None
        frontier, self._frontier = self._begin(progress), None
        try:
            try:
                async with aclosing(self.slices(frontier, step="new")) as parts:
                    async for part, following in parts:
                        frontier = following
                        new.rows += part.rows
                        new.live.update([r.id for r in part.rows if r.phase not in TERMINAL])
                        new.progress = frontier.advance(new.progress, part.newest, self._lateness)
                        busy = writing is not None and not writing.done()
                        few = len(new.rows) < _MOST_ROWS_AT_ONCE
                        if frontier.position is None or (busy and few):
                            continue
                        if writing is not None:
                            await writing
                        rows, new.rows = new.rows, []
                        writing = asyncio.ensure_future(
                            self._commits.commit_rows(memory, rows, new.progress)
                        )
                        if self._inquiry.remaining < 1 - _NEW_SHARE:
                            raise self._inquiry.late()
                new.progress = frontier.advance(new.progress, horizon, self._lateness)
            except (AdminError, PollTimeout) as problem:
                # What had gathered is complete up to the frontier.
                self._frontier, new.problem = frontier, problem
                let_go(problem)
            if writing is not None:
                await writing
        finally:
            if writing is not None:
                # Only where this poll is being cancelled; the journal finishes what it began.
                writing.cancel()
        return new

    async def slices(
        self, frontier: Frontier, *, step: str
    ) -> AsyncGenerator[tuple[Slice, Frontier], None]:
        """Yield what is listed from *frontier* on, each slice with the frontier after it."""
        receive = partial(self._inquiry.receive, step=step)
        while frontier.position is not None:
            async with aclosing(slices(receive, self._inquiry.read, frontier.position)) as parts:
                async for part in parts:
                    frontier = frontier.after(part, self._lateness)
                    yield part, frontier

    def _begin(self, progress: Progress) -> Frontier:
        """Return where the list of what is new begins."""
        if self._frontier is not None:
            # From the cursor less the overlap, a burst that fills the overlap would never end.
            return self._frontier.resumed()
        bound = earlier(progress.cursor, self._overlap)
        return Frontier.at(max(bound, progress.retained_from))
