"""
The kernel may kill us at any moment, and Prometheus still sees each execution exactly once.

Truth is what the test itself had happen; the judge is a real Prometheus and its raw samples.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

from exporter.model.executions import Phase
from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import Deeds, Flyte, Simulator
from tests.e2e.programs import free_port, settled, until
from tests.e2e.prometheus import Prometheus
from tests.e2e.traffic import FINISHED, TOTALS, Traffic, together

_SEED = 20
_KILLS = 13
_HOLD_SECONDS = 2
"""Seven scrapes: also a Prometheus that is kept waiting sees the beginning of every series."""


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
            before = exporter.counts(*FINISHED)
        for _ in range(5):
            flyte.whole_life("orders", "ingest")
        flyte.add_launch_plan("orders", "late")
        flyte.whole_life("orders", "late", end=Phase.ABORTED)
        with Exporter(_config(tmp_path, simulator.address, ports[1])) as exporter:
            exporter.wait_until_ready()
            # It has caught up by now. Shown at once, Prometheus would know no other value.
            assert exporter.counts(*FINISHED) == before
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
    found = settled(lambda: prometheus.increases(*FINISHED), deeds.finished, within=15)
    assert found == deeds.finished


def _judge(deeds: Deeds, exporter: Exporter, prometheus: Prometheus) -> None:
    expected = together(lambda total: total.truth(deeds))

    def shown() -> Counts:
        return together(lambda total: exporter.counts(total.metric, *total.labels))

    def stored() -> Counts:
        return together(lambda total: prometheus.increases(total.metric, *total.labels))

    assert settled(shown, expected, within=20) == expected
    _await_reconciles(exporter)
    assert shown() == expected
    assert settled(stored, expected, within=10) == expected
    for series in (series for total in TOTALS for series in prometheus.series(total.metric)):
        assert series.values[0] == 0, f"{series.labels} was not seen at 0"
        assert series.falls == 0, f"{series.labels} stepped back"
    assert not exporter.counts("flyte_exporter_reconcile_corrections_total", "reason")


def _await_reconciles(exporter: Exporter) -> None:
    """Wait until both targets have checked their own work twice more: every 2 s, by 7 polls."""

    def successes() -> float:
        return exporter.value("flyte_exporter_polls_total", outcome="success") or 0

    enough = successes() + 2 * 2 * 7
    until(lambda: successes() > enough, within=20, what="two more reconciles")
