"""The timetable: targets come and go, and none of them hurts another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from exporter.model.executions import Phase
from exporter.model.targets import Target
from exporter.model.time import parse_duration
from tests.rig import Rig, failure, quiet, register
from tests.stage import Stage

A, B = Target("a", "development"), Target("b", "development")


def refused(_: Any) -> Any:
    """Answer as Admin does whose database is away."""
    raise failure(grpc.StatusCode.UNKNOWN, "failed database operation")


@pytest.fixture
async def stage(make_rig: Callable[..., Rig]) -> AsyncIterator[Stage]:
    """Return a running scheduler with the projects a and b."""
    rig = make_rig()
    for name in ("a", "b"):
        register(rig, name)
    stage = Stage(rig)
    running = asyncio.create_task(stage.scheduler.run())
    await quiet()
    yield stage
    running.cancel()
    await asyncio.wait([running])


def hide(rig: Rig, name: str) -> Callable[[], None]:
    """Have ListProjects leave a project out; returns what undoes it."""
    original = rig.admin.calls["ListProjects"]

    def without(request: Any) -> Any:
        answer = original(request)
        rest = [project for project in answer.projects if project.id != name]
        del answer.projects[:]
        answer.projects.extend(rest)
        return answer

    rig.admin.calls = {**rig.admin.calls, "ListProjects": without}

    def undo() -> None:
        rig.admin.calls = {**rig.admin.calls, "ListProjects": original}

    return undo


async def test_ready_when_every_target_was_tried(stage: Stage) -> None:
    """Readiness does not ask for success, only that nothing is missing unsaid."""
    assert stage.scheduler.unready() == ""
    assert {status.target for status in stage.scheduler.statuses()} == {A, B}


async def test_not_ready_while_admin_is_down(make_rig: Callable[..., Rig]) -> None:
    """Without a first discovery we are not ready, say why, and are healthy all the same."""
    rig = make_rig()
    register(rig, "a")

    async def down(what: str) -> None:
        if what[0].isupper():
            raise failure(grpc.StatusCode.UNAVAILABLE, "connection refused")

    rig.at_await = down
    stage = Stage(rig)
    running = asyncio.create_task(stage.scheduler.run())
    await quiet()
    assert "UNAVAILABLE" in stage.scheduler.unready()
    assert stage.scheduler.unhealthy() == ""
    rig.at_await = rig.nothing_happens
    await stage.clock.advance(3)
    await quiet()
    assert stage.scheduler.unready() == ""
    running.cancel()
    await asyncio.wait([running])


async def test_targets_are_polled_once_an_interval(stage: Stage) -> None:
    """Ten intervals make ten polls of each target."""
    before = {t: polls(stage.rig, t) for t in (A, B)}
    await stage.clock.advance(300)
    await quiet()
    for target in (A, B):
        assert polls(stage.rig, target) - before[target] == 10


async def test_failing_target_leaves_the_others_alone(stage: Stage) -> None:
    """One target that is denied shows it and nothing else; the other is counted."""

    def denied_for_a(request: Any) -> Any:
        if request.id.project == "a":
            raise failure(grpc.StatusCode.PERMISSION_DENIED, "not you")
        return original(request)

    original = stage.rig.admin.calls["ListExecutions"]
    stage.rig.admin.calls = {**stage.rig.admin.calls, "ListExecutions": denied_for_a}
    stage.rig.launch(B, "fine")
    await stage.clock.advance(31)
    await quiet()
    statuses = {status.target: status for status in stage.scheduler.statuses()}
    assert (statuses[A].up, statuses[B].up) == (False, True)
    assert "PERMISSION_DENIED" in statuses[A].problem
    assert "discovery.exclude" in statuses[A].problem
    assert stage.shows('flyte_exporter_target_up{project="a",domain="development"} 0')
    assert stage.shows('flyte_exporter_target_up{project="b",domain="development"} 1')
    assert stage.rig.totals()["flyte_executions_launched_total", *B, "plan", "MANUAL"] == 1


async def test_hanging_targets_do_not_take_every_slot(make_rig: Callable[..., Rig]) -> None:
    """However many targets hang, the healthy ones go on being polled in time."""
    rig = make_rig(concurrency=4)
    for number in range(12):
        register(rig, f"hangs-{number}")
    register(rig, "b")
    stage = Stage(rig)

    async def at_await(what: str) -> None:
        if what == "ListExecutions" and rig.calls[-1][1].id.project.startswith("hangs"):
            await stage.clock.sleep(15)
            raise failure(grpc.StatusCode.DEADLINE_EXCEEDED)

    rig.at_await = at_await
    running = asyncio.create_task(stage.scheduler.run())
    await stage.clock.advance(120)
    before = polls(rig, B)
    await stage.clock.advance(300)
    await quiet()
    assert polls(rig, B) - before == 10
    running.cancel()
    await asyncio.wait([running])


async def test_target_goes_after_two_misses_and_its_counters_stay(stage: Stage) -> None:
    """What is gone has no present: its gauges go. What it counted stays true."""
    stage.rig.launch(A, "last")
    await stage.clock.advance(31)
    assert stage.shows('flyte_executions_active{project="a"')
    back = hide(stage.rig, "a")
    await stage.clock.advance(310)
    assert stage.shows('flyte_exporter_target_up{project="a"')
    await stage.clock.advance(310)
    await quiet()
    for gauge in ("flyte_executions_active", "flyte_exporter_target_up"):
        assert not stage.shows(f'{gauge}{{project="a"'), gauge
        assert stage.shows(f'{gauge}{{project="b"') or gauge == "flyte_executions_active"
    assert stage.shows('flyte_executions_launched_total{project="a"')
    back()
    stage.rig.admin.executions.move(
        stage.rig.launch(A, "again"), Phase.SUCCEEDED, at=stage.rig.clock.now()
    )
    await stage.clock.advance(310)
    await quiet()
    assert stage.rig.totals()["flyte_executions_launched_total", *A, "plan", "MANUAL"] == 2


async def test_project_created_between_discoveries_counts_from_its_first_run(
    stage: Stage,
) -> None:
    """The first runs of a new project, over before we knew of it, are counted."""
    await stage.clock.advance(60)
    register(stage.rig, "new")
    target = Target("new", "development")
    key = stage.rig.launch(target, "first")
    stage.rig.admin.executions.move(key, Phase.FAILED, at=stage.rig.clock.now())
    await stage.clock.advance(310)
    await quiet()
    totals = stage.rig.totals()
    assert totals["flyte_executions_finished_total", *target, "plan", "MANUAL", "FAILED"] == 1


async def test_more_targets_than_calls_is_said_once(make_rig: Callable[..., Rig]) -> None:
    """At the first discovery, and again when there are others; not at every one."""
    rig = make_rig()
    for name in ("a", "b"):
        register(rig, name)
    stage = Stage(rig, rate_limit=0.1)
    with capture_logs() as logs:
        running = asyncio.create_task(stage.scheduler.run())
        await quiet()
        await stage.clock.advance(310)
        await quiet()
        register(rig, "c")
        await stage.clock.advance(310)
        await quiet()
    running.cancel()
    await asyncio.wait([running])
    assert [(log["problem"], log["advice"]) for log in logs if log["log_level"] == "warning"] == [
        (
            "2 targets need 0.147 calls/s, but admin.rate_limit allows 0.1",
            'set admin.rate_limit: "1/s", or scrape.interval: "47s"',
        ),
        (
            "3 targets need 0.22 calls/s, but admin.rate_limit allows 0.1",
            'set admin.rate_limit: "1/s", or scrape.interval: "1m15s"',
        ),
    ]


async def test_what_is_told_of_each_poll_is_written_as_durations_are_elsewhere(
    make_rig: Callable[..., Rig],
) -> None:
    """Somebody who looks at the log for slow polls can read it, and give it to a setting."""
    rig = make_rig()
    register(rig, "a")
    stage = Stage(rig)

    async def slow(what: str) -> None:
        if what == "ListExecutions":
            await stage.clock.sleep(1.25)

    rig.at_await = slow
    with capture_logs() as logs:
        running = asyncio.create_task(stage.scheduler.run())
        await quiet()
        await stage.clock.advance(30)
    running.cancel()
    await asyncio.wait([running])
    lasted = [log["lasted"] for log in logs if log["event"] == "polled"]
    assert lasted
    assert all(parse_duration(each) >= timedelta(seconds=1.25) for each in lasted)


async def test_the_log_has_what_changes(stage: Stage) -> None:
    """A failure once, another kind of failure too, and that it is over once; no repetition."""
    answers = dict(stage.rig.admin.calls)

    def unforeseen(_: Any) -> Any:
        raise ZeroDivisionError

    with capture_logs() as logs:
        for call in (refused, unforeseen):
            stage.rig.admin.calls = {**answers, "ListExecutions": call, "ListProjects": refused}
            await stage.clock.advance(350)
        stage.rig.admin.calls = answers
        await stage.clock.advance(700)
    told = [
        (log["event"], log.get("project"), log.get("outcome"))
        for log in logs
        if log["log_level"] in {"info", "warning"}
    ]
    assert sorted(told, key=str) == [
        ("discovery failed", None, None),
        ("discovery recovered", None, None),
        ("target failing", "a", "admin_error"),
        ("target failing", "a", "internal_error"),
        ("target failing", "b", "admin_error"),
        ("target failing", "b", "internal_error"),
        ("target recovered", "a", None),
        ("target recovered", "b", None),
    ]


async def test_a_bug_in_one_poll_does_not_stop_the_others(stage: Stage) -> None:
    """An error that nobody foresaw is contained, logged with its traceback, and counted."""

    def broken_for_a(request: Any) -> Any:
        if request.id.project == "a":
            raise ZeroDivisionError
        return original(request)

    original = stage.rig.admin.calls["ListExecutions"]
    stage.rig.admin.calls = {**stage.rig.admin.calls, "ListExecutions": broken_for_a}
    await stage.clock.advance(31)
    await quiet()
    assert stage.rig.metric('flyte_exporter_polls_total{outcome="internal_error"}') == 1
    assert {s.target: s.up for s in stage.scheduler.statuses()} == {A: False, B: True}


async def test_stuck_worker_is_unhealthy(stage: Stage) -> None:
    """A worker that neither asks nor gives up is found out."""
    never = asyncio.get_running_loop().create_future()

    async def stuck(_: str) -> None:
        await never

    stage.rig.at_await = stuck
    await stage.clock.advance(31)
    assert stage.scheduler.unhealthy() == ""
    await stage.clock.advance(200)
    assert "has not moved for" in stage.scheduler.unhealthy()


def polls(rig: Rig, target: Target) -> int:
    """Return how many windows of *target* were listed."""
    return sum(
        method == "ListExecutions"
        and request.id.project == target.project
        and request.filters.startswith("gte(")
        and "value_in(phase" not in request.filters
        for method, request in rig.calls
    )


async def test_restart_goes_on_without_a_discovery(stage: Stage) -> None:
    """Where projects cannot be listed after a restart, known targets are polled all the same."""
    stage.rig.admin.calls = {**stage.rig.admin.calls, "ListProjects": refused}
    stage.rig.restart()
    again = Stage(stage.rig)
    running = asyncio.create_task(again.scheduler.run())
    await quiet()
    stage.rig.launch(A, "while-blind")
    await again.clock.advance(31)
    await quiet()
    assert stage.rig.totals()["flyte_executions_launched_total", *A, "plan", "MANUAL"] == 1
    assert "UNKNOWN" in again.scheduler.unready()
    running.cancel()
    await asyncio.wait([running])
