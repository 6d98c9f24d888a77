"""How the launch plans of one target stand, and which of them are to be shown again."""

import asyncio
from collections.abc import Callable, Iterable

from exporter.metrics.gauges import STANDING, PlanGauges, rows_of
from exporter.model.clock import Clock
from exporter.model.launch_plans import Norms, PlanState
from exporter.model.targets import Target
from exporter.model.time import Micros
from exporter.pipeline import Digest
from exporter.scrape.memory import Memory
from exporter.scrape.norms import NormsOf
from exporter.track.plans import MOST_IDLE, is_kept, is_shown, merged, spare, standing, surplus

_AT_ONCE = 25
"""Launch plans that are shown in one go: some 10 ms, where each has a schedule not met before."""


class Standings:
    """Shows how launch plans stand, by the names that they have on /metrics: their labels."""

    def __init__(
        self,
        target: Target,
        *,
        gauges: PlanGauges,
        norms: NormsOf,
        clock: Clock,
        want_success: Callable[[str], None],
    ) -> None:
        """Prepare; *want_success* is told, by true names, of whom a success is to be known."""
        self._target = target
        self._want_success = want_success
        self._gauges = gauges
        self._norms = norms
        self._clock = clock
        self._changed: set[str] = set()
        self._listed = False

    def touch(self, labels: Iterable[str]) -> None:
        """Have *labels* shown again: something about them changed."""
        self._changed.update(labels)

    def begin(self, memory: Memory) -> None:
        """Have all shown again that *memory* knows, or that whoever polled before us showed."""
        self._changed.update(memory.plan_labels())
        self._changed.update(self._gauges.launch_plans(self._target))

    async def show(self, memory: Memory) -> None:
        """Show how those stand about which something changed."""
        listed = self._norms.facts.is_listed(self._target)
        if listed and not self._listed:
            # Only now is it known of all of them whether they are active.
            self.begin(memory)
        self._listed = listed
        while self._changed:
            for label in [*self._changed][:_AT_ONCE]:
                self._show(memory, label)
                self._changed.discard(label)
            await asyncio.sleep(0)

    def outdated(self, memory: Memory, digest: Digest, now: Micros) -> list[str]:
        """Return of whom, by true names, it need not be known any longer how they fared."""
        unneeded: list[str] = []
        crowded = len(memory.plans) > MOST_IDLE
        idle: dict[str, PlanState] = {}
        for label in memory.plan_labels():
            states = memory.plans_of(label)
            unneeded += spare(states)
            together = merged(states.values())
            if together and not (
                is_shown(together, now, stays=False) or self._stays(memory, label)
            ):
                # Time alone brings this about: nothing else would have it looked at.
                self._changed.add(label)
                if not is_kept(together, now, stays=False):
                    unneeded += states
            if crowded and not self._in_use(memory, label):
                idle |= states
        unneeded += surplus(idle)
        return [plan for plan in dict.fromkeys(unneeded) if plan not in digest.plans]

    def _in_use(self, memory: Memory, label: str) -> bool:
        """
        Whether a launch plan of *label* is scheduled, or has executions that are not over.

        Or is active and was given a freshness limit. There are no more of these than are
        registered, or run.
        """
        facts = self._norms.facts
        return (
            facts.is_scheduled(self._target, label)
            or memory.has_live(label)
            or (facts.is_active(self._target, label) and self._is_to_be_fresh(label))
        )

    def _stays(self, memory: Memory, label: str) -> bool:
        """
        Whether a launch plan of *label* is shown however long ago it ran.

        It is in use, or was given a freshness limit that holds although it is not active: to
        whoever was told that it is past that, it must not seem well again once it has been so for
        two weeks.
        """
        return self._in_use(memory, label) or (
            not memory.was_switched_off(label)
            and any(state.succeeded_at is not None for state in memory.plans_of(label).values())
            and self._is_to_be_fresh(label)
        )

    def _is_to_be_fresh(self, label: str) -> bool:
        """Whether a launch plan of *label* was given a freshness limit."""
        return self._norms(self._target, label).freshness is not None

    def _show(self, memory: Memory, label: str) -> None:
        state = merged(memory.plans_of(label).values())
        if state is None:
            shown = self._norms.facts.is_active(self._target, label)
        else:
            shown = is_shown(state, self._clock.now(), stays=self._stays(memory, label))
        rows = rows_of(standing(state, self._norms_for(memory, label, state))) if shown else {}
        for family in STANDING:
            self._gauges.show(self._target, label, family, rows.get(family, ()))

    def _norms_for(self, memory: Memory, label: str, state: PlanState | None) -> Norms:
        """
        Return what is asked of a launch plan of *label*.

        Of what was switched off nobody expects a success. Whoever was never active is run by
        somebody else, who may well: but only a success says how fresh it is, where the age of one
        that is active can be told from its activation.
        """
        norms, facts = self._norms(self._target, label), self._norms.facts
        if norms.freshness is None or facts.is_active(self._target, label):
            return norms
        if not memory.was_switched_off(label):
            if state is not None and state.succeeded_at is not None:
                return norms
            if facts.is_listed(self._target):
                for launch_plan in memory.plans_of(label):
                    self._want_success(launch_plan)
        return norms._replace(freshness=None)
