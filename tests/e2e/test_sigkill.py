"""
The kernel may kill us at any moment, and Prometheus still sees each execution exactly once.

Truth is what the test itself had happen; the judge is a real Prometheus and its raw samples.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

from exporter.model.executions import Mode, Phase
from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import Deeds, Flyte, Run, Simulator
from tests.e2e.programs import free_port, settled, until
from tests.e2e.prometheus import Prometheus

_SEED = 20
_KILLS = 13
_HOLD_SECONDS = 2
"""Seven scrapes: also a Prometheus that is kept waiting sees the beginning of every series."""
_FINISHED = ("flyte_executions_finished_total", "project", "launch_plan", "mode", "phase")
_ENDS = (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT)
_MODES = (Mode.MANUAL, Mode.SCHEDULED, Mode.CHILD_WORKFLOW)


class Total(NamedTuple):
    """One metric and what it must come to."""

    metric: str
    labels: tuple[str, ...]
    truth: Callable[[Deeds], Counts]


_TOTALS = (
    Total(_FINISHED[0], _FINISHED[1:], attrgetter("finished")),
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


def test_no_count_is_lost_or_doubled_by_sigkill(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """Whatever the moment, the increases that Prometheus stored are what truly happened."""
    chance = random.Random(_SEED)
    port = free_port()
    with (
        Simulator(tmp_path) as simulator,
        Flyte(simulator.address) as flyte,
        Traffic(flyte, seed=_SEED) as traffic,
        Prometheus(tool("prometheus"), tmp_path, ports=[port]) as prometheus,
    ):
        config = _config(tmp_path, simulator.address, port)
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            prometheus.wait_until_scraping(port)
            traffic.begin()
            _await_death(chance, exporter, ledger=tmp_path / "exporter.db")
        for _ in range(_KILLS - 1):
            with Exporter(config) as exporter:
                _await_death(chance, exporter, ledger=tmp_path / "exporter.db")
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            traffic.end()
            _judge(flyte.deeds, exporter, prometheus)
            active = exporter.counts("flyte_executions_active")
            assert active.total() == len(traffic.left)


def test_what_ended_while_nobody_looked_is_seen_under_a_new_address(
    tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """A pod that comes back elsewhere shows first what it stood at, then what it caught up on."""
    ports = [free_port(), free_port()]
    with (
        Simulator(tmp_path) as simulator,
        Flyte(simulator.address) as flyte,
        Prometheus(tool("prometheus"), tmp_path, ports=ports) as prometheus,
    ):
        flyte.add_project("orders")
        flyte.add_launch_plan("orders", "ingest")
        with Exporter(_config(tmp_path, simulator.address, ports[0])) as exporter:
            exporter.wait_until_ready()
            prometheus.wait_until_scraping(ports[0])
            for _ in range(3):
                flyte.whole_life("orders", "ingest")
            _await_increases(prometheus, flyte.deeds)
            before = exporter.counts(*_FINISHED)
        for _ in range(5):
            flyte.whole_life("orders", "ingest")
        flyte.add_launch_plan("orders", "late")
        flyte.whole_life("orders", "late", end=Phase.ABORTED)
        with Exporter(_config(tmp_path, simulator.address, ports[1])) as exporter:
            exporter.wait_until_ready()
            # It has caught up by now. Shown at once, Prometheus would know no other value.
            assert exporter.counts(*_FINISHED) == before
            _await_increases(prometheus, flyte.deeds)


def _config(directory: Path, endpoint: str, port: int) -> Path:
    return write_config(
        directory,
        endpoint=endpoint,
        discovery={"include": ["orders/production", "newcomers/production"]},
        scrape={"interval": "300ms", "page_size": 20},
        metrics={"first_sample_hold": f"{_HOLD_SECONDS}s"},
        web={"listen": f"127.0.0.1:{port}"},
    )


def _await_death(chance: random.Random, exporter: Exporter, *, ledger: Path) -> None:
    """Let it live until its start, its work, or the write of a commit is under way."""
    kind = chance.choice(("starting", "working", "writing"))
    time.sleep(chance.uniform(0.2, 1.2) if kind == "starting" else chance.uniform(1.2, 4))
    if kind == "writing":
        wal = ledger.with_name(ledger.name + "-wal")
        before = wal.stat().st_mtime_ns
        until(lambda: wal.stat().st_mtime_ns != before, within=5, what="a commit", pause=0.0005)
    assert exporter.program.is_running, "the exporter ended by itself"


def _await_increases(prometheus: Prometheus, deeds: Deeds) -> None:
    found = settled(lambda: prometheus.increases(*_FINISHED), deeds.finished, within=15)
    assert found == deeds.finished


def _judge(deeds: Deeds, exporter: Exporter, prometheus: Prometheus) -> None:
    expected = _together(lambda total: total.truth(deeds))

    def shown() -> Counts:
        return _together(lambda total: exporter.counts(total.metric, *total.labels))

    def stored() -> Counts:
        return _together(lambda total: prometheus.increases(total.metric, *total.labels))

    assert settled(shown, expected, within=20) == expected
    _await_reconciles(exporter)
    assert shown() == expected
    assert settled(stored, expected, within=10) == expected
    for series in (series for total in _TOTALS for series in prometheus.series(total.metric)):
        assert series.values[0] == 0, f"{series.labels} was not seen at 0"
        assert series.falls == 0, f"{series.labels} stepped back"
    assert not exporter.counts("flyte_exporter_reconcile_corrections_total", "reason")


def _together(counts: Callable[[Total], Counts]) -> Counts:
    """Return what *counts* says of every total, by metric and label values."""
    return Counter(
        {(total.metric, *key): count for total in _TOTALS for key, count in counts(total).items()}
    )


def _await_reconciles(exporter: Exporter) -> None:
    """Wait until both targets have checked their own work twice more: every 2 s, by 7 polls."""

    def successes() -> float:
        return exporter.value("flyte_exporter_polls_total", outcome="success") or 0

    enough = successes() + 2 * 2 * 7
    until(lambda: successes() > enough, within=20, what="two more reconciles")
