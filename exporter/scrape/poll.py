"""
One poll of one target.

    new        what was created since the cursor, less the overlap (`scrape.news`)
    live       what became of the executions that were not over (`scrape.live`)
    reconcile  now and then: the live ones and the window again, for what the two have missed
    past       how launch plans fared of which nothing was known: as answered between the polls

What Admin answers is digested, committed, and only then taken over and shown (`scrape.commits`).
"""

from collections.abc import Collection, Mapping
from contextlib import aclosing
from functools import partial
from operator import attrgetter

from exporter.admin.errors import AdminError
from exporter.model.executions import Execution
from exporter.model.progress import Progress
from exporter.model.schedules import Timetable
from exporter.model.targets import Target
from exporter.model.time import Micros, earlier, micros, rfc3339
from exporter.pipeline import Batch, Step
from exporter.scrape.commits import Commits
from exporter.scrape.frontier import Frontier
from exporter.scrape.inquiry import Inquiry, PollTimeout
from exporter.scrape.listing import BEGINNING, slices
from exporter.scrape.live import Live
from exporter.scrape.live_levels import LiveLevels
from exporter.scrape.lookback import Lookback
from exporter.scrape.memory import Memory
from exporter.scrape.news import News
from exporter.scrape.past import Past
from exporter.scrape.reconcile import Reconcile
from exporter.scrape.services import Services
from exporter.scrape.standings import Standings
from exporter.scrape.timetables import Timetables
from exporter.telemetry.log import get_logger

STEPS = ("new", "live", "reconcile", "past")
"""Where rows come from, as `flyte_exporter_poll_rows_total` tells them apart."""

_HOPELESS = frozenset({"DEADLINE_EXCEEDED", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE"})
"""What a list fails with when the next question would fail likewise, after as long a wait."""

_ID = attrgetter("id")

log = get_logger(__name__)


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
        self._memory: Memory | None = None
        self._levels = LiveLevels(target, services.book, services.clock)
        self.past = Past(
            target,
            admin=services.admin,
            process=services.process,
            settings=services.settings,
        )
        self._standings = Standings(
            target,
            gauges=services.gauges,
            norms=services.norms,
            clock=services.clock,
            want_success=self.past.want_success,
        )
        self._timetables = Timetables(
            target, label=self._label, gauges=services.gauges, settings=services.schedules
        )
        self._commits = Commits(
            target,
            services,
            levels=self._levels,
            standings=self._standings,
            timetables=self._timetables,
        )
        self._news = News(self._inquiry, self._commits, overlap=services.settings.overlap)
        self._live = Live(self._inquiry)
        self._reconcile = Reconcile(
            target,
            self._inquiry,
            self._commits,
            clock=services.clock,
            settings=services.settings,
            due_at=reconcile_at,
        )

    @property
    def active_at(self) -> float:
        """When it last did something, by the monotonic clock."""
        return max(self._active_at, self._commits.active_at, self._inquiry.heard_at)

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

    def plan_labels(self) -> Collection[str]:
        """Return the labels of the launch plans that have run, as far as is known."""
        return () if self._memory is None else self._memory.plan_labels()

    def show_plan(self, launch_plan: str) -> None:
        """Have the next poll show again how *launch_plan* stands: what is known of it changed."""
        label = self._label(launch_plan)
        self._standings.touch([label])
        # One that was just activated has places for its levels, and no run that would show them.
        if (self.target, label) in self._services.book.places:
            self._levels.touch([label])

    def remember_activations(
        self, activated: Collection[str], deactivated: Collection[str]
    ) -> None:
        """Take over what was committed of which launch plans became active, or are no longer."""
        # Whoever has no memory yet is going to read it from the ledger, which has this.
        if self._memory is not None:
            now = self._services.clock.now()
            self._memory.remember_activations(activated, deactivated, now)

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
                await self._levels.show(self._memory)
            await self._standings.show(self._memory)
            raise
        except Exception:
            # What is in the ledger is the truth: read it before anything is built on it again.
            self._memory = None
            self._levels.begin_anew()
            self._news.begin_anew()
            raise
        await self._levels.show(self._memory)
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

    # A poll, and the first one

    async def _prime(self, memory: Memory) -> None:
        """Take note, in one commit, of all that later lists will show; nothing of it is counted."""
        settings = self._services.settings
        now = self._services.clock.now()
        # A whole window back: our clock may be ahead of Admin's, and the cursor must not be.
        start = Micros(now - micros(settings.reconcile_window))
        reach = max(settings.overlap, settings.reconcile_window)
        overlap = micros(settings.overlap)
        horizon = min(self._services.fleet.newest(start), now)
        progress = Progress(start, start, earlier(start, reach))
        # As long as it takes: cut off, it would have to begin again, and it may never be in time.
        self._inquiry.begin(hurry=False)
        past = Lookback(before=progress.retained_from)
        frontier = Frontier.at(min(progress.retained_from, earlier(now, settings.lookback)))
        rows: list[Execution] = []
        async with aclosing(self._news.slices(frontier, step="reconcile")) as parts:
            async for part, following in parts:
                frontier = following
                rows += past.take(part.rows, now)
                progress = frontier.advance(progress, part.newest, overlap)
        progress = frontier.advance(progress, horizon, overlap)
        receive = partial(self._inquiry.receive, step="reconcile", live_only=True)
        async with aclosing(slices(receive, self._inquiry.read, BEGINNING)) as live:
            async for part in live:
                rows += part.rows
        cursor = progress.cursor
        progress = Progress(cursor, cursor, earlier(cursor, reach))
        batch = Batch(
            target=self.target,
            rows=rows,
            step=Step.PRIME,
            plans=past.plans,
            schedules=past.schedules,
        )
        await self._commits.commit(memory, batch, progress, lasting=True)
        log.info("target primed", **self.target._asdict(), rows=len(rows), live=self.live)
        self._reconcile.spare_the_first()

    async def _follow(self, memory: Memory, progress: Progress) -> None:
        self._inquiry.begin()
        now = self._services.clock.now()
        horizon = min(self._services.fleet.newest(progress.cursor), now)
        reconciling = self._reconcile.is_due
        beginning = reconciling and not self._reconcile.has_begun
        new = await self._news.look(memory, progress, horizon)
        rows, problem = new.rows, new.problem
        if isinstance(problem, AdminError) and problem.code in _HOPELESS:
            await self._commits.commit_rows(memory, rows, new.progress)
            raise problem
        # Of what it showed over, all but the last rows is committed, and not live any more.
        seen = new.live.union(map(_ID, rows))
        stale = [key for key in memory.live() if key not in seen]
        try:
            absent = await self._live.refresh(
                stale,
                into=rows,
                keep=lambda some: self._commits.commit_rows(memory, some, new.progress),
                thorough=beginning,
            )
        except (AdminError, PollTimeout) as error:
            # What was answered until then is no less true.
            await self._commits.commit_rows(memory, rows, new.progress)
            if problem is None:
                raise
            raise problem from error
        await self._commits.commit_rows(
            memory, rows, new.progress, absent=absent if beginning else ()
        )
        if reconciling:
            await self._reconcile.go_on(memory)
        if problem is None:
            await self._timetables.judge(
                memory,
                now,
                keep=partial(self._commits.keep, memory),
                is_late=lambda: self._inquiry.is_over,
            )
        await self.past.settle(memory, partial(self._commits.keep, memory))
        problem = problem or self._live.problem
        if problem is not None:
            raise problem
