"""Tasks of finished executions are counted by real processes over real sockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl.service import admin_pb2_grpc

from exporter.model.time import Micros
from exporter.sim.execution import ExecutionKey
from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import DOMAIN, Flyte, Run, Simulator
from tests.e2e.programs import settled, until
from tests.propeller import CACHED, Propeller, inputs

_ATTEMPTS = ("flyte_task_attempts_total", "task", "phase")
_LOOKUPS = ("flyte_node_cache_lookups_total", "task", "cache_status")
_BEGAN = Micros(1_790_000_000_000_000)


class Reporter:
    """Reports to an Admin on a socket what happens in executions."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        stub: Any = admin_pb2_grpc.AdminServiceStub(self._channel)
        self._calls = {
            method: lambda request, method=method: getattr(stub, method)(request, timeout=10)
            for method in ("CreateNodeEvent", "CreateTaskEvent")
        }

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def of(self, run: Run) -> Propeller:
        """Return who reports on one execution."""
        return Propeller(self._calls, ExecutionKey(run.project, DOMAIN, run.name), _BEGAN)


@pytest.fixture
def reporter(simulator: Simulator) -> Iterator[Reporter]:
    """Return one that reports to the shared Admin."""
    one = Reporter(simulator.address)
    yield one
    one.close()


def run_tasks(flyte: Flyte, reporter: Reporter, project: str) -> None:
    """Have an execution run: one task that is retried, a map task, and one out of the cache."""
    run = flyte.launch(project, "ingest")
    flyte.start(run)
    told = reporter.of(run)
    told.node("start-node", "SUCCEEDED", 0)
    told.node("n0", "RUNNING", 0, is_parent=True)
    told.ran("n0-0-a", "retried", (0, 1, 2), phase="FAILED", parent="n0")
    told.ran("n0-0-a", "retried", (2, 3, 4), attempt=1, parent="n0")
    resources = inputs(*((place, 0, "SUCCEEDED", "CACHE_POPULATED") for place in range(3)))
    told.ran("n1", "mapped", (4, 5, 6), **resources)
    told.node("n2", "SUCCEEDED", 6, task_node_metadata={**CACHED, "cache_status": 2})
    flyte.finish(run)


def expected(times: int) -> dict[str, Counts]:
    """Return what so many of these executions come to."""
    attempts = {("retried", "FAILED"): 1, ("retried", "SUCCEEDED"): 1, ("mapped", "SUCCEEDED"): 3}
    lookups = {("lookup", "CACHE_HIT"): 1, ("mapped", "CACHE_POPULATED"): 3}
    return {
        "attempts": Counts({key: count * times for key, count in attempts.items()}),
        "lookups": Counts({key: count * times for key, count in lookups.items()}),
    }


def counted(exporter: Exporter) -> dict[str, Counts]:
    """Return what /metrics says of tasks."""
    return {"attempts": exporter.counts(*_ATTEMPTS), "lookups": exporter.counts(*_LOOKUPS)}


def test_tasks_are_counted_once_through_reload_and_sigkill(
    simulator: Simulator, flyte: Flyte, reporter: Reporter, tmp_path: Path
) -> None:
    """Off by default, on by a reload, slow enough to be killed in the midst of it."""
    project = "tasked"
    flyte.add_project(project)
    flyte.add_launch_plan(project, "ingest")
    only = {"include": [f"{project}/{DOMAIN}"]}

    def write(**tasks: Any) -> Path:
        return write_config(tmp_path, endpoint=simulator.address, discovery=only, tasks=tasks)

    config = write()
    with Exporter(config) as exporter:
        exporter.wait_until_ready()
        run_tasks(flyte, reporter, project)
        finished = ("flyte_executions_finished_total", "launch_plan")
        until(lambda: exporter.counts(*finished), within=10, what="the first end")
        assert exporter.counts("flyte_admin_rpcs_total", "method")["ListNodeExecutions",] == 0
        write(match=[f"{project}/*/*"], rate_limit="20/s", concurrency=1)
        assert exporter.reload().status == 200
        for _ in range(10):
            run_tasks(flyte, reporter, project)
        until(lambda: exporter.counts(*_ATTEMPTS), within=10, what="the first tasks")
        exporter.program.kill()
    with Exporter(config) as exporter:
        run_tasks(flyte, reporter, project)
        assert settled(lambda: counted(exporter), expected(11), within=20) == expected(11)
        assert exporter.value("flyte_exporter_task_backlog") == 0
        assert exporter.program.terminate() == 0


def test_a_company_at_work_shows_tasks_of_every_kind(tmp_path: Path) -> None:
    """Of sub-workflows, dynamic nodes, map tasks and single tasks, and what the cache did."""
    wanted = {
        ("features.of_shard", "SUCCEEDED"),
        ("features.of_shard", "FAILED"),
        ("orders.extract", "SUCCEEDED"),
        ("report.regions", "SUCCEEDED"),
        ("report.region", "SUCCEEDED"),
        ("examples.say_hello", "SUCCEEDED"),
        ("warehouse_sync.prepare", "SUCCEEDED"),
    }
    hits = {("features.of_shard", "CACHE_HIT"), ("features.window", "CACHE_HIT")}
    with Simulator(tmp_path, "--speed=300", "--seed=3") as simulator:
        config = write_config(
            tmp_path,
            endpoint=simulator.address,
            tasks={"match": ["*/*/*"], "rate_limit": "500/s", "concurrency": 8},
        )
        with Exporter(config) as exporter:
            until(lambda: wanted <= exporter.counts(*_ATTEMPTS).keys(), within=60, what="all kinds")
            until(lambda: hits <= exporter.counts(*_LOOKUPS).keys(), within=60, what="all hits")
            assert exporter.value("flyte_exporter_task_executions_total", outcome="failed") == 0
            assert exporter.value("flyte_exporter_task_executions_total", outcome="gone") == 0
