"""
One poll of one target.

    new        what was created since the cursor, less the overlap
    live       what became of the executions that were not over
    reconcile  now and then: the live ones and the window again, for what the two have missed

What Admin answers is handed to `pipeline.digest`, committed, and only then taken over and shown.
Each complete slice of the list is committed with its cursor, so a backlog that is longer than a
poll's time still gets shorter with every poll; and of a slice that was cut off, nothing happened.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from opentelemetry.trace import Tracer

from exporter import pipeline
from exporter.admin import query
from exporter.admin.client import AdminClient, Page
from exporter.admin.errors import AdminError, MessageTooLarge, NotFound
from exporter.admin.query import Query
from exporter.config.settings import ScrapeSettings
from exporter.ledger.journal import Journal
from exporter.ledger.records import Commit
from exporter.metrics.book import Book, Posting
from exporter.metrics.process import Process
from exporter.model.clock import Clock
from exporter.model.executions import Execution, ExecutionId
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.model.time import Micros, micros, rfc3339
from exporter.pipeline import Batch, Digest, Step
from exporter.scrape.fleet import Fleet, newest
from exporter.scrape.listing import BEGINNING, Position, Slice, read_slice, slices
from exporter.scrape.memory import Memory
from exporter.telemetry.log import get_logger
from exporter.track.executions import levels as levels_of

STEPS = ("new", "live", "reconcile")
"""Where rows come from, as `flyte_exporter_poll_rows_total` tells them apart."""

_MOST_ROWS_AT_ONCE = 5_000
"""Rows that are digested in one go: some 20 ms, in which nothing else can happen."""

_NEW_SHARE = 0.5
"""Part of a poll's time that may go to what is new, before the live set has its turn."""

_LEAST_TIMEOUT = timedelta(milliseconds=50).total_seconds()
"""A call that has less time than this is not worth beginning."""

log = get_logger(__name__)


class PollTimeout(Exception):
    """The poll used up its time; what was committed until then stays, the next poll goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all polls share."""

    admin: AdminClient
    journal: Journal
    book: Book
    fleet: Fleet
    clock: Clock
    process: Process
    tracer: Tracer
    settings: ScrapeSettings
    call_timeout: timedelta


@dataclass(slots=True)
class _Sweep:
    """A reconcile that has begun; it may take several polls."""

    cursor: Micros
    """The target's cursor when it began."""
    step: Step = Step.MISSED
    position: Position = BEGINNING


