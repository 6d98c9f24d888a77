"""What is registered, from its activation to its end, and what /metrics says of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl.admin import project_pb2
from structlog.testing import capture_logs

from exporter.ledger.errors import LedgerError
from exporter.metrics.labelling import Labelling
from exporter.model.executions import Mode
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from exporter.model.time import SECOND
from tests import page
from tests.plans import HOURLY, NIGHTLY, activate, deactivate
from tests.rig import Rig, failure, register
from tests.stage import Stage

A, B = Target("a", "development"), Target("b", "development")
_ROUND = 310
"""Seconds that hold a listing of every target."""
_DAY = 24 * 3600
_FAMILIES = ("flyte_launch_plan_info", "flyte_launch_plan_active_since", "flyte_project")
_SINCE = "flyte_launch_plan_active_since_timestamp_seconds"
_SUCCESS = "flyte_exporter_target_inventory_last_success_timestamp_seconds"
_L = 'project="a",domain="development",launch_plan'


def info(launch_plan: str, version: str, schedule: str) -> str:
    """Return the line that a launch plan of A is to have."""
    workflow = f'workflow="wf.{launch_plan}",version="{version}",schedule="{schedule}"'
    return f'flyte_launch_plan_info{{{_L}="{launch_plan}",{workflow}}} 1'


class Company(Stage):
    """A stage whose scheduler can be ended, and begun again after a restart."""

    async def begin(self) -> None:
        """Start, and let every target be polled and listed once."""
        self.running = asyncio.create_task(self.scheduler.run())
        await self.clock.advance(5)

    async def end(self) -> None:
        """Stop."""
        self.running.cancel()
        await asyncio.wait([self.running])

    def lines(self) -> list[str]:
        """Return what /metrics says of launch plans and projects."""
        return [line for line in page.lines(self.rig.exposition) if line.startswith(_FAMILIES)]

    def since(self, launch_plan: str) -> float | None:
        """Return since when a launch plan of A is active."""
        return self.rig.metric(f'{_SINCE}{{{_L}="{launch_plan}"}}')


@pytest.fixture
async def company(make_rig: Callable[..., Rig]) -> AsyncIterator[Company]:
    """Return a running scheduler with the projects a and b."""
    rig = make_rig()
    for name in "ab":
        register(rig, name)
    stage = Company(rig)
    await stage.begin()
    yield stage
    await stage.end()


def broken(rig: Rig, method: str, *, when: Callable[[Any], bool] = lambda _: True) -> Any:
    """Have a method fail for some requests; returns what undoes it."""
    original = rig.admin.calls[method]

    def answer(request: Any) -> Any:
        if when(request):
            raise failure(grpc.StatusCode.UNKNOWN, "failed database operation")
        return original(request)

    rig.admin.calls = {**rig.admin.calls, method: answer}

    def undo() -> None:
        rig.admin.calls = {**rig.admin.calls, method: original}

    return undo


async def test_a_launch_plan_from_its_activation_to_its_end(company: Company) -> None:
    """Every step shows with the next listing, in exactly these lines."""
    states = [
        'flyte_projects{state="ACTIVE"} 2',
        'flyte_projects{state="ARCHIVED"} 0',
        'flyte_projects{state="SYSTEM_GENERATED"} 0',
        'flyte_projects{state="SYSTEM_ARCHIVED"} 0',
    ]
    assert company.lines() == states
    rig = company.rig
    listed: list[float] = []

    async def note(what: str) -> None:
        if what == "ListLaunchPlans" and rig.calls[-1][1].id.project == A.project:
            listed.append(rig.clock.now() / SECOND)

    rig.at_await = note
    activate(rig, A, "etl", schedule=NIGHTLY)
    activate(rig, A, "report", schedule=HOURLY)
    activate(rig, A, "tool")
    await company.clock.advance(_ROUND)
    (first,) = listed
    assert company.lines() == [
        info("etl", "v1", "0 3 * * *"),
        info("report", "v1", "every 1h"),
        info("tool", "v1", ""),
        *(f'{_SINCE}{{{_L}="{name}"}} {first!r}' for name in ("etl", "report", "tool")),
        *states,
    ]

    activate(rig, A, "etl", version="v2", schedule=HOURLY)
    deactivate(rig, A, "tool")
    with capture_logs() as logs:
        await company.clock.advance(_ROUND)
    (told,) = [log for log in logs if log["event"] == "launch plans changed"]
    assert (told["activated"], told["changed"], told["deactivated"]) == (0, 1, 1)
    assert company.lines() == [
        info("etl", "v2", "every 1h"),
        info("report", "v1", "every 1h"),
        *(f'{_SINCE}{{{_L}="{name}"}} {first!r}' for name in ("etl", "report")),
        *states,
    ]
    assert rig.metric(f'flyte_executions_launched_total{{{_L}="tool",mode="MANUAL"}}') == 0

    activate(rig, A, "tool")
    await company.clock.advance(_ROUND)
    assert company.since("tool") == listed[-1] == pytest.approx(first + 2 * 300)
    assert company.since("etl") == first


async def test_a_target_is_listed_once_all_of_its_first_listing_is_kept(company: Company) -> None:
    """Until then nobody may take what is not known yet for what is not active."""
    rig, inventory = company.rig, company.inventory
    register(rig, "c")
    target = Target("c", "development")
    for number in range(250):
        activate(rig, target, f"plan-{number}")
    seen: list[tuple[int, bool]] = []

    async def note(what: str) -> None:
        if what == "before commit" and inventory.active(target):
            seen.append((len(inventory.active(target)), inventory.is_listed(target)))

    rig.at_await = note
    await company.clock.advance(2 * _ROUND)
    assert seen[0] == (200, False)
    assert len(inventory.active(target)) == 250
    assert inventory.is_listed(target)


async def test_a_restart_keeps_since_when_and_shows_it_at_once(company: Company) -> None:
    """What the ledger knows is shown before Admin is asked, and stays if it cannot be asked."""
    rig = company.rig
    activate(rig, A, "etl", schedule=NIGHTLY)
    await company.clock.advance(_ROUND)
    before = company.lines()
    assert company.since("etl")
    await company.end()
    rig.restart()
    broken(rig, "ListLaunchPlans")
    again = Company(rig)
    await again.begin()
    assert [line for line in again.lines() if "flyte_projects" not in line] == [
        line for line in before if "flyte_projects" not in line
    ]
    assert not again.shows(f"{_SUCCESS}{{")
    await again.end()


async def test_polls_learn_what_is_active(company: Company) -> None:
    """Its schedule is judged, its freshness follows from that, and its past is asked for, once."""
    rig = company.rig
    activate(rig, A, "etl", schedule=NIGHTLY)
    await company.clock.advance(_ROUND + 60)
    limit = f'flyte_launch_plan_freshness_limit_seconds{{{_L}="etl"}}'
    due = f'flyte_launch_plan_schedule_next_due_timestamp_seconds{{{_L}="etl"}}'

    def kept() -> tuple[float | None, float | None]:
        return rig.metric(limit), (rig.metric(due) or -1) % _DAY

    assert kept() == (2 * _DAY, 3 * 3600)
    asked = [request.filters for method, request in rig.calls if method == "ListExecutions"]
    assert sum("eq(launch_plan.name,etl)" in filters for filters in asked) == 1

    # After a restart, from the ledger alone.
    await company.end()
    rig.restart()
    undo = broken(rig, "ListLaunchPlans")
    again = Company(rig)
    await again.begin()
    await again.clock.advance(60)
    assert kept() == (2 * _DAY, 3 * 3600)

    undo()
    deactivate(rig, A, "etl")
    await again.clock.advance(_ROUND + 60)
    assert (rig.metric(limit), rig.metric(due)) == (None, None)
    await again.end()


async def test_a_project_that_was_archived_owes_no_slot(tmp_path: Path) -> None:
    """What was not launched in that time was not missed: Flyte's scheduler passes such slots by."""
    rig = Rig(tmp_path, hold=timedelta())
    register(rig, "a")
    company = Company(rig)
    await company.begin()
    activate(rig, A, "etl", schedule=HOURLY)
    await company.clock.advance(_ROUND + 120)
    rig.admin.calls["UpdateProject"](
        project_pb2.Project(id="a", state=project_pb2.Project.ARCHIVED)
    )
    await company.clock.advance(2 * _ROUND)
    # Nothing happens for two days.
    rig.clock.advance(2 * _DAY)
    rig.admin.calls["UpdateProject"](project_pb2.Project(id="a", state=project_pb2.Project.ACTIVE))
    await company.clock.advance(3 * _ROUND)
    missed = f'flyte_launch_plan_schedule_missed_total{{{_L}="etl"}}'
    assert rig.metric(missed) == 0
    await company.end()
    rig.die()


