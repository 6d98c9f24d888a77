"""
Flyte's scheduler: slots run in their time, and those of a silence are caught up on after it.

When it is back, what is due from then on runs in its time. Beside that it goes through the slots
of the silence, one after the other, launch plan after launch plan: they run after later ones.

Source: flyteadmin `scheduler/schedule_executor.go`, `scheduler/core/gocron_scheduler.go`.
"""

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from exporter.model.time import SECOND, Micros
from exporter.sim.catalog import Plan
from exporter.sim.incidents import Agenda, Trouble

LAUNCHES_PER_SECOND = 100.0
"""How fast a catch-up is at speed 1: as flyteadmin has it by default, `adminRateLimit.tps`."""

_LAG_SECONDS = (0.005, 0.015)
"""How late a slot runs in its time; measured on a real one."""


class Surroundings(Protocol):
    """The world, as far as a scheduler has to do with it."""

    agenda: Agenda

    def at(self, instant: Micros, happens: Callable[[Micros], None]) -> None:
        """Call *happens* with the time when the world comes to *instant*."""

    def chance(self, *names: object) -> random.Random:
        """Return a source of chance of its own for what *names* name."""


class Scheduler:
    """
    Launches a run for each slot.

    Args:
        world: Whose time it is.
        pause: Microseconds between two runs of a catch-up.
        launch: Called with a launch plan, a slot of it and the time.
    """

    def __init__(
        self, world: Surroundings, *, pause: int, launch: Callable[[Plan, Micros, Micros], None]
    ) -> None:
        self._world = world
        self._pause = pause
        self._launch = launch
        self._missed: dict[Plan, deque[Micros]] = {}

    def keep(self, plan: Plan, *, period: int, slot: int) -> None:
        """Run *plan* every *period*, in microseconds; first for *slot*, counted in periods."""
        due = Micros(slot * period)
        self._world.at(due, lambda _: self._fill(plan, period, slot))

    def _fill(self, plan: Plan, period: int, slot: int) -> None:
        due = Micros(slot * period)
        up_again = self._world.agenda.until(Trouble.SCHEDULER_SILENCE, due)
        if up_again is None:
            lag = self._world.chance("lag", plan.project, plan.domain, plan.name, slot)
            launched_at = Micros(round(due + SECOND * lag.uniform(*_LAG_SECONDS)))
            self._world.at(launched_at, partial(self._launch, plan, due))
        else:
            if not self._missed:
                self._world.at(up_again, self._catch_up)
            self._missed.setdefault(plan, deque()).append(due)
        self.keep(plan, period=period, slot=slot + 1)

    def _catch_up(self, now: Micros) -> None:
        """Run the next slot that was missed; have the one after it run, if there is one."""
        up_again = self._world.agenda.until(Trouble.SCHEDULER_SILENCE, now)
        if up_again is not None:
            self._world.at(up_again, self._catch_up)
            return
        plan, slots = next(iter(self._missed.items()))
        self._launch(plan, slots.popleft(), now)
        if not slots:
            del self._missed[plan]
        if self._missed:
            self._world.at(Micros(now + self._pause), self._catch_up)
