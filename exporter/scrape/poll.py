"""
One poll of one target.

    new        what was created since the cursor, less the overlap
    live       what became of the executions that were not over
    reconcile  now and then: the live ones and the window again, for what the two have missed
    past       how launch plans fared of which nothing was known: as answered between the polls

What Admin answers is handed to `pipeline.digest`, committed, and only then taken over and shown.
Each complete slice of the list is committed with its cursor, so a backlog that is longer than a
poll's time still gets shorter with every poll; and of a slice that was cut off, nothing happened.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from operator import attrgetter

from opentelemetry.trace import Tracer, get_current_span

from exporter import pipeline
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError
from exporter.config.settings import SchedulesSettings, ScrapeSettings
from exporter.ledger.journal import Journal
from exporter.ledger.records import Commit
from exporter.metrics.book import Book
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.posting import Posting
from exporter.metrics.process import Process
from exporter.model.clock import Clock
from exporter.model.executions import TERMINAL, Execution, ExecutionId
from exporter.model.progress import Progress
from exporter.model.schedules import Timetable
from exporter.model.targets import Target
from exporter.model.time import Micros, micros, rfc3339
from exporter.pipeline import Batch, Digest, Step
from exporter.scrape.backlog import Backlog
from exporter.scrape.fleet import Fleet
from exporter.scrape.frontier import Frontier
from exporter.scrape.inquiry import Inquiry, PollTimeout
from exporter.scrape.listing import BEGINNING, Position, Slice, slices
from exporter.scrape.live import Live
from exporter.scrape.lookback import Lookback
from exporter.scrape.memory import Memory
from exporter.scrape.norms import NormsOf
from exporter.scrape.past import Past
from exporter.scrape.standings import Standings
from exporter.scrape.timetables import Timetables
from exporter.telemetry.context import sampled_trace_id
from exporter.telemetry.log import get_logger
from exporter.track.executions import levels as levels_of

STEPS = ("new", "live", "reconcile", "past")
"""Where rows come from, as `flyte_exporter_poll_rows_total` tells them apart."""

_MOST_ROWS_AT_ONCE = 10_000
"""
Rows that are digested in one go: some 15 ms, in which nothing else can happen.

More than are listed while the disk is busy with as many, or the list would wait for the disk.
"""

_MOST_PLANS_AT_ONCE = 1_000
"""Launch plans whose rows are digested, or whose levels are shown, in one go: some 20 ms."""

_NEW_SHARE = 0.5
"""Part of a poll's time that may go to what is new, before the live set has its turn."""

