"""The tasks of finished executions, from what propeller reported of them to /metrics."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from exporter.admin.errors import HeldBack, refusal
from exporter.config.settings import ScrapeSettings, TasksSettings
from exporter.ledger.errors import LedgerError
from exporter.ledger.journal import Journal
from exporter.metrics.labelling import Labelling
from exporter.model.executions import ExecutionId, Mode, Phase
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from exporter.model.tasks import Due
from exporter.model.time import Micros
from exporter.scrape.faults import Fault, Faults, fault_of
from exporter.scrape.tasks import TaskCounter
from exporter.sim.execution import ExecutionKey
from tests import page
from tests.propeller import CACHED, Propeller, inputs
from tests.rig import Rig, SteppedClock, failure, quiet, register
from tests.stage import Stage

T = Target("etl", "production")
ALL = ("*/*/*",)
_ABOUT_TASKS = ("flyte_task_", "flyte_node_")

EXPECTED = """\
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="decide",le="10.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="decide",le="60.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="decide",le="600.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="decide",le="+Inf"} 1
flyte_task_duration_seconds_count{project="etl",domain="production",task="decide"} 1
flyte_task_duration_seconds_sum{project="etl",domain="production",task="decide"} 5
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="deep",le="10.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="deep",le="60.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="deep",le="600.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="deep",le="+Inf"} 1
flyte_task_duration_seconds_count{project="etl",domain="production",task="deep"} 1
flyte_task_duration_seconds_sum{project="etl",domain="production",task="deep"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="10.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="60.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="600.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="+Inf"} 0
flyte_task_duration_seconds_count{project="etl",domain="production",task="lookup"} 0
flyte_task_duration_seconds_sum{project="etl",domain="production",task="lookup"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="part",le="10.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="part",le="60.0"} 2
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="part",le="600.0"} 2
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="part",le="+Inf"} 2
flyte_task_duration_seconds_count{project="etl",domain="production",task="part"} 2
flyte_task_duration_seconds_sum{project="etl",domain="production",task="part"} 70
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="10.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="60.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="600.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="+Inf"} 1
flyte_task_duration_seconds_count{project="etl",domain="production",task="prepare"} 1
flyte_task_duration_seconds_sum{project="etl",domain="production",task="prepare"} 19.5
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="shard",le="10.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="shard",le="60.0"} 0
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="shard",le="600.0"} 1
flyte_task_duration_seconds_bucket{project="etl",domain="production",task="shard",le="+Inf"} 1
flyte_task_duration_seconds_count{project="etl",domain="production",task="shard"} 1
flyte_task_duration_seconds_sum{project="etl",domain="production",task="shard"} 600
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="decide",le="1.0"} 0
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="decide",le="10.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="decide",le="+Inf"} 1
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="decide"} 1
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="decide"} 2
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="deep",le="1.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="deep",le="10.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="deep",le="+Inf"} 1
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="deep"} 1
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="deep"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="1.0"} 0
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="10.0"} 0
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="lookup",le="+Inf"} 0
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="lookup"} 0
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="lookup"} 0
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="part",le="1.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="part",le="10.0"} 2
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="part",le="+Inf"} 2
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="part"} 2
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="part"} 10
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="1.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="10.0"} 2
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="prepare",le="+Inf"} 2
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="prepare"} 2
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="prepare"} 2.5
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="shard",le="1.0"} 0
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="shard",le="10.0"} 1
flyte_task_queue_duration_seconds_bucket{project="etl",domain="production",task="shard",le="+Inf"} 1
flyte_task_queue_duration_seconds_count{project="etl",domain="production",task="shard"} 1
flyte_task_queue_duration_seconds_sum{project="etl",domain="production",task="shard"} 5
flyte_task_attempts_total{project="etl",domain="production",task="decide",phase="SUCCEEDED"} 1
flyte_task_attempts_total{project="etl",domain="production",task="decide",phase="FAILED"} 0
flyte_task_attempts_total{project="etl",domain="production",task="deep",phase="SUCCEEDED"} 1
flyte_task_attempts_total{project="etl",domain="production",task="deep",phase="FAILED"} 0
flyte_task_attempts_total{project="etl",domain="production",task="lookup",phase="SUCCEEDED"} 0
flyte_task_attempts_total{project="etl",domain="production",task="lookup",phase="FAILED"} 0
flyte_task_attempts_total{project="etl",domain="production",task="part",phase="SUCCEEDED"} 2
flyte_task_attempts_total{project="etl",domain="production",task="part",phase="FAILED"} 0
flyte_task_attempts_total{project="etl",domain="production",task="prepare",phase="SUCCEEDED"} 1
flyte_task_attempts_total{project="etl",domain="production",task="prepare",phase="FAILED"} 1
flyte_task_attempts_total{project="etl",domain="production",task="shard",phase="SUCCEEDED"} 2
flyte_task_attempts_total{project="etl",domain="production",task="shard",phase="FAILED"} 1
flyte_task_attempts_total{project="etl",domain="production",task="shard",phase="ABORTED"} 1
flyte_node_cache_lookups_total{project="etl",domain="production",task="lookup",cache_status="CACHE_HIT"} 1
flyte_node_cache_lookups_total{project="etl",domain="production",task="prepare",cache_status="CACHE_POPULATED"} 1
flyte_node_cache_lookups_total{project="etl",domain="production",task="shard",cache_status="CACHE_HIT"} 1
flyte_node_cache_lookups_total{project="etl",domain="production",task="shard",cache_status="CACHE_POPULATED"} 2
"""  # noqa: E501  # samples as they are


@pytest.fixture
def counting(tmp_path: Path) -> Any:
    """Return `counting(**settings)`: a rig that counts tasks, of all launch plans by default."""
    rigs: list[Rig] = []

    def make(*, slots: int = 64, **changed: Any) -> Rig:
        tasks = TasksSettings(**{"match": ALL, **changed})
        rigs.append(
            Rig(
                tmp_path,
                settings=ScrapeSettings(),
                hold=timedelta(0),
                tasks=tasks,
                concurrency=slots,
            )
        )
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.die()


Counting = Callable[..., Rig]


async def begin(rig: Rig) -> None:
    """Have the target polled for the first time: what is over by then is not counted."""
    await rig.poll(T)
    rig.clock.advance(60)


def run(rig: Rig, name: str, *, launch_plan: str = "nightly", **details: Any) -> ExecutionKey:
    """Have an execution begin now."""
    key = rig.launch(T, name, launch_plan=launch_plan, **details)
    rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
    return key


def propeller(rig: Rig, key: ExecutionKey) -> Propeller:
    """Return who reports what happens in an execution that has just begun."""
    return Propeller(rig.admin.calls, key, rig.clock.now())


def end(rig: Rig, key: ExecutionKey, *, after: float = 1000) -> None:
    """Have an execution succeed *after* so many seconds, and time pass until then."""
    rig.clock.advance(after)
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())


def simple(rig: Rig, name: str, *, launch_plan: str = "nightly", task: str = "work") -> None:
    """Have an execution of one task run from its beginning to its end."""
    key = run(rig, name, launch_plan=launch_plan)
    told = propeller(rig, key)
    told.node("start-node", "SUCCEEDED", 0)
    told.ran("n0", task, (0, 1, 11))
    told.node("n0", "SUCCEEDED", 11)
    end(rig, key, after=12)


async def count_all(rig: Rig) -> None:
    """Have the tasks counted of all that wait."""
    while rig.metric("flyte_exporter_task_backlog"):
        await rig.task_counter.count_next()


def samples(rig: Rig) -> list[str]:
    """Return what /metrics says about tasks."""
    return [line for line in page.lines(rig.exposition) if line.startswith(_ABOUT_TASKS)]


def attempts(rig: Rig, task: str = "work") -> float:
    """Return how many attempts at a task are counted to have succeeded."""
    return rig.totals().get(("flyte_task_attempts_total", *T, task, "SUCCEEDED"), 0.0)


def asked(rig: Rig) -> list[str]:
    """Return the calls about nodes and tasks that Admin got."""
    return [method for method, _ in rig.calls if "Node" in method or "Task" in method]


async def test_every_kind_of_node_comes_out_as_it_should(counting: Counting) -> None:
    """Retries, caches, sub-workflows, dynamic nodes, map tasks, and what is not ours to count."""
    rig = counting(match=("etl/prod*/night*",))
    await begin(rig)
    key = run(rig, "whole")
    child = rig.launch(T, "child", launch_plan="publish", mode=Mode.CHILD_WORKFLOW)
    told = propeller(rig, key)
    told.node("start-node", "SUCCEEDED", 0)
    told.ran("n0", "prepare", (2, 4, 9), phase="FAILED")
    told.ran("n0", "prepare", (10, 10.5, 30), attempt=1)
    told.node("n0", "SUCCEEDED", 30, task_node_metadata={**CACHED, "cache_status": 3})
    told.node("n1", "SUCCEEDED", 30, task_node_metadata={**CACHED, "cache_status": 2})
    told.node("n2", "RUNNING", 31, is_parent=True)
    told.ran("n2-0-a", "part", (31, 41, 101), parent="n2")
    told.ran("n3", "decide", (101, 103, 108))
    told.node("n3", "DYNAMIC_RUNNING", 108, is_parent=True, is_dynamic=True)
    told.ran("n3-0-d0", "part", (108, 108, 118), parent="n3")
    told.node("n3-0-d1", "RUNNING", 118, parent="n3", is_parent=True)
    told.ran("n3-0-d1-0-e", "deep", (118, 119, 120), parent="n3-0-d1")
    told.ran(
        "n4",
        "shard",
        (120, 125, 725),
        **inputs(
            (0, 0, "SUCCEEDED", "CACHE_HIT"),
            (1, 0, "FAILED", "CACHE_DISABLED"),
            (1, 1, "SUCCEEDED", "CACHE_POPULATED"),
            (2, 0, "SUCCEEDED", "CACHE_POPULATED"),
            (3, 0, "ABORTED", "CACHE_DISABLED"),
        ),
    )
    told.node("n5", "QUEUED", 726)
    told.node("n5", "RUNNING", 726, workflow_node_metadata={"execution_id": child._asdict()})
    told.node("n6", "SKIPPED", 727)
    told.node("end-node", "SUCCEEDED", 728)
    end(rig, key)
    await rig.poll(T)
    assert samples(rig) == []
    await count_all(rig)
    assert sorted(samples(rig)) == sorted(EXPECTED.splitlines())
    assert rig.metric('flyte_exporter_task_executions_total{outcome="counted"}') == 1
    # The top, three parents, and six nodes that a task ran for.
    assert len(asked(rig)) == 4 + 6


async def test_nobody_asks_for_tasks_unless_told_to(rig: Rig) -> None:
    """By default there is no call more, and nothing that waits."""
    await begin(rig)
    simple(rig, "a")
    await rig.poll(T)
    assert asked(rig) == []
    assert rig.ledger.tasks_due() == []
    assert rig.metric("flyte_exporter_task_backlog") == 0


async def test_only_what_is_matched_is_looked_at(counting: Counting) -> None:
    """By project, domain and launch plan; what never ran has no tasks."""
    rig = counting(match=("etl/production/night*", "other/*/*"))
    await begin(rig)
    simple(rig, "a")
    simple(rig, "b", launch_plan="hourly", task="other")
    key = rig.launch(T, "c", launch_plan="nightly")
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
    await rig.poll(T)
    assert rig.metric("flyte_exporter_task_backlog") == 1
    await count_all(rig)
    assert (attempts(rig), attempts(rig, "other")) == (1, 0)


async def test_what_was_over_at_the_beginning_is_not_counted(counting: Counting) -> None:
    """As with everything else that is counted."""
    rig = counting()
    simple(rig, "a")
    await begin(rig)
    await rig.poll(T)
    assert rig.metric("flyte_exporter_task_backlog") == 0


@pytest.mark.parametrize("fatal", range(12))
async def test_a_crash_at_any_moment_counts_once(counting: Counting, fatal: int) -> None:
    """Whether it comes before or after the end, or the tasks, were committed."""
    rig = counting()
    await begin(rig)
    for name in ("a", "b"):
        simple(rig, name)
    with rig.killed_at(fatal) as death:
        await rig.poll(T)
        await count_all(rig)
    assert death.came is (fatal < 11)
    await rig.poll(T)
    await count_all(rig)
    assert attempts(rig) == 2
    assert rig.ledger.tasks_due() == []


async def test_the_oldest_are_dropped_and_counted(counting: Counting) -> None:
    """What is still counted is what ended last; the ledger forgets the others, the log tells."""
    rig = counting(backlog=2)
    await begin(rig)
    with capture_logs() as logs:
        for number in range(5):
            simple(rig, f"r{number}", task=f"t{number}")
            await rig.poll(T)
    assert [log["setting"] for log in logs if "setting" in log] == ["tasks.backlog"]
    assert rig.metric("flyte_exporter_task_backlog_dropped_total") == 3
    assert rig.metric("flyte_exporter_task_backlog") == 2
    await count_all(rig)
    assert [attempts(rig, f"t{number}") for number in range(5)] == [0, 0, 0, 1, 1]
    assert rig.ledger.tasks_due() == []


async def test_what_is_gone_or_too_large_is_passed_over(counting: Counting) -> None:
    """Each says so in its own way, and the next one gets its turn."""
    rig = counting(max_nodes=2)
    await begin(rig)
    for name in ("gone", "small"):
        simple(rig, name)
    key = run(rig, "large")
    told = propeller(rig, key)
    for number in range(3):
        told.ran(f"n{number}", "many", (0, 1, 2))
    end(rig, key)
    bare = run(rig, "bare")
    end(rig, bare)
    await rig.poll(T)
    rig.store.execute("DELETE FROM node_executions WHERE execution_name = 'gone'")
    await count_all(rig)
    outcomes = {
        outcome: rig.metric(f'flyte_exporter_task_executions_total{{outcome="{outcome}"}}')
        for outcome in ("counted", "gone", "too_large", "failed")
    }
    assert outcomes == {"counted": 1, "gone": 2, "too_large": 1, "failed": 0}
    assert (attempts(rig), attempts(rig, "many")) == (1, 0)
    assert rig.ledger.tasks_due() == []


async def test_one_that_is_too_large_is_not_read_to_its_end(counting: Counting) -> None:
    """As soon as it is known to be, nobody asks for more of it."""
    rig = counting(max_nodes=250)
    await begin(rig)
    key = run(rig, "large")
    told = propeller(rig, key)
    for number in range(450):
        told.node(f"n{number}", "SUCCEEDED", 1)
    end(rig, key)
    await rig.poll(T)
    await count_all(rig)
    assert rig.metric('flyte_exporter_task_executions_total{outcome="too_large"}') == 1
    assert asked(rig) == ["ListNodeExecutions"] * 2


async def test_a_parent_that_vanishes_takes_its_execution_along(counting: Counting) -> None:
    """Half of an execution is not counted: NOT_FOUND for one node is so for all."""
    rig = counting()
    await begin(rig)
    key = run(rig, "a")
    told = propeller(rig, key)
    told.ran("n0", "work", (0, 1, 2))
    told.node("n1", "RUNNING", 2, is_parent=True)
    end(rig, key)
    await rig.poll(T)

    async def lose(method: str) -> None:
        if method == "ListTaskExecutions":
            rig.store.execute("DELETE FROM node_executions")

    rig.at_await = lose
    await count_all(rig)
    assert attempts(rig) == 0
    assert rig.metric('flyte_exporter_task_executions_total{outcome="gone"}') == 1


def refuse(
    rig: Rig, code: grpc.StatusCode, *, times: int, about: str = "", details: str = "no"
) -> None:
    """Have the next calls for nodes fail, or those *about* an execution or project."""
    left = [times]

    async def fail(method: str) -> None:
        if method != "ListNodeExecutions" or left[0] <= 0:
            return
        asked = rig.calls[-1][1].workflow_execution_id
        if about in ("", asked.name, asked.project):
            left[0] -= 1
            raise failure(code, details)

    rig.at_await = fail


def logged(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the log tells a person."""
    return [log["event"] for log in logs if log["log_level"] != "debug"]


