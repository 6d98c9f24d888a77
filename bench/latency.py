"""
How long after propeller reported an end /metrics shows it.

Real processes: a simulated Admin, the exporter, and a client that reports and watches. The ends
come at odd times, so that they fall everywhere into the interval.
"""

import time
from collections.abc import Sequence

from bench.figures import Figure, median
from bench.observation import total
from bench.processes import COMMAND, awaited, program
from bench.running import Running, running
from exporter.metrics import catalog
from exporter.model.executions import Phase
from tests.e2e.flyte import Flyte, Run

_PROJECTS = ("bench-a", "bench-b", "bench-c")
_SAMPLES = 30
_INTERVAL_SECONDS = 2
_APART_SECONDS = 0.37
_LOOK_SECONDS = 0.01
_PATIENCE_SECONDS = 30.0
_BAR_BEYOND_SECONDS = 1
_LISTENING = "simulated Flyte Admin listening on"


def measure() -> Sequence[Figure]:
    """Report one end after the other and look when each shows."""
    with (
        program([COMMAND, "sim", "--listen", "127.0.0.1:0"]) as simulator,
        Flyte(address := awaited(simulator, _LISTENING)) as flyte,
    ):
        runs = _launched(flyte)
        with running(
            address, interval_seconds=_INTERVAL_SECONDS, metrics={"first_sample_hold": "0s"}
        ) as exporter:
            waits = _waits(flyte, runs, exporter)
    return [figure("end reported to end visible", waits, interval_seconds=_INTERVAL_SECONDS)]


def figure(what: str, waits: Sequence[float], *, interval_seconds: int) -> Figure:
    """Return how long the ends of executions were waited for."""
    bar = interval_seconds + _BAR_BEYOND_SECONDS
    return Figure(
        what=f"{what}, interval {interval_seconds} s",
        bar=f"<= {bar} s",
        measured=f"at most {max(waits):.2f} s, median {median(waits):.2f} s ({len(waits)} ends)",
        beside=f"{max(waits) - interval_seconds:+.2f} s over the interval",
        met=max(waits) <= bar,
    )


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


def _waits(flyte: Flyte, runs: list[Run], exporter: Running) -> list[float]:
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
        document = exporter.document()
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
