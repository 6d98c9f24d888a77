"""
What the other steps of a poll should have seen, looked for once more now and then.

First the live ones, then the window of creation times in which rows may have come late. It may
take several polls; each slice is committed by itself, and the next poll goes on from there.
"""

from dataclasses import dataclass

from exporter.config.settings import ScrapeSettings
from exporter.model.clock import Clock
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.model.time import Micros, earlier
from exporter.pipeline import Batch, Step
from exporter.scrape.commits import Commits
from exporter.scrape.inquiry import Inquiry
from exporter.scrape.listing import BEGINNING, Position
from exporter.scrape.memory import Memory


@dataclass(slots=True)
class _Sweep:
    """A reconcile that has begun."""

    cursor: Micros
    """The target's cursor when it began."""
    step: Step = Step.MISSED
    position: Position = BEGINNING


class Reconcile:
    """
    Reconciles one target: at the first poll, and again whenever it is time.

    Args:
        target: Which one.
        inquiry: Asks Admin about it.
        commits: Makes true what was answered.
        clock: Says when it is time.
        settings: How often, and how far back.
        due_at: When the one after the first is due, by the monotonic clock.
    """

    def __init__(
        self,
        target: Target,
        inquiry: Inquiry,
        commits: Commits,
        *,
        clock: Clock,
        settings: ScrapeSettings,
        due_at: float,
    ) -> None:
        self._target = target
        self._inquiry = inquiry
        self._commits = commits
        self._clock = clock
        self._settings = settings
        self._due_at = due_at
        self._sweep: _Sweep | None = None
        self._swept = False

    @property
    def is_due(self) -> bool:
        """Whether it is time for one, or one has begun that is not at its end."""
        return not self._swept or self._clock.monotonic() >= self._due_at

    @property
    def has_begun(self) -> bool:
        """Whether one has begun that is not at its end."""
        return self._sweep is not None

    def spare_the_first(self) -> None:
        """Leave out the first one: all that there is was just listed."""
        self._swept = True

    async def go_on(self, memory: Memory) -> None:
        """
        List what is left of the one that has begun, or of another; to the end, if there is time.

        Raises:
            AdminError: Admin did not answer.
            LedgerError: What it answered could not be made durable.
            PollTimeout: There was no time left.
        """
        settings = self._settings
        progress = memory.progress
        if progress is None:
            return
        sweep = self._sweep = self._sweep or _Sweep(progress.cursor)
        settled = earlier(progress.cursor, settings.overlap)
        while True:
            live_only = sweep.step is Step.MISSED
            part = await self._inquiry.slice(sweep.position, step="reconcile", live_only=live_only)
            done = part.following is None and not live_only
            if done:
                reach = max(settings.overlap, settings.reconcile_window)
                progress = Progress(
                    cursor=progress.cursor,
                    reconciled=sweep.cursor,
                    retained_from=max(progress.retained_from, earlier(sweep.cursor, reach)),
                )
            batch = Batch(
                target=self._target, rows=part.rows, step=sweep.step, settled_before=settled
            )
            await self._commits.commit(memory, batch, progress, lasting=done)
            if part.following is not None:
                sweep.position = part.following
            elif live_only:
                window = earlier(progress.reconciled, settings.reconcile_window)
                sweep.step = Step.LATE
                sweep.position = Position(max(window, progress.retained_from))
            else:
                break
        self._sweep = None
        self._swept = True
        interval = settings.reconcile_interval.total_seconds()
        now = self._clock.monotonic()
        while self._due_at <= now:
            self._due_at += interval