def sleeps(rig: Rig) -> list[float]:
    """Have time pass at once where somebody pauses, and return how long they do."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        rig.clock.advance(seconds)

    rig.clock.sleep = sleep  # type: ignore[method-assign]
    return slept


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ],
)
async def test_an_outage_is_waited_for(counting: Counting, code: grpc.StatusCode) -> None:
    """Longer and longer, up to a minute; nothing is lost by it, and the log tells it once."""
    rig = counting()
    await begin(rig)
    for name in ("a", "b", "c"):
        simple(rig, name)
    await rig.poll(T)
    slept = sleeps(rig)
    refuse(rig, code, times=40)
    with capture_logs() as logs:
        await count_all(rig)
        assert slept == [1, 2, 4, 8, 16, 32, *[60] * 34]
        assert attempts(rig) == 3
        assert rig.metric('flyte_exporter_task_executions_total{outcome="failed"}') == 0
        assert logged(logs) == ["tasks cannot be counted"]
        await quiet()
    assert logged(logs) == ["tasks cannot be counted", "tasks can be counted again"]


async def test_workers_that_disagree_do_not_take_turns_in_the_log(counting: Counting) -> None:
    """While one is throttled and the other is answered, neither is told again and again."""
    rig = counting(concurrency=2)
    await begin(rig)
    for number in range(30):
        simple(rig, f"r{number}")
    await rig.poll(T)
    clock = SteppedClock(rig)
    rig.clock.sleep = clock.sleep  # type: ignore[method-assign]

    async def throttle(method: str) -> None:
        if method == "ListNodeExecutions" and len(asked(rig)) % 5 == 0:
            raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")

    rig.at_await = throttle
    with capture_logs() as logs:
        counting_all = asyncio.create_task(rig.task_counter.run())
        await clock.advance(60)
        assert (attempts(rig), logged(logs)) == (30, ["tasks cannot be counted"])
        rig.at_await = rig.nothing_happens
        await clock.advance(90)
    counting_all.cancel()
    await asyncio.gather(counting_all, return_exceptions=True)
    assert logged(logs) == ["tasks cannot be counted", "tasks can be counted again"]


async def test_who_is_still_waiting_for_an_answer_has_not_tried_again(counting: Counting) -> None:
    """A minute's pause and half a minute's call later it may fail again; until then all is calm."""
    rig = counting(concurrency=2)
    await begin(rig)
    simple(rig, "first")
    await rig.poll(T)
    clock = SteppedClock(rig)
    rig.clock.sleep = clock.sleep  # type: ignore[method-assign]
    refuse(rig, grpc.StatusCode.UNAVAILABLE, times=1)
    nodes = rig.services.admin.nodes(rate=10_000, concurrency=2)
    counter = TaskCounter(rig.services, rig.backlog, nodes, settings=rig.tasks)

    async def hang(method: str) -> None:
        if method == "ListNodeExecutions" and rig.calls[-1][1].workflow_execution_id.name == "slow":
            rig.at_await = rig.nothing_happens
            await clock.sleep(29)
            raise failure(grpc.StatusCode.UNAVAILABLE)

    with capture_logs() as logs:
        counting_all = asyncio.create_task(counter.run())
        # The next call begins just before the pause of whoever failed could have been over.
        await clock.advance(60 - 2 * 12)
        rig.at_await = hang
        for name in ("slow", "quick"):
            simple(rig, name)
        await rig.poll(T)
        await clock.advance(1)
        assert attempts(rig) == 2
        assert logged(logs) == ["tasks cannot be counted"]
        await clock.advance(30)
        assert attempts(rig) == 3
        assert logged(logs) == ["tasks cannot be counted"]
        await clock.advance(90)
        assert logged(logs) == ["tasks cannot be counted", "tasks can be counted again"]
    counting_all.cancel()
    await asyncio.gather(counting_all, return_exceptions=True)


async def test_one_that_fails_once_says_nothing_of_the_others(counting: Counting) -> None:
    """It may be at fault itself, and nobody is told; of two in a row somebody is."""
    rig = counting()
    await begin(rig)
    for name in ("a", "b", "c"):
        simple(rig, name)
    await rig.poll(T)
    slept = sleeps(rig)
    with capture_logs() as logs:
        refuse(rig, grpc.StatusCode.UNKNOWN, times=1)
        await rig.task_counter.count_next()
        await rig.task_counter.count_next()
        assert (slept, attempts(rig), logged(logs)) == ([1], 1, [])
        refuse(rig, grpc.StatusCode.UNKNOWN, times=2)
        await rig.task_counter.count_next()
        assert logged(logs) == []
        await rig.task_counter.count_next()
        assert (slept, logged(logs)) == ([1, 1, 2], ["tasks cannot be counted"])


def test_what_is_the_fault_of_no_execution_is_known() -> None:
    """A call that was not made says nothing of it, nor does an Admin that nobody can reach."""
    for code in ("UNAVAILABLE", "UNAUTHENTICATED", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"):
        assert fault_of(refusal("ListNodeExecutions", code, "")) is Fault.ALL
    held = HeldBack(method="ListNodeExecutions", code="DEADLINE_EXCEEDED", details="no room")
    assert fault_of(held) is Fault.ALL
    assert fault_of(refusal("ListNodeExecutions", "DEADLINE_EXCEEDED", "")) is Fault.UNKNOWN


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNKNOWN, "no"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "received metadata size exceeds hard limit"),
    ],
)
async def test_what_fails_by_itself_does_not_hold_up_the_others(
    counting: Counting, code: grpc.StatusCode, details: str
) -> None:
    """After three times, with others answered in between, it is said to have failed."""
    rig = counting()
    await begin(rig)
    for name in ("a", "b", "c", "d"):
        simple(rig, name)
    await rig.poll(T)
    slept = sleeps(rig)
    refuse(rig, code, times=1000, about="a", details=details)
    for counted in (0, 1, 2, 3):
        await rig.task_counter.count_next()
        assert attempts(rig) == counted
    failed = 'flyte_exporter_task_executions_total{outcome="failed"}'
    for _ in range(5):
        # Nobody else was answered in between: this may be an outage.
        await rig.task_counter.count_next()
    assert slept == [1, 1, 2, 4, 8, 16]
    simple(rig, "e")
    await rig.poll(T)
    await rig.task_counter.count_next()
    await rig.task_counter.count_next()
    assert (attempts(rig), rig.metric(failed)) == (4, 0)
    with capture_logs() as logs:
        await count_all(rig)
    assert rig.metric(failed) == 1
    assert [log["execution"] for log in logs if log["log_level"] == "warning"] == ["a"]


def test_no_more_is_remembered_of_failures_than_may_wait() -> None:
    """Who is dropped from the backlog while it fails is forgotten in the end."""
    dues = [Due(T, ExecutionId(f"r{number}", Micros(number)), "nightly") for number in range(3)]
    faults = Faults(2)

    def fail_all() -> list[bool]:
        found = [faults.given_up(due) for due in dues]
        faults.answered(Due(T, ExecutionId("other", Micros(0)), "nightly"))
        return found

    assert [fail_all() for _ in range(5)] == [[False] * 3] * 5
    dues.pop()
    assert [any(fail_all()) for _ in range(3)] == [False, False, True]


async def test_a_denied_target_does_not_hold_up_the_others(counting: Counting) -> None:
    """It is left alone for five minutes and asked again; nothing of it is lost."""
    rig = counting()
    other = Target("ml", "production")
    register(rig, "ml")
    await begin(rig)
    await rig.poll(other)
    for number in range(20):
        simple(rig, f"denied{number}")
    await rig.poll(T)
    key = rig.launch(other, "healthy", launch_plan="nightly")
    rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
    propeller(rig, key).ran("n0", "work", (0, 1, 2))
    end(rig, key)
    await rig.poll(other)
    clock = SteppedClock(rig)
    rig.clock.sleep = clock.sleep  # type: ignore[method-assign]
    refuse(rig, grpc.StatusCode.PERMISSION_DENIED, times=2, about="etl")
    with capture_logs() as logs:
        counting_all = asyncio.create_task(rig.task_counter.run())
        await clock.advance(1)
        assert rig.totals()["flyte_task_attempts_total", *other, "work", "SUCCEEDED"] == 1
        await clock.advance(400)
        assert (attempts(rig), asked(rig).count("ListNodeExecutions")) == (0, 3)
        await clock.advance(300)
        assert attempts(rig) == 20
    told = [log["event"] for log in logs if "of a target" in log["event"]]
    assert told == [
        "tasks of a target cannot be counted",
        "tasks of a target can be counted again",
    ]
    assert rig.task_counter._denied == set()
    counting_all.cancel()
    await asyncio.gather(counting_all, return_exceptions=True)


async def test_a_denied_target_is_asked_again_by_the_next(counting: Counting) -> None:
    """A reload may have brought other credentials."""
    rig = counting()
    await begin(rig)
    simple(rig, "a")
    await rig.poll(T)
    rig.clock.sleep = SteppedClock(rig).sleep  # type: ignore[method-assign]
    refuse(rig, grpc.StatusCode.PERMISSION_DENIED, times=1)
    counting_all = asyncio.create_task(rig.task_counter.run())
    await quiet()
    counting_all.cancel()
    await asyncio.gather(counting_all, return_exceptions=True)
    assert attempts(rig) == 0
    rig.relieve()
    async with asyncio.timeout(5):
        await rig.task_counter.count_next()
    assert attempts(rig) == 1


async def test_who_is_stopped_leaves_it_to_the_next(counting: Counting) -> None:
    """As a reload does, in the midst of an execution: it waits again, in its old place."""
    rig = counting()
    await begin(rig)
    for name, task in (("a", "first"), ("b", "second")):
        simple(rig, name, task=task)
    await rig.poll(T)
    hangs = asyncio.Event()

    async def hang(method: str) -> None:
        if method == "ListTaskExecutions":
            await hangs.wait()

    rig.at_await = hang
    counting_one = asyncio.create_task(rig.task_counter.count_next())
    await quiet()
    counting_one.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await counting_one
    rig.at_await = rig.nothing_happens
    await rig.task_counter.count_next()
    assert (attempts(rig, "first"), attempts(rig, "second")) == (1, 0)


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_who_is_stopped_while_it_commits_has_counted(counting: Counting, moment: str) -> None:
    """What was begun comes true, and nobody counts it again."""
    rig = counting()
    await begin(rig)
    simple(rig, "a")
    await rig.poll(T)

    async def stop(what: str) -> None:
        if what == moment:
            raise asyncio.CancelledError

    rig.at_await = stop
    with contextlib.suppress(asyncio.CancelledError):
        await rig.task_counter.count_next()
    rig.at_await = rig.nothing_happens
    assert rig.metric("flyte_exporter_task_backlog") == 0
    assert attempts(rig) == 1


async def test_what_is_not_written_waits_again(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when who wrote it was stopped meanwhile, and is not there to see it fail."""
    rig = counting()
    await begin(rig)
    simple(rig, "a")
    await rig.poll(T)
    async with Journal(rig.ledger, clock=rig.clock, observer=rig.process) as journal:
        counter = TaskCounter(
            dataclasses.replace(rig.services, journal=journal),
            rig.backlog,
            rig.services.admin.nodes(rate=10_000, concurrency=1),
            settings=rig.tasks,
        )
        loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def fail(_: Any) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait()
            raise LedgerError("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(rig.ledger, "commit", fail)
            counting_one = asyncio.create_task(counter.count_next())
            await begun.wait()
            counting_one.cancel()
            await asyncio.gather(counting_one, return_exceptions=True)
            go_on.set()
            await journal.settle()
        assert rig.metric("flyte_exporter_task_backlog") == 1
        await counter.count_next()
    assert attempts(rig) == 1


async def test_a_backlog_of_another_configuration_is_sifted(counting: Counting) -> None:
    """What is not wanted any more leaves memory at once, and the ledger by the next start."""
    rig = counting()
    await begin(rig)
    simple(rig, "a")
    simple(rig, "b", launch_plan="hourly", task="other")
    await rig.poll(T)
    rig.tasks = TasksSettings(match=("*/*/hourly",))
    rig.restart()
    assert [due.launch_plan for due in rig.ledger.tasks_due()] == ["hourly"]
    await count_all(rig)
    assert (attempts(rig), attempts(rig, "other")) == (0, 1)
    simple(rig, "c", launch_plan="hourly")
    await rig.poll(T)
    rig.backlog.set_rules(TasksSettings(), str)
    assert rig.metric("flyte_exporter_task_backlog") == 0
    rig.tasks = TasksSettings()
    rig.restart()
    assert rig.ledger.tasks_due() == []


async def test_a_backlog_heeds_the_names_of_a_reload(counting: Counting) -> None:
    """Patterns match what a launch plan is called from then on, also for those that wait."""
    rig = counting()
    await begin(rig)
    simple(rig, "a")
    simple(rig, "b", launch_plan="hourly", task="other")
    await rig.poll(T)
    rules = Labelling(rules=[Renaming("hour(ly)", "$1")])
    rig.backlog.set_rules(TasksSettings(match=("*/*/ly",)), rules.label)
    assert rig.metric("flyte_exporter_task_backlog") == 1
    await count_all(rig)
    assert (attempts(rig), attempts(rig, "other")) == (0, 1)


async def test_a_backlog_takes_nothing_from_the_polls(counting: Counting) -> None:
    """With ten thousand executions waiting and Admin hanging on them, every poll is in time."""
    rig = counting(slots=1, backlog=20_000)
    register(rig, "etl")
    stage = Stage(rig)
    hangs = asyncio.Event()
    calls: list[tuple[float, str]] = []

    async def hang_on_nodes(method: str) -> None:
        calls.append((rig.clock.monotonic(), method))
        if "Node" in method or "TaskExecutions" in method:
            await hangs.wait()

    rig.at_await = hang_on_nodes
    working = [asyncio.create_task(stage.scheduler.run())]
    await stage.clock.advance(1)
    target = Target("etl", "development")
    for number in range(10_000):
        key = rig.launch(target, f"r{number}", created_at=Micros(rig.clock.now() - number))
        rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    await stage.clock.advance(60)
    assert rig.metric("flyte_exporter_task_backlog") == 10_000
    nodes = rig.services.admin.nodes(rate=5, concurrency=2)
    counter = type(rig.task_counter)(
        rig.services, rig.backlog, nodes, settings=TasksSettings(match=ALL, concurrency=2)
    )
    working.append(asyncio.create_task(counter.run()))
    await quiet()
    assert sum(method == "ListNodeExecutions" for _, method in calls) == 1
    calls.clear()
    began = rig.clock.monotonic()
    await stage.clock.advance(10 * 30)
    polled = [at for at, method in calls if method == "ListExecutions"]
    interval = ScrapeSettings().interval.total_seconds()
    offsets = {round((at - began) % interval, 3) for at in polled}
    assert len({round(at) for at in polled}) == 10
    assert len(offsets) == 1
    assert rig.metric("flyte_admin_rate_limit_wait_seconds_total") == 0
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
