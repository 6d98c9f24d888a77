"""
The finished executions whose tasks are still to be counted, in the order in which they finished.

The ledger has them too: an execution comes in with the commit that counts its end and leaves with
the one that counts its tasks, so that a crash between the two neither loses it nor counts it twice.
Where too many wait, the oldest are dropped: what happened lately is worth more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from exporter.config.tasks import TasksSettings
from exporter.ledger.records import Commit
from exporter.ledger.store import Ledger
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.model.tasks import Due
from exporter.scrape import patterns
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_REMEMBERED = 20_000
"""Launch plans of which is remembered whether they are matched."""


class BacklogObserver(Protocol):
    """Is told how many wait and how many do not any more."""

    def tasks_wait(self, executions: int) -> None:
        """Take note of how many wait."""

    def tasks_dropped(self, executions: int) -> None:
        """Take note of executions that were dropped."""


class Backlog:
    """
    Who waits.

    Args:
        observer: Is told how many wait, and how many were dropped.
    """

    def __init__(self, observer: BacklogObserver) -> None:
        self._observer = observer
        self._waiting: deque[Due] = deque()
        self._over: dict[Due, None] = {}
        self._aside: set[Target] = set()
        self._used: set[str] = set()
        self._arrived = asyncio.Event()
        self._drops = False
        self.set_rules(TasksSettings(), str)

    def set_rules(self, settings: TasksSettings, label: Callable[[str], str]) -> None:
        """
        Heed *settings* from now on, also for those that wait already.

        By *label* a launch plan has the name that it has on /metrics: that is what they match.
        """
        self._label = label
        self._match = settings.match
        self._used.clear()
        self._limit = settings.backlog
        self._wants = lru_cache(_REMEMBERED)(self._matches)
        self._sift()

    @property
    def patterns(self) -> Sequence[str]:
        """The patterns that settings have."""
        return self._match

    @property
    def used(self) -> Collection[str]:
        """Those of the patterns that matched an execution."""
        return self._used

    def wanted(self, target: Target, finished: Sequence[Execution]) -> Sequence[Due]:
        """Return those of *finished* whose tasks are to be counted; they are yet to be added."""
        if not self._match:
            return ()
        # What never ran has no tasks.
        return [
            Due(target, row.id, row.launch_plan)
            for row in finished
            if row.started_at is not None and self._wants(target, row.launch_plan)
        ]

    def load(self, dues: Iterable[Due]) -> None:
        """Take over what the ledger has; what is not wanted any more is over."""
        self._waiting.extend(dues)
        self._sift()

    def add(self, dues: Iterable[Due]) -> None:
        """Have *dues*, which are in the ledger, wait; the oldest make room where there is none."""
        self._waiting.extend(dues)
        self._trim()

    def put_back(self, due: Due) -> None:
        """Have *due* be the next again: it was taken, and nothing came of it."""
        self._waiting.appendleft(due)
        self._trim()

    def put_last(self, due: Due) -> None:
        """Have *due*, which was taken, wait again, but for all others first."""
        self._waiting.append(due)
        self._trim()

    async def take(self) -> Due:
        """
        Return who has waited longest, as soon as somebody does; it waits no more.

        Those of a target that was set aside keep their places, and others go before them.
        """
        while (place := self._first()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        due = self._waiting[place]
        del self._waiting[place]
        self._observer.tasks_wait(len(self._waiting))
        return due

    def set_aside(self, target: Target) -> None:
        """Have nobody of *target* be taken for now."""
        self._aside.add(target)

    def resume(self, target: Target) -> None:
        """Have those of *target* be taken again."""
        self._aside.discard(target)
        self._arrived.set()

    def _first(self) -> int | None:
        """Return the place of who is to be taken next, if there is anybody."""
        places = (at for at, due in enumerate(self._waiting) if due.target not in self._aside)
        return next(places, None)

    @property
    def over(self) -> Sequence[Due]:
        """Those that do not wait any more, which the ledger is yet to be told."""
        return tuple(self._over)

    def told(self, dues: Iterable[Due]) -> None:
        """Take note that the ledger was told of *dues*, which were over."""
        for due in dues:
            self._over.pop(due, None)

    def _sift(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for due in waiting:
            if self._wants(due.target, due.launch_plan):
                self._waiting.append(due)
            else:
                self._over[due] = None
        self._trim()

    def _trim(self) -> None:
        excess = len(self._waiting) - self._limit
        if excess > 0:
            self._over.update([(self._waiting.popleft(), None) for _ in range(excess)])
            self._observer.tasks_dropped(excess)
            if not self._drops:
                log.warning(
                    "too many executions wait for their tasks to be counted: the oldest drop out",
                    setting="tasks.backlog",
                    limit=self._limit,
                    see="docs/tasks.md",
                )
            self._drops = True
        elif len(self._waiting) * 2 < self._limit:
            self._drops = False
        self._observer.tasks_wait(len(self._waiting))
        if self._waiting:
            self._arrived.set()

    def _matches(self, target: Target, launch_plan: str) -> bool:
        label = self._label(launch_plan)
        matched = [pattern for pattern in self._match if patterns.names(pattern, target, label)]
        self._used.update(matched)
        return bool(matched)


def open_backlog(
    settings: TasksSettings,
    ledger: Ledger,
    *,
    observer: BacklogObserver,
    label: Callable[[str], str],
) -> Backlog:
    """
    Return the backlog that *ledger* has; those that *settings* do not want any more leave it.

    Raises:
        LedgerError: They could not.
    """
    backlog = Backlog(observer)
    backlog.set_rules(settings, label)
    backlog.load(ledger.tasks_due())
    if backlog.over:
        ledger.commit([Commit(tasks_done=backlog.over)])
        backlog.told(backlog.over)
    return backlog
