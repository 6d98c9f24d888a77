"""How launch plans fared before anybody looked: asked once for each of which nothing is known."""

from collections.abc import Awaitable, Callable

from exporter.admin import query
from exporter.admin.errors import AdminError
from exporter.model.targets import Target
from exporter.pipeline import Batch, Digest, Step
from exporter.scrape.inquiry import Inquiry, PollTimeout
from exporter.scrape.memory import Memory
from exporter.telemetry.log import get_logger

_AT_ONCE = 5
"""Launch plans whose past one poll asks for: there is no hurry, and the rate limit is for all."""

_TRIES = 3
"""Polls that ask for the past of the same launch plan before it stays unknown."""

log = get_logger(__name__)


class Past:
    """Knows which launch plans of a target are still to be asked for."""

    def __init__(self, target: Target, inquiry: Inquiry) -> None:
        self._target = target
        self._inquiry = inquiry
        self._unknown: dict[str, int] = {}
        self._asked: set[str] = set()

    def want(self, launch_plan: str) -> None:
        """Have one of the next polls ask how *launch_plan* fared, if nothing is known of that."""
        if launch_plan not in self._asked and query.has_past(launch_plan):
            self._unknown.setdefault(launch_plan, 0)

    async def ask(self, memory: Memory, keep: Callable[[Batch], Awaitable[Digest]]) -> None:
        """Ask how some of those fared of which nothing is known, and *keep* it; others later."""
        progress = memory.progress
        if progress is None:
            return
        self._asked.update(plan for plan in self._unknown if plan in memory.plans)
        for launch_plan in self._unknown.keys() & self._asked:
            del self._unknown[launch_plan]
        for launch_plan in [*self._unknown][:_AT_ONCE]:
            try:
                rows = await self._inquiry.ended_of(launch_plan)
            except (AdminError, PollTimeout) as problem:
                # A question of no hurry is no reason for the poll to fail.
                self._failed(launch_plan, problem)
                return
            # What was created later, a list will show.
            settled = progress.retained_from
            await keep(
                Batch(target=self._target, rows=rows, step=Step.PAST, settled_before=settled)
            )
            self._asked.add(launch_plan)
            del self._unknown[launch_plan]

    def _failed(self, launch_plan: str, problem: AdminError | PollTimeout) -> None:
        tries = self._unknown.pop(launch_plan) + 1
        if tries < _TRIES:
            self._unknown[launch_plan] = tries
            return
        self._asked.add(launch_plan)
        log.info(
            "past of a launch plan stays unknown",
            **self._target._asdict(),
            launch_plan=launch_plan,
            problem=str(problem),
        )