async def test_counters_of_an_active_launch_plan_are_there_before_its_first_run(
    company: Company,
) -> None:
    """In the mode that it will run in, at 0; so the first run is an increment."""
    rig = company.rig
    activate(rig, A, "etl", schedule=NIGHTLY)
    activate(rig, A, "tool")
    await company.clock.advance(_ROUND)
    plans = {key[3:] for key in rig.totals() if key[1:3] == A and len(key) > 3}
    assert plans == {
        *((plan, mode) for plan, mode in (("etl", "SCHEDULED"), ("tool", "MANUAL"))),
        *(
            (plan, mode, how)
            for plan, mode in (("etl", "SCHEDULED"), ("tool", "MANUAL"))
            for how in ("SUCCEEDED", "FAILED", "USER", "SYSTEM")
        ),
        ("etl",),
        ("tool",),
    }
    assert set(rig.totals().values()) == {0}
    await company.clock.advance(rig.hold.total_seconds())
    await rig.upkeep.release()
    rig.launch(A, "first", launch_plan="etl", mode=Mode.SCHEDULED)
    await company.clock.advance(31)
    assert rig.metric(f'flyte_executions_launched_total{{{_L}="etl",mode="SCHEDULED"}}') == 1


async def test_an_active_launch_plan_has_levels_before_its_first_run(company: Company) -> None:
    """Nobody waits and nobody runs, as for any other; whether or not it has a schedule."""
    rig = company.rig
    activate(rig, A, "early")
    await company.clock.advance(_ROUND)
    activate(rig, A, "etl", schedule=NIGHTLY)
    activate(rig, A, "tool")
    await company.clock.advance(_ROUND)
    for plan in ("early", "etl", "tool"):
        for phase in ("UNDEFINED", "RUNNING"):
            level = f'flyte_executions_active{{{_L}="{plan}",phase="{phase}"}}'
            assert rig.metric(level) == 0, level