class Poller:
    """
    Polls one target; one poll at a time.

    Attributes:
        target: Which one.
        active_at: When it last did something, by the monotonic clock.
    """

    def __init__(self, target: Target, services: Services, *, reconcile_at: float) -> None:
        """Prepare; *reconcile_at* is when the reconcile after the first is due (monotonic)."""
        self.target = target
        self.active_at = services.clock.monotonic()
        self._services = services
        self._memory: Memory | None = None
        self._levels_shown = False
        self._page_size = services.settings.page_size
        self._deadline = float("inf")
        self._resume: tuple[Position, float] | None = None
        self._asked: dict[ExecutionId, int] = {}
        self._sweep: _Sweep | None = None
        self._swept = False
        self._reconcile_at = reconcile_at
        self._absent: set[ExecutionId] = set()
        self._touched: set[str] = set()

    @property
    def live(self) -> int:
        """How many executions are live."""
        return self._memory.live_count() if self._memory is not None else 0

    def has_live(self, launch_plan: str) -> bool:
        """Whether *launch_plan* has live executions; taken for granted before the first poll."""
        return self._memory is None or any(True for _ in self._memory.live_of(launch_plan))

    async def poll(self) -> None:
        """
        Do one poll.

        Raises:
            AdminError: Admin did not answer.
            LedgerError: What it answered could not be made durable.
            PollTimeout: There was no time left.
        """
        if self._memory is None:
            self._memory = await self._services.journal.read(
                lambda ledger: Memory(ledger.target(self.target))
            )
            self._warn_of_the_future(self._memory.progress)
        try:
            if self._memory.progress is None:
                await self._prime(self._memory)
            else:
                self._start_clock()
                await self._follow(self._memory, self._memory.progress)
        except Exception as error:
            if not isinstance(error, AdminError | PollTimeout):
                # What is in the ledger is the truth: read it before anything is built on it again.
                self._memory = None
                self._levels_shown = False
                self._resume = None
            raise
        if not self._levels_shown:
            self._touched.update(self._services.book.plans(self.target))
            self._touched.update(self._memory.launch_plans())
            self._levels_shown = True
        self._show_levels(self._memory)

    def _warn_of_the_future(self, progress: Progress | None) -> None:
        """Say so if nothing launched now can be listed, because some clock was once ahead."""
        if progress is not None and progress.retained_from > self._services.clock.now():
            log.warning(
                "a clock was ahead: executions launched before then are only seen while they run",
                target=str(self.target),
                then=rfc3339(progress.retained_from),
            )

    def retire(self) -> None:
        """Take down the target's levels; its counters stay."""
        self._services.book.drop_levels(self.target)

    # The three steps, and the first time

    async def _prime(self, memory: Memory) -> None:
        """Take note, in one commit, of all that later lists will show; nothing of it is counted."""
        settings = self._services.settings
        now = self._services.clock.now()
        # A whole window back: our clock may be ahead of Admin's, and the cursor must not be.
        start = Micros(now - micros(settings.reconcile_window))
        reach = max(settings.overlap, settings.reconcile_window)
        floor = self._bound(start, reach)
        cursor = max(start, min(self._services.fleet.newest(start), now))
        # As long as it takes: cut off, it would have to begin again, and it may never be in time.
        self._deadline = float("inf")
        rows: list[Execution] = []
        for position, live_only in ((Position(floor), False), (BEGINNING, True)):
            read = partial(self._read, step="reconcile", live_only=live_only)
            async with aclosing(slices(read, position)) as parts:
                async for part in parts:
                    rows += part.rows
        cursor = newest(rows, now, cursor) or cursor
        progress = Progress(cursor, cursor, self._bound(cursor, reach))
        await self._commit(
            memory, Batch(target=self.target, rows=rows, step=Step.PRIME), progress, lasting=True
        )
        log.info("target primed", target=str(self.target), rows=len(rows), live=self.live)
        self._swept = True

    async def _follow(self, memory: Memory, progress: Progress) -> None:
        now = self._services.clock.now()
        horizon = min(self._services.fleet.newest(progress.cursor), now)
        reconciling = not self._swept or self._services.clock.monotonic() >= self._reconcile_at
        fresh: set[ExecutionId] = set()
        rows, progress, cut_off = await self._list_new(memory, progress, fresh)
        if not cut_off:
            progress = progress._replace(cursor=max(progress.cursor, horizon))
        stale = [key for key in memory.live() if key not in fresh]
        beginning = reconciling and self._sweep is None
        try:
            absent = await self._refresh(
                memory, stale, into=rows, progress=progress, thorough=beginning
            )
        except (AdminError, PollTimeout):
            # What was answered until then is no less true.
            await self._commit(memory, Batch(target=self.target, rows=rows), progress)
            raise
        batch = Batch(target=self.target, rows=rows, absent=absent if beginning else ())
        await self._commit(memory, batch, progress)
        if reconciling:
            await self._reconcile(memory)
        if cut_off:
            raise PollTimeout(self._late())

    async def _list_new(
        self, memory: Memory, progress: Progress, fresh: set[ExecutionId]
    ) -> tuple[list[Execution], Progress, bool]:
        """
        List what is new, and commit all of it but the last part, whose rows can share a commit.

        While the disk is busy with one part, the next ones are read and gather.

        Returns:
            The rows that are not committed yet, how far the target has come with them, and whether
            the list was cut off for lack of time. All that was seen is added to *fresh*.
        """
        rows: list[Execution] = []
        cut_off = False
        writing: asyncio.Future[None] | None = None
        try:
            async with aclosing(slices(self._read_new, self._begin(progress))) as parts:
                async for part in parts:
                    rows += part.rows
                    fresh.update(row.id for row in part.rows)
                    cursor = newest(part.rows, self._services.clock.now(), progress.cursor)
                    progress = progress._replace(cursor=cursor or progress.cursor)
                    busy = writing is not None and not writing.done()
                    if part.following is None or (busy and len(rows) < _MOST_ROWS_AT_ONCE):
                        continue
                    if writing is not None:
                        await writing
                    batch, rows = Batch(target=self.target, rows=rows), []
                    writing = asyncio.ensure_future(self._commit(memory, batch, progress))
                    if self._remaining() < self._budget() * (1 - _NEW_SHARE):
                        cut_off = True
                        self._resume = (part.following, self._services.clock.monotonic())
                        break
            if writing is not None:
                await writing
        except (AdminError, PollTimeout):
            # What had gathered is complete up to where the reading ended and will go on.
            if writing is not None:
                await writing
            await self._commit(memory, Batch(target=self.target, rows=rows), progress)
            raise
        finally:
            if writing is not None:
                # Only where this poll is being cancelled; the journal finishes what it began.
                writing.cancel()
        return rows, progress, cut_off

    def _begin(self, progress: Progress) -> Position:
        """Return where the list of what is new begins."""
        overlap = self._services.settings.overlap
        resume, self._resume = self._resume, None
        if resume is not None:
            # Not after a longer pause: rows that came late behind that position would be missed.
            position, at = resume
            if self._services.clock.monotonic() - at < overlap.total_seconds():
                return position
        return Position(max(self._bound(progress.cursor, overlap), progress.retained_from))

    async def _read_new(self, position: Position) -> Slice:
        """Read one slice of what is new; cut off, the next poll goes on from *position*."""
        try:
            return await self._read(position, "new")
        except (AdminError, PollTimeout):
            # From the cursor less the overlap, a burst that fills the overlap would never end.
            self._resume = (position, self._services.clock.monotonic())
            raise

    async def _refresh(
        self,
        memory: Memory,
        keys: list[ExecutionId],
        *,
        into: list[Execution],
        progress: Progress,
        thorough: bool,
    ) -> list[ExecutionId]:
        """
        Ask what became of *keys*, and add the rows *into* those of the poll.

        A large live set is committed as it comes in, with *progress*, so that no step of it keeps
        the event loop for long.

        Returns:
            The executions that Admin answered NOT_FOUND for. They are asked for one by one only
            once, and again when *thorough*.
        """
        # Those first that were asked about the longest ago: the last polls may have had no time.
        self._asked = {key: self._asked[key] for key in keys if key in self._asked}
        turn = max(self._asked.values(), default=0) + 1
        keys.sort(key=lambda key: self._asked.get(key, 0))
        missing = {key for key in keys if not query.is_speakable(key.name)}
        listed = [key for key in keys if key not in missing]
        missing.update(listed)
        start, size = 0, self._page_size
        while start < len(listed):
            chunk = listed[start : start + size]
            try:
                page = await self._call(
                    query.named(key.name for key in chunk), "", "live", limit=len(chunk)
                )
            except MessageTooLarge:
                # Of this chunk alone: these are not the rows that the pages of lists are made of.
                size = self._half(len(chunk))
                continue
            into += page.executions
            missing.difference_update(row.id for row in page.executions)
            self._asked.update(dict.fromkeys(chunk, turn))
            start += len(chunk)
            if len(into) > _MOST_ROWS_AT_ONCE:
                batch = Batch(target=self.target, rows=[*into])
                into.clear()
                await self._commit(memory, batch, progress)
        self._asked.clear()
        return await self._look_for(missing, into=into, thorough=thorough)

    async def _look_for(
        self, missing: set[ExecutionId], *, into: list[Execution], thorough: bool
    ) -> list[ExecutionId]:
        """Ask one by one for executions that no list showed; see `_refresh`."""
        self._absent.intersection_update(missing)
        absent: list[ExecutionId] = []
        for key in missing:
            if (key in self._absent and not thorough) or self._remaining() < _LEAST_TIMEOUT:
                continue
            row = await self._get(key)
            if row is not None:
                into.append(row)
            if row is None or row.id != key:
                absent.append(key)
        self._absent.update(absent)
        return absent

    async def _reconcile(self, memory: Memory) -> None:
        """List once more what the other steps should have seen, from where the last poll ended."""
        settings = self._services.settings
        progress = memory.progress
        if progress is None:
            return
        sweep = self._sweep = self._sweep or _Sweep(progress.cursor)
        settled = self._bound(progress.cursor, settings.overlap)
        while True:
            live_only = sweep.step is Step.MISSED
            part = await self._read(sweep.position, "reconcile", live_only=live_only)
            done = part.following is None and not live_only
            if done:
                reach = max(settings.overlap, settings.reconcile_window)
                progress = Progress(
                    cursor=progress.cursor,
                    reconciled=sweep.cursor,
                    retained_from=max(progress.retained_from, self._bound(sweep.cursor, reach)),
                )
            batch = Batch(
                target=self.target, rows=part.rows, step=sweep.step, settled_before=settled
            )
            await self._commit(memory, batch, progress, lasting=done)
            if part.following is not None:
                sweep.position = part.following
            elif live_only:
                window = self._bound(progress.reconciled, settings.reconcile_window)
                sweep.step = Step.LATE
                sweep.position = Position(max(window, progress.retained_from))
            else:
                break
        self._sweep = None
        # The rows that made pages too large may be behind us.
        self._page_size = min(self._page_size * 2, settings.page_size)
        interval = settings.reconcile_interval.total_seconds()
        now = self._services.clock.monotonic()
        while self._reconcile_at <= now:
            self._reconcile_at += interval
        self._swept = True

    # Making it true

    async def _commit(
        self, memory: Memory, batch: Batch, progress: Progress, *, lasting: bool = False
    ) -> None:
        """Digest *batch*, make it durable, take it over and show it."""
        services = self._services
        now = services.clock.now()
        digest = pipeline.digest(memory, batch, now)
        posting = services.book.post(self.target, digest.increments, now)
        self.active_at = services.clock.monotonic()
        if posting.is_empty and not digest.rows and not lasting:
            # Only the cursor moved: not worth a write; after a crash the next list is a bit longer.
            memory.remember({}, progress)
            return
        commit = Commit(
            target=self.target,
            rows=digest.rows,
            progress=progress,
            deltas=posting.deltas,
            activity=posting.activity,
            removed=posting.removed,
            inactive=posting.inactive,
        )
        await services.journal.commit(
            commit, then=partial(self._committed, memory, digest, posting, progress)
        )

    def _committed(
        self, memory: Memory, digest: Digest, posting: Posting, progress: Progress
    ) -> None:
        services = self._services
        services.book.apply(posting, services.clock.now())
        touched = memory.remember(digest.rows, progress)
        for correction, executions in digest.corrections.items():
            services.process.corrected(reason=correction.value, executions=executions)
            log.warning(
                "reconcile corrected",
                target=str(self.target),
                reason=correction.value,
                executions=executions,
            )
        if digest.stepped_back:
            log.warning(
                "executions stepped back from their end, they stay counted",
                target=str(self.target),
                executions=len(digest.stepped_back),
                example=digest.stepped_back[0].execution.id.name,
            )
        self._touched.update(touched, digest.increments.launch_plans)

    def _show_levels(self, memory: Memory) -> None:
        """Show the levels of the launch plans whose part of the live set changed."""
        for launch_plan in self._touched:
            levels = levels_of(memory.live_of(launch_plan))
            self._services.book.set_levels(self.target, launch_plan, levels)
        self._touched.clear()

    # Asking

    async def _read(self, position: Position, step: str, *, live_only: bool = False) -> Slice:
        part = await read_slice(
            partial(self._ask, step=step),
            position,
            subject=str(self.target),
            live_only=live_only,
        )
        self._services.fleet.note(part.rows, self._services.clock.now())
        return part

    async def _ask(self, asked: Query, token: str, *, step: str) -> Page:
        """Ask for one page, a smaller one where a page is more than we can receive."""
        while True:
            try:
                return await self._call(asked, token, step, limit=self._page_size)
            except MessageTooLarge:
                self._page_size = self._half(self._page_size)
                log.info(
                    "page too large, halved", target=str(self.target), page_size=self._page_size
                )

    async def _call(self, asked: Query, token: str, step: str, *, limit: int) -> Page:
        try:
            page = await self._services.admin.list_executions(
                self.target, asked, limit=limit, timeout=self._timeout(), token=token
            )
        except AdminError as error:
            self._insist_on_time(error)
            raise
        self._services.process.rows_read(step=step, rows=len(page.executions))
        self.active_at = self._services.clock.monotonic()
        return page

    async def _get(self, key: ExecutionId) -> Execution | None:
        try:
            row = await self._services.admin.get_execution(
                self.target, key.name, timeout=self._timeout()
            )
        except NotFound:
            return None
        except AdminError as error:
            self._insist_on_time(error)
            raise
        self._services.process.rows_read(step="live", rows=1)
        self.active_at = self._services.clock.monotonic()
        return row

    def _half(self, size: int) -> int:
        """Return half of *size* rows; a single row that is too large is an error."""
        if size <= 1:
            raise AdminError(
                method="ListExecutions",
                code="RESOURCE_EXHAUSTED",
                details="a single execution is larger than we can receive",
                subject=str(self.target),
            )
        return max(1, size // 2)

    # Time

    def _budget(self) -> float:
        return self._services.settings.poll_timeout.total_seconds()

    def _start_clock(self) -> None:
        self._deadline = self._services.clock.monotonic() + self._budget()

    def _remaining(self) -> float:
        return self._deadline - self._services.clock.monotonic()

    def _timeout(self) -> float:
        remaining = self._remaining()
        if remaining < _LEAST_TIMEOUT:
            raise PollTimeout(self._late())
        return min(remaining, self._services.call_timeout.total_seconds())

    def _insist_on_time(self, error: AdminError) -> None:
        """Say so where a call ended because the poll's time did."""
        if error.code == "DEADLINE_EXCEEDED" and self._remaining() < _LEAST_TIMEOUT:
            raise PollTimeout(self._late()) from error

    def _late(self) -> str:
        budget = self._services.settings.poll_timeout
        return (
            f"Poll of {self.target} took longer than scrape.poll_timeout ({budget}); the next one"
            " goes on where it ended."
        )

    @staticmethod
    def _bound(instant: Micros, back: timedelta) -> Micros:
        return Micros(max(0, instant - micros(back)))
