"""Incidents that touch rows behind Admin's back, as cleanups and bad clocks do."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from flyteidl.admin import execution_pb2

from exporter.model.executions import NON_TERMINAL, TERMINAL
from exporter.model.time import Micros, micros
from exporter.sim.catalog import PROJECTS
from exporter.sim.execution import ExecutionKey
from exporter.sim.executions import Executions
from exporter.sim.incidents import Agenda, Trouble, Window
from exporter.sim.store import Store

GRACE = timedelta(minutes=1)
"""An ended row is deleted no sooner: nobody can count what was never there to be seen."""

_SWEEP = timedelta(seconds=5)
_SWEPT_ENDED = 50
_SWEPT_LIVE = 3
"""Live rows that one incident deletes."""
_DAY = timedelta(days=1)
_NOT_OVER = ", ".join(f"'{phase.name}'" for phase in NON_TERMINAL)


class Place(Protocol):
    """What mischief needs of the world."""

    store: Store
    executions: Executions
    agenda: Agenda
    now: Micros

    def at(self, instant: Micros, happens: "Happens") -> None:
        """Call *happens* when it is *instant*."""

    def launch_any(self, now: Micros, *, project: str, domain: str, created_at: Micros) -> None:
        """Launch something usual."""


class Happens(Protocol):
    """Something that happens at a time."""

    def __call__(self, now: Micros, /) -> None:
        """Let it happen."""


def plot(world: Place) -> None:
    """Put on the world's agenda what its incidents do by themselves."""
    for window in world.agenda.windows:
        if window.trouble is Trouble.DELETED_ROWS:
            world.at(window.since, partial(_sweep, world, window, 0))
        elif window.trouble is Trouble.FUTURE_ROW:
            world.at(window.since, partial(_launch_tomorrow, world))


def _launch_tomorrow(world: Place, now: Micros) -> None:
    tomorrow = Micros(now + micros(_DAY))
    world.launch_any(now, project=PROJECTS[0], domain="production", created_at=tomorrow)


def _sweep(world: Place, window: Window, sweeps: int, now: Micros) -> None:
    ended = world.store.rows(
        "SELECT execution_project, execution_domain, execution_name FROM executions"  # noqa: S608 - our own names
        f" WHERE phase NOT IN ({_NOT_OVER}) AND updated_at < ? AND id IS NOT NULL"
        " ORDER BY updated_at, place LIMIT ?",
        (now - micros(GRACE), _SWEPT_ENDED),
    )
    live = world.store.rows(
        "SELECT execution_project, execution_domain, execution_name FROM executions"  # noqa: S608 - our own names
        f" WHERE phase IN ({_NOT_OVER}) AND id IS NOT NULL ORDER BY place LIMIT ?",
        (int(sweeps < _SWEPT_LIVE),),
    )
    for row in [*ended, *live]:
        world.executions.delete(ExecutionKey(*row))
    following = Micros(now + micros(_SWEEP))
    if following < window.until:
        world.at(following, partial(_sweep, world, window, sweeps + 1))


def shift_page(world: Place, rows: Sequence[bytes]) -> None:
    """
    Let rows of a page that was just answered leave, and new ones come, before the next is asked.

    One is archived and one deleted, of those that ended a while ago; two are launched.
    """
    answered = [execution_pb2.Execution.FromString(row) for row in rows]
    keys = [ExecutionKey(row.id.project, row.id.domain, row.id.name) for row in answered]
    settled = [
        key
        for key, row in zip(keys, answered, strict=True)
        if row.closure.phase in TERMINAL
        and row.closure.updated_at.ToMicroseconds() < world.now - micros(GRACE)
    ]
    if settled:
        world.executions.delete(settled[0])
    for key in settled[1:2]:
        world.executions.archive(key, at=world.now)
    for key in keys[:2]:
        world.launch_any(world.now, project=key.project, domain=key.domain, created_at=world.now)
