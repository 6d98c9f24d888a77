"""
What Admin answered about one target, made true.

It is digested, committed to the ledger, and only then taken over and shown: whoever dies between
two of these has counted nothing twice, and nothing that is shown was not counted.
"""

from collections.abc import Collection, Sequence
from functools import partial
from operator import attrgetter

from opentelemetry.trace import get_current_span

from exporter import pipeline
from exporter.ledger.records import Commit
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.posting import Posting
from exporter.model.executions import Execution, ExecutionId
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.pipeline import Batch, Digest
from exporter.scrape.live_levels import LiveLevels
from exporter.scrape.memory import Memory
from exporter.scrape.services import Services
from exporter.scrape.standings import Standings
from exporter.scrape.timetables import Timetables
from exporter.telemetry.context import sampled_trace_id
from exporter.telemetry.log import get_logger

_MOST_PLANS_AT_ONCE = 1_000
"""Launch plans whose rows are digested in one go: some 20 ms."""

_LAUNCH_PLAN = attrgetter("launch_plan")

log = get_logger(__name__)


class Commits:
    """
    Makes true what was answered about a target.

    Args:
        target: Which one.
        services: Those of its polls.
        levels: Is told whose part of the live set changed.
        standings: Is told of which launch plans the state changed.
        timetables: Is told of which the schedule was kept, or was not.

    Attributes:
        active_at: When something was last given to it, by the monotonic clock.
    """

    def __init__(
        self,
        target: Target,
        services: Services,
        *,
        levels: LiveLevels,
        standings: Standings,
        timetables: Timetables,
    ) -> None:
        self.active_at = float("-inf")
        self._target = target
        self._services = services
        self._label = services.book.labelling.label
        self._levels = levels
        self._standings = standings
        self._timetables = timetables

    async def keep(self, memory: Memory, batch: Batch) -> Digest:
        """Commit *batch*, which does not bring the target any further."""
        return await self.commit(memory, batch, memory.progress)

    async def commit_rows(
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
            await self.keep(memory, Batch(target=self._target, rows=part))
        batch = Batch(target=self._target, rows=last, absent=absent)
        await self.commit(memory, batch, progress)

    async def commit(
        self, memory: Memory, batch: Batch, progress: Progress | None, *, lasting: bool = False
    ) -> Digest:
        """
        Digest *batch*, make it durable, take it over and show it.

        Args:
            memory: What is known of the target; of what is committed, it takes note.
            batch: What was answered.
            progress: How far the target has come with it.
            lasting: Write that down even if there is nothing else to be written.

        Raises:
            LedgerError: It could not be made durable; nothing of it happened.
        """
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
            self._target, digest.increments, now, trace_id=sampled_trace_id(get_current_span())
        )
        self.active_at = services.clock.monotonic()
        states = digest.plans or digest.schedules
        if posting.is_empty and not digest.rows and not states and not lasting:
            # Only the cursor moved: not worth a write; after a crash the next list is a bit longer.
            memory.remember({}, progress)
            return digest
        backlog = services.backlog
        due = () if backlog is None else backlog.wanted(self._target, digest.finished)
        commit = Commit(
            target=self._target,
            rows=digest.rows,
            were_live=memory.live_among(digest.rows),
            progress=progress,
            plans=digest.plans,
            schedules=digest.schedules,
            forgotten_plans=self._standings.outdated(memory, digest, now) if lasting else (),
            forgotten_schedules=self._timetables.outdated(memory, digest, now) if lasting else (),
            tasks_due=due,
            tasks_done=backlog.over if backlog is not None and due else (),
            **posting.entries(),
        )
        await services.journal.commit(
            commit, then=partial(self._committed, memory, digest, posting, commit)
        )
        return digest

    def _committed(self, memory: Memory, digest: Digest, posting: Posting, commit: Commit) -> None:
        services = self._services
        services.book.apply(posting, services.clock.now())
        touched = memory.remember(digest.rows, commit.progress)
        memory.remember_plans(commit.plans, commit.forgotten_plans)
        memory.remember_schedules(commit.schedules, commit.forgotten_schedules)
        self._standings.touch(map(self._label, (*commit.plans, *commit.forgotten_plans)))
        if services.backlog is not None and commit.tasks_due:
            services.backlog.told(commit.tasks_done)
            services.backlog.add(commit.tasks_due)
        self._timetables.touch(commit.schedules)
        self._tell(digest)
        # A schedule alone gives birth to series, too.
        mine = (row.launch_plan for row in posting.activity if row.target == self._target)
        born = (plan for plan in mine if plan not in {"", OVERFLOW})
        self._levels.touch(touched, digest.increments.launch_plans, born)

    def _tell(self, digest: Digest) -> None:
        """Say what was put right, or cannot be."""
        for correction, executions in digest.corrections.items():
            self._services.process.corrected(reason=correction.value, executions=executions)
            log.warning(
                "reconcile corrected",
                **self._target._asdict(),
                reason=correction.value,
                executions=executions,
            )
        if digest.stepped_back:
            log.warning(
                "executions stepped back from their end, they stay counted",
                **self._target._asdict(),
                executions=len(digest.stepped_back),
                example=digest.stepped_back[0].execution.id.name,
            )


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