_HOPELESS = frozenset({"DEADLINE_EXCEEDED", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE"})
"""What a list fails with when the next question would fail likewise, after as long a wait."""

_ID = attrgetter("id")
_LAUNCH_PLAN = attrgetter("launch_plan")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all polls share."""

    admin: AdminClient
    journal: Journal
    book: Book
    gauges: PlanGauges
    fleet: Fleet
    clock: Clock
    process: Process
    tracer: Tracer
    settings: ScrapeSettings
    norms: NormsOf = field(default_factory=NormsOf)
    grace: timedelta = SchedulesSettings().grace
    backlog: Backlog | None = None
    """Who waits for their tasks to be counted; None where nobody does."""


@dataclass(slots=True)
class _Sweep:
    """A reconcile that has begun; it may take several polls."""

    cursor: Micros
    """The target's cursor when it began."""
    step: Step = Step.MISSED
    position: Position = BEGINNING


@dataclass(slots=True)
class _New:
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


class Poller:
    """
    Polls one target; one poll at a time.

    Attributes:
        target: Which one.
        past: What is asked between its polls.
    """

    def __init__(self, target: Target, services: Services, *, reconcile_at: float) -> None:
        """Prepare; *reconcile_at* is when the reconcile after the first is due (monotonic)."""
        self.target = target
        self._active_at = services.clock.monotonic()
        self._services = services
        self._label = services.book.labelling.label
        self._inquiry = Inquiry(
            target,
            admin=services.admin,
            fleet=services.fleet,
            clock=services.clock,
            process=services.process,
            settings=services.settings,
        )
        self._overlap = micros(services.settings.overlap)
        self._memory: Memory | None = None
        self._levels_shown = False
        self._frontier: Frontier | None = None
        self._live = Live(self._inquiry)
        self._sweep: _Sweep | None = None
        self._swept = False
        self._reconcile_at = reconcile_at
        self._touched: set[str] = set()
        self.past = Past(
            target,
            admin=services.admin,
            process=services.process,
            settings=services.settings,
        )
        self._standings = Standings(
            target, gauges=services.gauges, norms=services.norms, clock=services.clock
        )
        self._timetables = Timetables(
            target, label=self._label, gauges=services.gauges, grace=services.grace
        )

    @property
    def active_at(self) -> float:
        """When it last did something, by the monotonic clock."""
        return max(self._active_at, self._inquiry.heard_at)

    @active_at.setter
    def active_at(self, at: float) -> None:
        self._active_at = at

    @property
    def live(self) -> int:
        """How many executions are live."""
        return self._memory.live_count() if self._memory is not None else 0

    def has_live(self, launch_plan: str) -> bool:
        """Whether a launch plan of that label is live; taken for granted before the first poll."""
        return self._memory is None or self._memory.has_live(launch_plan)

    def show_plan(self, launch_plan: str) -> None:
        """Have the next poll show again how *launch_plan* stands: what is known of it changed."""
        label = self._label(launch_plan)
        self._standings.touch([label])
        # One that was just activated has places for its levels, and no run that would show them.
        if (self.target, label) in self._services.book.places:
            self._touched.add(label)

    def set_timetables(self, timetables: Mapping[str, Timetable], listed_at: Micros) -> None:
        """Have the next polls watch the active launch plans with a schedule, as of *listed_at*."""
        self._timetables.replace(timetables, listed_at)

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
                lambda ledger: Memory(ledger.target(self.target), self._label)
            )
            self._warn_of_the_future(self._memory.progress)
            # Also what a poller before us showed, which was stopped before it put that right.
            self._standings.begin(self._memory)
            await self._standings.show(self._memory)
        began = self._services.clock.monotonic()
        try:
            if self._memory.progress is None:
                await self._prime(self._memory)
            else:
                await self._follow(self._memory, self._memory.progress)
        except (AdminError, PollTimeout):
            # What Admin did answer is committed, and no less true.
            if self._inquiry.heard_at >= began:
                await self._show_levels(self._memory)
            await self._standings.show(self._memory)
            raise
        except Exception:
            # What is in the ledger is the truth: read it before anything is built on it again.
            self._memory = None
            self._levels_shown = False
            self._frontier = None
            raise
        await self._show_levels(self._memory)
        await self._standings.show(self._memory)

    def _warn_of_the_future(self, progress: Progress | None) -> None:
        """Say so if nothing launched now can be listed, because some clock was once ahead."""
        if progress is not None and progress.retained_from > self._services.clock.now():
            log.warning(
                "a clock was ahead: executions launched before then are only seen while they run",
                **self.target._asdict(),
                then=rfc3339(progress.retained_from),
            )

    def retire(self) -> None:
        """Take down what says something about the present; counters stay."""
        self._services.book.levels.drop_target(self.target)
        self._services.gauges.drop_target(self.target)

    # The three steps, and the first time

    async def _prime(self, memory: Memory) -> None:
        """Take note, in one commit, of all that later lists will show; nothing of it is counted."""
        settings = self._services.settings
        now = self._services.clock.now()
        # A whole window back: our clock may be ahead of Admin's, and the cursor must not be.
        start = Micros(now - micros(settings.reconcile_window))
        reach = max(settings.overlap, settings.reconcile_window)
        horizon = min(self._services.fleet.newest(start), now)
        progress = Progress(start, start, self._bound(start, reach))
        # As long as it takes: cut off, it would have to begin again, and it may never be in time.
        self._inquiry.begin(hurry=False)
        past = Lookback(before=progress.retained_from)
        frontier = Frontier.at(min(progress.retained_from, self._bound(now, settings.lookback)))
        rows: list[Execution] = []
        async with aclosing(self._slices(frontier, step="reconcile")) as parts:
            async for part, following in parts:
                frontier = following
                rows += past.take(part.rows, now)
                progress = self._advanced(progress, part.newest, frontier)
        progress = self._advanced(progress, horizon, frontier)
        receive = partial(self._inquiry.receive, step="reconcile", live_only=True)
        async with aclosing(slices(receive, self._inquiry.read, BEGINNING)) as live:
            async for part in live:
                rows += part.rows
        cursor = progress.cursor
        progress = Progress(cursor, cursor, self._bound(cursor, reach))
        batch = Batch(
            target=self.target,
            rows=rows,
            step=Step.PRIME,
            plans=past.plans,
            schedules=past.schedules,
        )
        await self._commit(memory, batch, progress, lasting=True)
        log.info("target primed", **self.target._asdict(), rows=len(rows), live=self.live)
        self._swept = True

    async def _follow(self, memory: Memory, progress: Progress) -> None:
        self._inquiry.begin()
        now = self._services.clock.now()
        horizon = min(self._services.fleet.newest(progress.cursor), now)
        reconciling = not self._swept or self._services.clock.monotonic() >= self._reconcile_at
        beginning = reconciling and self._sweep is None
        new = await self._list_new(memory, progress, horizon)
        rows, problem = new.rows, new.problem
        if isinstance(problem, AdminError) and problem.code in _HOPELESS:
            await self._commit_rows(memory, rows, new.progress)
            raise problem
        # Of what it showed over, all but the last rows is committed, and not live any more.
        seen = new.live.union(map(_ID, rows))
        stale = [key for key in memory.live() if key not in seen]
        try:
            absent = await self._live.refresh(
                stale,
                into=rows,
                keep=lambda some: self._commit_rows(memory, some, new.progress),
                thorough=beginning,
            )
        except (AdminError, PollTimeout) as error:
            # What was answered until then is no less true.
            await self._commit_rows(memory, rows, new.progress)
            if problem is None:
                raise
            raise problem from error
        await self._commit_rows(memory, rows, new.progress, absent=absent if beginning else ())
        if reconciling:
            await self._reconcile(memory)
        if problem is None:
            await self._timetables.judge(
                memory, now, keep=partial(self._keep, memory), is_late=lambda: self._inquiry.is_over
            )
        await self.past.settle(memory, partial(self._keep, memory))
        problem = problem or self._live.problem
        if problem is not None:
            raise problem

    async def _list_new(self, memory: Memory, progress: Progress, horizon: Micros) -> _New:
        """
        List what is new, and commit all of it but the last part, whose rows can share a commit.

        While the disk is busy with one part, the next ones are read and gather. A list that is cut
        off, by an error or for lack of time, is gone on with by the next poll.
        """
        new = _New(progress)
        writing: asyncio.Future[None] | None = None
        frontier, self._frontier = self._begin(progress), None
        try:
            try:
                async with aclosing(self._slices(frontier, step="new")) as parts:
                    async for part, following in parts:
                        frontier = following
                        new.rows += part.rows
                        new.live.update([r.id for r in part.rows if r.phase not in TERMINAL])
                        new.progress = self._advanced(new.progress, part.newest, frontier)
                        busy = writing is not None and not writing.done()
                        few = len(new.rows) < _MOST_ROWS_AT_ONCE
                        if frontier.position is None or (busy and few):
                            continue
                        if writing is not None:
                            await writing
                        rows, new.rows = new.rows, []
                        writing = asyncio.ensure_future(
                            self._commit_rows(memory, rows, new.progress)
                        )
                        if self._inquiry.remaining < 1 - _NEW_SHARE:
                            raise self._inquiry.late()
                new.progress = self._advanced(new.progress, horizon, frontier)
            except (AdminError, PollTimeout) as problem:
                # What had gathered is complete up to the frontier.
                self._frontier, new.problem = frontier, problem
            if writing is not None:
                await writing
        finally:
            if writing is not None:
                # Only where this poll is being cancelled; the journal finishes what it began.
                writing.cancel()
        return new

    def _begin(self, progress: Progress) -> Frontier:
        """Return where the list of what is new begins."""
        if self._frontier is not None:
            # From the cursor less the overlap, a burst that fills the overlap would never end.
            return self._frontier.resumed()
        bound = self._bound(progress.cursor, self._services.settings.overlap)
        return Frontier.at(max(bound, progress.retained_from))

    async def _slices(
        self, frontier: Frontier, *, step: str
    ) -> AsyncGenerator[tuple[Slice, Frontier], None]:
        """Yield what is listed from *frontier* on, each slice with the frontier after it."""
        receive = partial(self._inquiry.receive, step=step)
        while frontier.position is not None:
            async with aclosing(slices(receive, self._inquiry.read, frontier.position)) as parts:
                async for part in parts:
                    frontier = frontier.after(part, self._overlap)
                    yield part, frontier

    def _advanced(self, progress: Progress, upto: Micros | None, frontier: Frontier) -> Progress:
        """
        Return *progress* once all that was created *upto* then is listed.

        No further than that the next list, which begins an overlap before the cursor, begins where
        nothing is awaited any more: also in another process, which knows no frontier.
        """
        if upto is None:
            return progress
        cursor = min(upto, Micros(frontier.settled + self._overlap))
        return progress._replace(cursor=max(progress.cursor, cursor))

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
            part = await self._inquiry.slice(sweep.position, step="reconcile", live_only=live_only)
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
        interval = settings.reconcile_interval.total_seconds()
        now = self._services.clock.monotonic()
        while self._reconcile_at <= now:
            self._reconcile_at += interval
        self._swept = True

    # Making it true

    async def _keep(self, memory: Memory, batch: Batch) -> Digest:
        """Commit *batch*, which does not bring the target any further."""
        return await self._commit(memory, batch, memory.progress)

    async def _commit_rows(
        self,
        memory: Memory,
        rows: Sequence[Execution],
        progress: Progress,
        *,
        absent: Collection[ExecutionId] = (),
    ) -> None:
        """Commit *rows* that a poll came upon: those of many launch plans in parts."""
        *firsts, last = _parts(rows)
        for part in firsts:
            await self._keep(memory, Batch(target=self.target, rows=part))
        batch = Batch(target=self.target, rows=last, absent=absent)
        await self._commit(memory, batch, progress)

    async def _commit(
        self, memory: Memory, batch: Batch, progress: Progress | None, *, lasting: bool = False
    ) -> Digest:
        """Digest *batch*, make it durable, take it over and show it."""
        services = self._services
        now = services.clock.now()
        digest = pipeline.digest(
            memory,
            batch,
            now,
            services.book.labelling,
            plans=memory.plans,
            schedules=memory.schedules,
        )
        posting = services.book.post(
            self.target, digest.increments, now, trace_id=sampled_trace_id(get_current_span())
        )
        self._active_at = services.clock.monotonic()
        states = digest.plans or digest.schedules
        if posting.is_empty and not digest.rows and not states and not lasting:
            # Only the cursor moved: not worth a write; after a crash the next list is a bit longer.
            memory.remember({}, progress)
            return digest
        backlog = services.backlog
        due = () if backlog is None else backlog.wanted(self.target, digest.finished)
        commit = Commit(
            target=self.target,
            rows=digest.rows,
            progress=progress,
            plans=digest.plans,
            schedules=digest.schedules,
            forgotten=self._standings.outdated(memory, digest, now) if lasting else (),
            deltas=posting.deltas,
            activity=posting.activity,
            removed=posting.removed,
            inactive=posting.inactive,
            tasks_due=due,
            tasks_done=backlog.over if backlog is not None and due else (),
        )
        await services.journal.commit(
            commit, then=partial(self._committed, memory, digest, posting, commit)
        )
        return digest

    def _committed(self, memory: Memory, digest: Digest, posting: Posting, commit: Commit) -> None:
        services = self._services
        services.book.apply(posting, services.clock.now())
        touched = memory.remember(digest.rows, commit.progress)
        memory.remember_plans(commit.plans, commit.forgotten)
        memory.remember_schedules(commit.schedules, commit.forgotten)
        self._standings.touch(map(self._label, (*commit.plans, *commit.forgotten)))
        if services.backlog is not None and commit.tasks_due:
            services.backlog.told(commit.tasks_done)
            services.backlog.add(commit.tasks_due)
        self._timetables.touch(commit.schedules)
        for correction, executions in digest.corrections.items():
            services.process.corrected(reason=correction.value, executions=executions)
            log.warning(
                "reconcile corrected",
                **self.target._asdict(),
                reason=correction.value,
                executions=executions,
            )
        if digest.stepped_back:
            log.warning(
                "executions stepped back from their end, they stay counted",
                **self.target._asdict(),
                executions=len(digest.stepped_back),
                example=digest.stepped_back[0].execution.id.name,
            )
        self._touched.update(touched, digest.increments.launch_plans)
        # A schedule alone gives birth to series, too.
        mine = (row.launch_plan for row in posting.activity if row.target == self.target)
        self._touched.update(plan for plan in mine if plan not in {"", OVERFLOW})

    async def _show_levels(self, memory: Memory) -> None:
        """Show the levels of the launch plans whose part of the live set changed."""
        if memory.progress is None:
            return
        book = self._services.book
        changed = bool(self._touched) or not self._levels_shown
        if not self._levels_shown:
            self._touched.update(book.places.launch_plans(self.target))
            self._touched.update(memory.labels())
            self._levels_shown = True
        if book.levels.of_plans:
            for number, label in enumerate([*self._touched], start=1):
                book.levels.show(self.target, label, levels_of(memory.live_of(label)))
                if number % _MOST_PLANS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        if changed and book.levels.of_targets:
            book.levels.show_target(self.target, levels_of(memory.live_rows()))
        self._touched.clear()

    @staticmethod
    def _bound(instant: Micros, back: timedelta) -> Micros:
        return Micros(max(0, instant - micros(back)))


def _parts(rows: Sequence[Execution]) -> list[Sequence[Execution]]:
    """Return *rows* in parts with no more launch plans than can be digested in one go."""
    if len(rows) <= _MOST_PLANS_AT_ONCE:
        return [rows]
    plans = dict.fromkeys(map(_LAUNCH_PLAN, rows))
    if len(plans) <= _MOST_PLANS_AT_ONCE:
        return [rows]
    parts: list[list[Execution]] = [[] for _ in range(0, len(plans), _MOST_PLANS_AT_ONCE)]
    part_of = {plan: parts[place // _MOST_PLANS_AT_ONCE] for place, plan in enumerate(plans)}
    # An execution that comes twice stays in one part: which of its phases holds is decided there.
    for row in rows:
        part_of[row.launch_plan].append(row)
    return [*parts]
