"""
How long after propeller reported an end /metrics shows it.

Real processes: a simulated Admin, the exporter, and a client that reports and watches. The ends
come at odd times, so that they fall everywhere into the interval.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import settings
from bench.figures import Figure, median
from bench.observation import free_port, get, total, wait_until_ready
from bench.processes import COMMAND, awaited, program
from exporter.metrics import catalog
from exporter.model.executions import Phase
from tests.e2e.flyte import Flyte, Run

_PROJECTS = ("bench-a", "bench-b", "bench-c")
_SAMPLES = 30
_INTERVAL_SECONDS = 2
_APART_SECONDS = 0.37
_LOOK_SECONDS = 0.01
_READY_SECONDS = 60.0
_PATIENCE_SECONDS = 30.0
_BAR_SECONDS = _INTERVAL_SECONDS + 1
_LISTENING = "simulated Flyte Admin listening on"


def measure() -> Sequence[Figure]:
    """Report one end after the other and look when each shows."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        program([COMMAND, "sim", "--listen", "127.0.0.1:0"]) as simulator,
        Flyte(address := awaited(simulator, _LISTENING)) as flyte,
    ):
        runs = _launched(flyte)
        config = settings.write(
            Path(directory),
            admin=address,
            port=port,
            scrape={"interval": f"{_INTERVAL_SECONDS}s"},
            metrics={"first_sample_hold": "0s"},
        )
        with program([COMMAND, "run", "--config", str(config)]):
            wait_until_ready(port, seconds=_READY_SECONDS)
            waits = _waits(flyte, runs, port)
    return [
        Figure(
            what=f"end reported to end visible, interval {_INTERVAL_SECONDS} s",
            bar=f"<= {_BAR_SECONDS} s",
            measured=f"at most {max(waits):.2f} s, median {median(waits):.2f} s "
            f"({len(waits)} ends)",
            beside=f"{max(waits) - _INTERVAL_SECONDS:+.2f} s over the interval",
            met=max(waits) <= _BAR_SECONDS,
        )
    ]


def _launched(flyte: Flyte) -> list[Run]:
    """Return executions that run, each of a launch plan of its own."""
    runs = []
    for number in range(_SAMPLES):
        project = _PROJECTS[number % len(_PROJECTS)]
        if number < len(_PROJECTS):
            flyte.add_project(project)
        plan = f"plan-{number}"
        flyte.add_launch_plan(project, plan)
        runs.append(flyte.launch(project, plan))
        flyte.start(runs[-1])
    return runs


def _waits(flyte: Flyte, runs: list[Run], port: int) -> list[float]:
    due = time.perf_counter()
    to_report = list(runs)
    reported: dict[Run, float] = {}
    waits: list[float] = []
    while len(waits) < len(runs):
        if to_report and time.perf_counter() >= due:
            run = to_report.pop(0)
            flyte.finish(run)
            reported[run] = time.perf_counter()
            due += _APART_SECONDS
        document = get(port, "/metrics").body
        now = time.perf_counter()
        shown = [run for run in reported if _shows(document, run)]
        waits += [now - reported.pop(run) for run in shown]
        if any(now - at > _PATIENCE_SECONDS for at in reported.values()):
            raise RuntimeError(f"{len(reported)} ends never showed")
        time.sleep(_LOOK_SECONDS)
    return waits


def _shows(document: bytes, run: Run) -> bool:
    labels = (f'launch_plan="{run.launch_plan}"', f'phase="{Phase.SUCCEEDED.name}"')
    return total(document, catalog.EXECUTIONS_FINISHED, *labels) > 0