async def test_an_active_launch_plan_keeps_its_counters_however_seldom_it_runs(
    company: Company,
) -> None:
    """Once it is deactivated, they live as long as any others."""
    rig = company.rig
    activate(rig, A, "yearly", schedule=NIGHTLY)
    await company.clock.advance(_ROUND)
    assert company.scheduler.in_use(A, "yearly")
    deactivate(rig, A, "yearly")
    await company.clock.advance(_ROUND)
    assert not company.scheduler.in_use(A, "yearly")


async def test_a_listing_that_fails_changes_nothing_and_is_told_once(company: Company) -> None:
    """The gauges stay, dated by the last success; the log and the page say why."""
    rig = company.rig
    activate(rig, A, "etl")
    await company.clock.advance(_ROUND)
    before = company.lines()
    success = f'{_SUCCESS}{{project="a",domain="development"}}'
    listed_at = rig.metric(success)
    assert listed_at is not None
    assert listed_at == company.since("etl")
    deactivate(rig, A, "etl")
    undo = broken(rig, "ListLaunchPlans", when=lambda request: request.id.project == "a")
    with capture_logs() as logs:
        await company.clock.advance(2 * _ROUND)
    assert company.lines() == before
    assert rig.metric(success) == listed_at
    (warning,) = [log for log in logs if log["log_level"] == "warning"]
    assert warning["event"] == "launch plans cannot be listed"
    assert "UNKNOWN" in warning["problem"]
    statuses = {status.target: status for status in company.scheduler.statuses()}
    assert statuses[A].up
    assert statuses[A].active_plans == 1
    assert "ListLaunchPlans for a/development failed" in statuses[A].inventory_problem
    assert (statuses[B].active_plans, statuses[B].inventory_problem) == (0, "")
    undo()
    with capture_logs() as logs:
        await company.clock.advance(_ROUND)
    assert "launch plans can be listed again" in [log["event"] for log in logs]
    assert company.since("etl") is None
    statuses = {status.target: status for status in company.scheduler.statuses()}
    assert (statuses[A].active_plans, statuses[A].inventory_problem) == (0, "")


