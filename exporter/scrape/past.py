"""
How launch plans fared before anybody looked: asked once for each of which that is unknown.

Unknown it is where neither a success nor a failure is known; an abort says nothing of it. Of one
that is not active, but was given a freshness limit, it is for as long as no success is known: only
that says how fresh it is. Then there are two questions, each asked once.

The questions are many after a cold start, and each has Admin's database search without an index.
So they are asked beside the polls, in a task of each target, and no poll waits for them or fails
with them. What was answered, the next poll takes to the ledger.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError
from exporter.config.settings import ScrapeSettings
from exporter.metrics.process import Process
from exporter.model.clock import Clock
from exporter.model.executions import Execution, Phase
from exporter.model.targets import Target
from exporter.pipeline import Batch, Digest, Step
from exporter.scrape.memory import Memory
from exporter.telemetry.log import get_logger

_SHARE = 0.05
"""Part of admin.rate_limit that the questions of all targets may use; the polls have the rest."""

_AT_ONCE = 2
"""Questions that are under way together: one that hangs does not hold up all the others."""

_PATIENCE = timedelta(seconds=15)
"""For one question."""

_NEWEST = 10
"""Executions of one launch plan: enough to see a row of failures, and to expect a duration."""

_TRIES = 3
"""Times that a question about one launch plan is asked before it stays unanswered."""

_KEPT_AT_ONCE = 200
"""Answers that are digested in one go: some 5 ms."""

log = get_logger(__name__)


class Pace:
    """Has the questions of all targets together be few: one after the other, with pauses."""

    def __init__(self, clock: Clock, *, rate_limit: float) -> None:
        self._clock = clock
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._pause = _AT_ONCE / (rate_limit * _SHARE)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Ask one question inside the block, when it is its turn."""
        async with self._places:
            yield
            await self._clock.sleep(self._pause)


class Past:
    """Knows which launch plans of a target are still to be asked for, and what was answered."""

    def __init__(
        self, target: Target, *, admin: AdminClient, process: Process, settings: ScrapeSettings
    ) -> None:
        self._target = target
        self._admin = admin
        self._process = process
        self._timeout = min(settings.poll_timeout, _PATIENCE).total_seconds()
        self._memory: Memory | None = None
        self._unknown: dict[str, int] = {}
        self._measured: set[str] = set()
        self._asked: set[tuple[str, _Missing]] = set()
        self._answers: dict[str, Sequence[Execution]] = {}
        self._ready = asyncio.Event()

    def want(self, launch_plan: str) -> None:
        """Have it asked after a poll how *launch_plan* fared, if that is unknown then."""
        memory = self._memory
        if memory is not None and self._question(memory, launch_plan) is None:
            return
        if query.has_past(launch_plan):
            self._unknown.setdefault(launch_plan, 0)

    def want_success(self, launch_plan: str) -> None:
        """Have it asked likewise, and where only failures are known, when it last succeeded."""
        self._measured.add(launch_plan)
        self.want(launch_plan)

    async def follow(self, pace: Pace) -> None:
        """Ask whenever there is something to ask, until cancelled."""
        while True:
            await self._ready.wait()
            async with pace.place():
                await self.ask()

    async def ask(self) -> None:
        """Ask how the next launch plan fared of which that is unknown; a failure is not raised."""
        found = self._next()
        if found is None:
            self._ready.clear()
            return
        launch_plan, missing = found
        asked = query.ended_of(launch_plan, succeeded=missing is _Missing.SUCCESS)
        try:
            page = await self._admin.list_executions(
                self._target, asked, limit=_NEWEST, timeout=self._timeout
            )
        except AdminError as problem:
            # Whoever does not answer is left in peace until a poll has come to its end.
            self._ready.clear()
            self._failed(launch_plan, missing, str(problem))
        except Exception as bug:
            # The edge of one target, as for a poll.
            log.exception("asking for the past failed on a bug of ours", **self._target._asdict())
            self._failed(launch_plan, missing, f"{type(bug).__name__}: {bug}")
        else:
            self._process.rows_read(step="past", rows=len(page))
            del self._unknown[launch_plan]
            self._asked.add((launch_plan, missing))
            self._answers[launch_plan] = page.executions

    async def settle(self, memory: Memory, keep: Callable[[Batch], Awaitable[Digest]]) -> None:
        """
        *keep* what was answered, and have asked what is still unknown.

        To be called at the end of a poll, when all that it was told is committed: then what a list
        told of the same launch plan is in *memory*, and nothing is told by both.
        """
        progress = memory.progress
        if progress is None:
            return
        self._memory = memory
        while answers := [*self._answers.items()][:_KEPT_AT_ONCE]:
            rows = [row for _, told in answers for row in told if self._is_owed(memory, row)]
            if rows:
                # What was created later, a list will show.
                settled = progress.retained_from
                await keep(
                    Batch(target=self._target, rows=rows, step=Step.PAST, settled_before=settled)
                )
            for launch_plan, told in answers:
                # Meanwhile the other question may have been answered.
                if self._answers[launch_plan] is told:
                    del self._answers[launch_plan]
        if self._unknown:
            self._ready.set()

    def _next(self) -> "tuple[str, _Missing] | None":
        """Return the next launch plan to ask for; None where there is none, or it is too early."""
        if self._memory is None:
            return None
        for launch_plan in [*self._unknown]:
            missing = self._question(self._memory, launch_plan)
            if missing is not None:
                return launch_plan, missing
            del self._unknown[launch_plan]
        return None

    def _question(self, memory: Memory, launch_plan: str) -> "_Missing | None":
        """Return what is still to be asked of *launch_plan*; None where that is nothing."""
        missing = self._missing(memory, launch_plan)
        return None if missing is None or (launch_plan, missing) in self._asked else missing

    def _missing(self, memory: Memory, launch_plan: str) -> "_Missing | None":
        """Return what is unknown of how *launch_plan* fared; None where that is nothing."""
        state = memory.plans.get(launch_plan)
        if state is None or not state.has_outcome:
            return _Missing.OUTCOMES
        if state.succeeded_at is None and launch_plan in self._measured:
            return _Missing.SUCCESS
        return None

    def _is_owed(self, memory: Memory, row: Execution) -> bool:
        """Whether *row* tells what is still unknown: a poll may have told it since, or newer."""
        match self._missing(memory, row.launch_plan):
            case _Missing.OUTCOMES:
                return True
            case _Missing.SUCCESS:
                # What failed is known already, in part.
                return row.phase is Phase.SUCCEEDED
            case None:
                return False

    def _failed(self, launch_plan: str, missing: "_Missing", problem: str) -> None:
        """Ask again after all the others, a few times."""
        tries = self._unknown.pop(launch_plan) + 1
        if tries < _TRIES:
            self._unknown[launch_plan] = tries
            return
        self._asked.add((launch_plan, missing))
        log.info(
            "past of a launch plan stays unknown",
            **self._target._asdict(),
            launch_plan=launch_plan,
            problem=problem,
        )


class _Missing(Enum):
    """What is unknown of how a launch plan fared."""

    OUTCOMES = "outcomes"
    """Whether it succeeded or failed."""
    SUCCESS = "success"
    """When it last succeeded."""
