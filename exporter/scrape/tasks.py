"""
Counting the tasks of finished executions, one execution after the other.

Nothing else waits for it, and it waits for everything: its calls have limits of their own, and what
Admin does not answer is asked again later. An execution counts with all its tasks, or with none.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import Enum

from opentelemetry.trace import Status, StatusCode

from exporter import pipeline
from exporter.admin.errors import AdminError, MessageTooLarge, NotFound
from exporter.admin.nodes import NodeClient
from exporter.config.tasks import TasksSettings
from exporter.garbage import tidily
from exporter.ledger.errors import LedgerError
from exporter.ledger.records import Commit
from exporter.model.targets import Target
from exporter.model.tasks import Attempt, Due, Visited
from exporter.scrape.backlog import Backlog
from exporter.scrape.faults import Fault, Faults, fault_of
from exporter.scrape.services import Services
from exporter.telemetry.log import get_logger
from exporter.telemetry.trouble import Trouble

log = get_logger(__name__)

_PATIENCE = 30.0  # seconds, for one call, beyond what it waits for its turn

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds, after what fails; ever longer

_ASIDE = 300.0
"""Seconds for which a target that we may not ask about is left alone."""


class Verdict(Enum):
    """What came of looking at one execution; the values are those of the metric's label."""

    COUNTED = "counted"
    GONE = "gone"
    """Admin has it no more, or never had its nodes."""
    TOO_LARGE = "too_large"
    """It has more nodes than `tasks.max_nodes`, or one that cannot be received."""
    FAILED = "failed"
    """Admin did not tell, however often it was asked."""


TASK_OUTCOMES = tuple(verdict.value for verdict in Verdict)

_ANSWERS = frozenset({Verdict.COUNTED, Verdict.GONE, Verdict.TOO_LARGE})
"""With these Admin has told us something: it works."""


class TooManyNodes(Exception):
    """An execution has more nodes than are looked at."""


