"""When the schedules of one target's launch plans are looked at, and what is shown of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from exporter.config.settings import SchedulesSettings
from exporter.metrics.gauges import PlanGauges, rows_of_schedule
from exporter.model.schedules import Judgement, Timetable
from exporter.model.targets import Target
from exporter.model.time import EPOCH, Micros, micros
from exporter.pipeline import Batch, Digest
from exporter.scrape.memory import Memory
from exporter.track.periods import zoned
from exporter.track.schedules import Agenda, most_behind, outdated
from exporter.track.verdicts import PATIENCE

_AT_ONCE = 25
"""Launch plans whose schedules are looked at in one go: some 10 ms."""


class Timetables:
    """
    The timetables of a target, and when time alone will have moved one of them on.

    Args:
        target: Whose they are.
        label: Launch plans that have one label are one where they are shown.
        gauges: Where that is.
        settings: How long after a slot its run may be seen, and where the scheduler's clock is.
    """

    def __init__(
        self,
        target: Target,
        *,
        label: Callable[[str], str],
        gauges: PlanGauges,
        settings: SchedulesSettings,
    ) -> None:
        self._target = target
        self._label = label
        self._gauges = gauges
        self._settings = settings
        self._known: Mapping[str, Timetable] | None = None
        self._listed_at = EPOCH
        self._began_at: Micros | None = None
        self._again: dict[str, Micros] = {}
        self._first: Micros | None = None
        self._judged: dict[str, dict[str, Judgement]] = {}
        self._unjudged: set[str] = set()
        self._revised: Memory | None = None

    def replace(self, timetables: Mapping[str, Timetable], listed_at: Micros) -> None:
        """Take over the active launch plans with a schedule, as of *listed_at*; news is due now."""
        self._listed_at = listed_at
        known, local = self._known or {}, self._settings.timezone
        found = {
            name: timetable._replace(schedule=zoned(timetable.schedule, local))
            for name, timetable in timetables.items()
        }
        names = {*known, *found}
        self._hurry(name for name in names if known.get(name) != found.get(name))
        self._known = found

    def touch(self, launch_plans: Iterable[str]) -> None:
        """Have the timetables of *launch_plans*, as far as they have one, looked at."""
        known = self._known or {}
        self._hurry(name for name in launch_plans if name in known)

    async def judge(
        self,
        memory: Memory,
        at: Micros,
        *,
        keep: Callable[[Batch], Awaitable[Digest]],
        is_late: Callable[[], bool],
    ) -> None:
        """
        Look at the schedules that time or a run has moved on, *keep* what came of it and show it.

        Nothing is looked at before it is known which launch plans are active.

        Args:
            memory: What is known of the target.
            at: Everything that happened until then is in it.
            keep: Makes a batch durable.
            is_late: Says whether the rest has to wait for the next poll. After a long time without
                us there may be many slots.
        """
        if self._known is None:
            return
        if self._revised is not memory:
            # Also those that may be over, and what a poller before us showed.
            scheduled = (plan for plan, state in memory.schedules.items() if state.schedule)
            self._hurry({*self._known, *scheduled})
            self._unjudged.update(self._gauges.launch_plans(self._target))
            self._revised = memory
        while timetables := self._due(at):
            agenda = Agenda(
                timetables=timetables,
                live={launch_plan: memory.live_rows_of(launch_plan) for launch_plan in timetables},
                at=at,
                sure=self._sure(at),
                grace=self._settings.grace,
            )
            digest = await keep(Batch(target=self._target, rows=(), agenda=agenda))
            for label in self._looked_at(timetables, digest.judged):
                self._show(label)
                self._unjudged.discard(label)
            await asyncio.sleep(0)
            if is_late():
                return
        for label in self._unjudged:
            self._show(label)
        self._unjudged.clear()

    def outdated(self, memory: Memory, digest: Digest, now: Micros) -> list[str]:
        """Return of whom it need not be known any longer how they kept a schedule."""
        return [plan for plan in outdated(memory.schedules, now) if plan not in digest.schedules]

    def _sure(self, at: Micros) -> Micros:
        """Return until when the timetables were seen to hold; by then, what was told is stale."""
        if self._began_at is None:
            self._began_at = at
        if at - max(self._listed_at, self._began_at) < micros(PATIENCE):
            return self._listed_at
        # Nobody waits any longer for a listing that does not come.
        return at

    def _due(self, now: Micros) -> dict[str, Timetable | None]:
        """Return some of the timetables to look at; None for one that is over."""
        if self._first is None:
            self._first = min(self._again.values(), default=None)
        if self._known is None or self._first is None or self._first > now:
            return {}
        names = [name for name, at in self._again.items() if at <= now][:_AT_ONCE]
        return {name: self._known.get(name) for name in names}

    def _looked_at(
        self, timetables: Mapping[str, Timetable | None], judged: Mapping[str, Judgement]
    ) -> list[str]:
        """Take note of what was made of *timetables* that were due; return the labels of these."""
        known = self._known or {}
        for launch_plan, judgement in judged.items():
            self._judged.setdefault(self._label(launch_plan), {})[launch_plan] = judgement
            if not judgement.state.schedule:
                del self._judged[self._label(launch_plan)][launch_plan]
            if timetables[launch_plan] != known.get(launch_plan):
                # It has another one since we looked: that one is due.
                continue
            if judgement.again_at is None:
                self._again.pop(launch_plan, None)
            else:
                self._again[launch_plan] = judgement.again_at
        self._first = None
        return list(dict.fromkeys(map(self._label, judged)))

    def _show(self, label: str) -> None:
        judgement = most_behind(self._judged.get(label, {}).values())
        for family, rows in rows_of_schedule(judgement).items():
            self._gauges.show(self._target, label, family, rows)

    def _hurry(self, launch_plans: Iterable[str]) -> None:
        """Have *launch_plans* be due at once."""
        self._again.update(dict.fromkeys(launch_plans, EPOCH))
        self._first = None