async def test_a_list_that_breaks_off_deactivates_nothing(company: Company) -> None:
    """What stands on the page that never came is as active as before."""
    rig = company.rig
    for number in range(201):
        activate(rig, A, f"plan-{number:03}")
    await company.clock.advance(_ROUND)
    assert company.since("plan-200") is not None
    undo = broken(rig, "ListLaunchPlans", when=lambda request: "gt(name" in request.filters)
    deactivate(rig, A, "plan-000")
    await company.clock.advance(_ROUND)
    assert company.since("plan-000") is not None
    undo()
    await company.clock.advance(_ROUND)
    assert company.since("plan-000") is None
    assert company.since("plan-200") is not None


async def test_an_activation_that_cannot_be_made_durable_is_made_so_later(
    company: Company,
) -> None:
    """Nothing is shown that the ledger does not have."""
    rig = company.rig
    activate(rig, A, "etl")

    async def full(what: str) -> None:
        if what == "before commit":
            raise LedgerError("Ledger l.db cannot grow: the disk is full.")

    rig.at_await = full
    await company.clock.advance(_ROUND)
    assert company.since("etl") is None
    problems = {status.inventory_problem for status in company.scheduler.statuses()}
    assert problems == {"", "Ledger l.db cannot grow: the disk is full."}
    rig.at_await = rig.nothing_happens
    await company.clock.advance(_ROUND)
    assert company.since("etl") is not None
    assert rig.ledger.active_plans()[A]["etl"].plan.workflow == "wf.etl"


async def test_an_archived_project_loses_its_launch_plans(company: Company) -> None:
    """With its targets; once it is back, they are active since then."""
    rig = company.rig
    activate(rig, A, "etl", schedule=NIGHTLY)
    await company.clock.advance(_ROUND)
    first = company.since("etl")
    assert first is not None
    rig.admin.calls["UpdateProject"](
        project_pb2.Project(id="a", state=project_pb2.Project.ARCHIVED)
    )
    await company.clock.advance(2 * _ROUND)
    assert company.lines() == [
        'flyte_projects{state="ACTIVE"} 1',
        'flyte_projects{state="ARCHIVED"} 1',
        'flyte_projects{state="SYSTEM_GENERATED"} 0',
        'flyte_projects{state="SYSTEM_ARCHIVED"} 0',
    ]
    assert rig.ledger.active_plans() == {}
    assert rig.metric(f'flyte_executions_launched_total{{{_L}="etl",mode="SCHEDULED"}}') == 0
    rig.admin.calls["UpdateProject"](project_pb2.Project(id="a", state=project_pb2.Project.ACTIVE))
    await company.clock.advance(2 * _ROUND)
    again = company.since("etl")
    assert again is not None
    assert again > first + 600


async def test_labels_of_projects_that_are_asked_for(make_rig: Callable[..., Rig]) -> None:
    """A label that a project does not have is empty, so that all series have the same ones."""
    rig = make_rig()
    for name, labels in (("a", {"team": "data", "Data-Owner": "x"}), ("b", {"else": "y"})):
        project = project_pb2.Project(id=name, name=name, labels={"values": labels})
        rig.admin.calls["RegisterProject"](project_pb2.ProjectRegisterRequest(project=project))
    company = Company(rig, project_labels=["team", "Data-Owner"])
    await company.begin()
    assert [line for line in company.lines() if "_info" in line] == [
        'flyte_project_info{project="a",label_team="data",label_data_owner="x"} 1',
        'flyte_project_info{project="b",label_team="",label_data_owner=""} 1',
    ]
    project = project_pb2.Project(id="a", labels={"values": {"team": "ml"}})
    rig.admin.calls["UpdateProject"](project)
    await company.clock.advance(_ROUND)
    assert company.lines()[-2] == (
        'flyte_project_info{project="a",label_team="ml",label_data_owner=""} 1'
    )
    await company.end()