class TaskCounter:
    """
    Counts the tasks of those that wait in a backlog.

    Args:
        services: Those of the polls; of these, none of their room for calls is used.
        backlog: Who waits.
        nodes: Whom to ask.
        settings: How many at once, and how large they may be.
    """

    def __init__(
        self, services: Services, backlog: Backlog, nodes: NodeClient, *, settings: TasksSettings
    ) -> None:
        self._services = services
        self._backlog = backlog
        self._nodes = nodes
        self._settings = settings
        # A call waits for all that are before it in the line.
        self._timeout = _PATIENCE + settings.concurrency / settings.rate_limit
        self._faults = Faults(settings.backlog)
        self._pause = _FIRST_PAUSE
        # Whoever has failed has paused, asked again and been answered by then, or has failed again.
        self._trouble = Trouble(calm=_LONGEST_PAUSE + self._timeout)
        self._answered = False
        """Since the last failure."""
        self._calming: asyncio.Task[None] | None = None
        self._denied: set[Target] = set()
        self._waits: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._settings.concurrency):
                    group.create_task(tidily(self._work), name=f"tasks {number}")
        finally:
            # Whoever comes after us may have other credentials.
            for wait in self._waits:
                wait.cancel()

    async def _work(self) -> None:
        while True:
            await self.count_next()

    async def count_next(self) -> None:
        """Count the tasks of who has waited longest; failures are logged, not raised."""
        due = await self._backlog.take()
        about = {
            "flyte.project": due.target.project,
            "flyte.domain": due.target.domain,
            "flyte.execution": due.id.name,
        }
        with self._services.tracer.start_as_current_span("tasks", attributes=about) as span:
            problem, pause = await self._count(due)
            if span.is_recording() and problem:
                span.set_status(Status(StatusCode.ERROR, problem))
        if pause:
            await self._services.clock.sleep(pause)

    async def _count(self, due: Due) -> tuple[str, float]:
        """Count the tasks of *due*; return what failed, and for how many seconds to pause."""
        try:
            visited, verdict = await self._look(due)
        except AdminError as error:
            return str(error), self._put_back(due, error)
        except asyncio.CancelledError:
            self._backlog.put_back(due)
            raise
        problem = await self._commit(due, visited, verdict)
        if problem:
            return problem, self._failed(problem)
        self._faults.forget(due)
        if verdict in _ANSWERS:
            self._faults.answered(due)
            self._works(due.target)
        return "", 0

    def _put_back(self, due: Due, error: AdminError) -> float:
        """Have *due* tried again; return for how many seconds to pause before anybody is."""
        match fault_of(error):
            case Fault.ALL:
                self._backlog.put_back(due)
                return self._failed(str(error))
            case Fault.TARGET:
                self._backlog.put_back(due)
                self._set_aside(due.target, str(error))
                return 0
            case Fault.UNKNOWN:
                self._backlog.put_last(due)
                return self._failed(str(error), perhaps_alone=True)

    def _failed(self, problem: str, *, perhaps_alone: bool = False) -> float:
        """Take note of what failed; return for how many seconds to pause."""
        # A single execution that fails says nothing of the others; two in a row do.
        at = self._services.clock.monotonic()
        self._answered = False
        doubtless = not perhaps_alone or self._pause > _FIRST_PAUSE
        if doubtless and self._trouble.failed(problem, at=at):
            log.warning("tasks cannot be counted", problem=problem)
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        return pause

    async def _look(self, due: Due) -> tuple[Sequence[Visited], Verdict]:
        """Ask for all nodes and attempts of one execution; raises `AdminError` to try it again."""
        try:
            visited = await self._visit(due)
        except NotFound:
            return (), Verdict.GONE
        except (TooManyNodes, MessageTooLarge):
            return (), Verdict.TOO_LARGE
        except AdminError as error:
            if fault_of(error) is not Fault.UNKNOWN or not self._faults.given_up(due):
                raise
            log.warning(
                "tasks of an execution stay uncounted",
                **due.target._asdict(),
                execution=due.id.name,
                problem=str(error),
            )
            return (), Verdict.FAILED
        except Exception:
            # The edge of one execution: what nobody foresaw of it must not stop the others.
            log.exception(
                "counting tasks failed on a bug of ours",
                **due.target._asdict(),
                execution=due.id.name,
            )
            return (), Verdict.FAILED
        return visited, Verdict.COUNTED if visited else Verdict.GONE

    async def _visit(self, due: Due) -> Sequence[Visited]:
        """Walk down from the nodes at the top, and ask for the attempts at each task."""
        target, name, timeout = due.target, due.id.name, self._timeout
        visited: dict[str, Visited] = {}
        parents = deque([""])
        while parents:
            room = self._settings.max_nodes - len(visited)
            listed = await self._nodes.list_nodes(
                target, name, parent=parents.popleft(), most=room, timeout=timeout
            )
            if len(listed) > room:
                raise TooManyNodes
            for node in listed:
                if node.id in visited:
                    continue
                if node.is_parent:
                    parents.append(node.id)
                attempts: Sequence[Attempt] = ()
                if node.has_attempts:
                    attempts = await self._nodes.list_attempts(
                        target, name, node.id, timeout=timeout
                    )
                visited[node.id] = Visited(node, attempts)
        return list(visited.values())

    async def _commit(self, due: Due, visited: Sequence[Visited], verdict: Verdict) -> str:
        """
        Count what was *visited*, durably; return what failed, and then *due* waits again.

        Once begun it comes to its end, whether or not we are there to see it.
        """
        services = self._services
        increments = pipeline.digest_tasks(due.target, visited, services.book.labelling)
        posting = services.book.post(due.target, increments, services.clock.now())
        over = self._backlog.over
        commit = Commit(
            target=due.target,
            tasks_done=[due, *over],
            **posting.entries(),
        )

        def counted() -> None:
            services.book.apply(posting, services.clock.now())
            services.process.tasks_looked_at(outcome=verdict.value)
            self._backlog.told(over)

        try:
            await services.journal.commit(
                commit, then=counted, otherwise=lambda: self._backlog.put_back(due)
            )
        except LedgerError as error:
            return str(error)
        return ""

    def _set_aside(self, target: Target, problem: str) -> None:
        """Leave *target* alone for a while; others are not denied."""
        self._backlog.set_aside(target)
        if target not in self._denied:
            self._denied.add(target)
            log.warning("tasks of a target cannot be counted", **target._asdict(), problem=problem)
        wait = asyncio.create_task(self._leave_alone(), name=f"tasks of {target}")
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        wait.add_done_callback(lambda _: self._backlog.resume(target))

    async def _leave_alone(self) -> None:
        await self._services.clock.sleep(_ASIDE)

    def _works(self, target: Target) -> None:
        """Take note that Admin answered about *target*."""
        self._pause = _FIRST_PAUSE
        self._answered = True
        if self._trouble.problem and self._calming is None:
            # It may be the last that there is to be counted for a day.
            self._calming = asyncio.create_task(self._calm_down(), name="tasks calm down")
            self._waits.add(self._calming)
            self._calming.add_done_callback(self._waits.discard)
        if target in self._denied:
            self._denied.remove(target)
            log.info("tasks of a target can be counted again", **target._asdict())

    async def _calm_down(self) -> None:
        """Say that tasks can be counted again once nothing has failed for long enough."""
        clock = self._services.clock
        while wait := self._trouble.calm_in(clock.monotonic()):
            await clock.sleep(wait)
        self._calming = None
        if self._answered and self._trouble.worked(at=clock.monotonic()):
            log.info("tasks can be counted again")
