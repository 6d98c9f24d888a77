"""What happens at Flyte while a test does something to the exporter, and what that must come to."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from typing import NamedTuple, Self

from exporter.model.executions import Mode, Phase
from tests.e2e.exporter import Counts
from tests.e2e.flyte import Deeds, Flyte, Run

FINISHED = ("flyte_executions_finished_total", "project", "launch_plan", "mode", "phase")
_ENDS = (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT)
_MODES = (Mode.MANUAL, Mode.SCHEDULED, Mode.CHILD_WORKFLOW)


class Total(NamedTuple):
    """One metric and what it must come to."""

    metric: str
    labels: tuple[str, ...]
    truth: Callable[[Deeds], Counts]


TOTALS = (
    Total(FINISHED[0], FINISHED[1:], attrgetter("finished")),
    Total(
        "flyte_executions_launched_total",
        ("project", "launch_plan", "mode"),
        attrgetter("launched"),
    ),
    Total("flyte_executions_started_total", ("project",), attrgetter("started")),
    Total(
        "flyte_execution_duration_seconds_count",
        ("project", "launch_plan"),
        attrgetter("timed"),
    ),
    Total(
        "flyte_execution_queue_duration_seconds_count",
        ("project",),
        attrgetter("started"),
    ),
)


class Traffic:
    """
    Executions, as fast as one client can make them, from `begin` to `end`.

    Some live for seconds and some for milliseconds, between two polls. Now and then a launch plan
    comes up that runs once and never again, which is where counters that are born too late lie;
    after a while a whole project does.
    """

    def __init__(self, flyte: Flyte, *, seed: int) -> None:
        self.left: list[Run] = []
        """What is still live at the end."""
        self._flyte = flyte
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="traffic")
        self._work: Future[None] | None = None
        self._chance = random.Random(f"traffic {seed}")
        self._plans: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        self._flyte.add_project("orders")
        for name in ("ingest", "report"):
            self._add_plan("orders", name)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.shutdown()

    def begin(self) -> None:
        """Begin."""
        self._work = self._thread.submit(self._flow)

    def end(self) -> None:
        """Bring all but a few executions to their end, and stop."""
        self._over.set()
        assert self._work is not None
        self._work.result(timeout=30)

    def _flow(self) -> None:
        turn = 0
        while not self._over.wait(0.02):
            turn += 1
            self._take_turn(turn)
        while len(self.left) > len(_ENDS):
            self._move_on()

    def _take_turn(self, turn: int) -> None:
        if turn == 250:
            self._flyte.add_project("newcomers")
            self._add_plan("newcomers", "first")
        if turn % 40 == 0:
            project = self._chance.choice(self._plans)[0]
            self._flyte.add_launch_plan(project, f"once-{turn}")
            self._flyte.whole_life(project, f"once-{turn}", end=self._end())
        project, plan = self._chance.choice(self._plans)
        mode = self._chance.choice(_MODES)
        match self._chance.randrange(4):
            case 0:
                self._flyte.whole_life(project, plan, mode, self._end())
            case 1:
                self._flyte.archive(self._flyte.whole_life(project, plan, mode, self._end()))
            case _:
                self.left.append(self._flyte.launch(project, plan, mode))
        if len(self.left) > 20:
            self._move_on()

    def _move_on(self) -> None:
        run = self.left.pop(self._chance.randrange(len(self.left)))
        match self._chance.randrange(5):
            case 0:
                self._flyte.finish(run, Phase.FAILED)
            case 1:
                self._flyte.terminate(run)
                self._flyte.finish(run, Phase.ABORTED)
            case 2:
                self._flyte.archive(run)
                self._flyte.finish(run, self._end())
            case _:
                self._flyte.start(run)
                self._flyte.finish(run, self._end())

    def _add_plan(self, project: str, name: str) -> None:
        self._flyte.add_launch_plan(project, name)
        self._plans.append((project, name))

    def _end(self) -> Phase:
        return self._chance.choice(_ENDS)


def together(counts: Callable[[Total], Counts]) -> Counts:
    """Return what *counts* says of every total, by metric and label values."""
    return Counter(
        {(total.metric, *key): count for total in TOTALS for key, count in counts(total).items()}
    )