async def test_gauges_past_the_limit_are_left_out_and_counted(tmp_path: Any) -> None:
    """What has no room comes in once there is some."""
    rig = Rig(tmp_path, limit=374)
    register(rig, "a")
    company = Company(rig)
    await company.begin()
    plans = [f"plan-{number:02}" for number in range(20)]
    for plan in plans:
        activate(rig, A, plan)
    await company.clock.advance(_ROUND)
    family = "flyte_launch_plan_info"
    left_out = rig.metric(f'flyte_exporter_series_overflow_total{{family="{family}"}}')
    shown = [plan for plan in plans if company.shows(f'{family}{{{_L}="{plan}"')]
    assert left_out
    assert len(shown) == 20 - left_out > 2
    assert "__overflow__" not in str(rig.totals())
    for plan in shown[:2]:
        deactivate(rig, A, plan)
    await company.clock.advance(2 * _ROUND)
    again = [plan for plan in plans if company.shows(f'{family}{{{_L}="{plan}"')]
    assert set(again) > set(shown[2:])
    await company.end()
    rig.die()


async def test_600_targets_are_spread_over_the_interval(rig: Rig) -> None:
    """One at a time; the first round at a tenth of the limit on calls, the next ones evenly."""
    stage = Stage(rig)
    at: list[float] = []
    under_way = most = 0

    async def at_await(_: str) -> None:
        nonlocal under_way, most
        at.append(stage.clock.monotonic())
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    rig.at_await = at_await
    begin = stage.clock.monotonic()
    inventory = stage.inventory
    targets = [Target(f"p{number:03}", "development") for number in range(600)]
    tasks = [asyncio.create_task(inventory.follow(target, lambda *_: None)) for target in targets]
    await stage.clock.advance(600)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert most == 1
    assert at[599] - begin < 0.2 * 601
    assert min(later - earlier for earlier, later in pairwise(at)) > 0.19
    second = [moment for moment in at if moment - begin >= 300]
    assert len(second) == 600
    by_quarter = Counter((moment - begin) // 75 for moment in second)
    assert all(100 <= count <= 200 for count in by_quarter.values())
    asked = Counter(request.id.project for _, request in rig.calls)
    assert len(asked) == 600
    assert set(asked.values()) <= {2, 3}


async def test_a_target_that_hangs_keeps_nobody_from_being_polled(company: Company) -> None:
    """Its listing is given up in time, and the others have their turns."""
    rig = company.rig
    activate(rig, B, "etl")

    async def at_await(what: str) -> None:
        if what == "ListLaunchPlans" and rig.calls[-1][1].id.project == "a":
            await company.clock.sleep(15)
            raise failure(grpc.StatusCode.DEADLINE_EXCEEDED)

    rig.at_await = at_await
    polls = Counter(m for m, _ in rig.calls)["ListExecutions"]
    await company.clock.advance(300)
    assert Counter(m for m, _ in rig.calls)["ListExecutions"] - polls >= 20
    await company.clock.advance(30)
    assert company.shows('flyte_launch_plan_info{project="b"')


async def test_active_launch_plans_that_share_a_name(tmp_path: Path) -> None:
    """Each has its line of information; the name is active since the first was, until the last."""
    rig = Rig(tmp_path, labelling=Labelling(rules=[Renaming(r"(.*)_v\d", "$1")]))
    register(rig, "a")
    company = Company(rig)
    activate(rig, A, "etl_v1", schedule=NIGHTLY)
    await company.begin()
    since = company.since("etl")
    activate(rig, A, "etl_v2")
    await company.clock.advance(_ROUND)
    lines = [line for line in company.lines() if line.startswith("flyte_launch_plan_info")]
    assert [line.partition('workflow="')[2].partition('"')[0] for line in lines] == [
        "wf.etl_v1",
        "wf.etl_v2",
    ]
    assert all('launch_plan="etl"' in line for line in lines)
    assert company.since("etl") == since
    assert rig.metric(f'flyte_executions_launched_total{{{_L}="etl",mode="SCHEDULED"}}') == 0
    deactivate(rig, A, "etl_v1")
    await company.clock.advance(_ROUND)
    lines = [line for line in company.lines() if line.startswith("flyte_launch_plan_info")]
    assert ["etl_v2" in line for line in lines] == [True]
    deactivate(rig, A, "etl_v2")
    await company.clock.advance(_ROUND)
    assert company.since("etl") is None
    await company.end()
    rig.die()
