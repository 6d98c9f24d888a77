"""Whatever Admin does, a call ends in our own words, and is told to the observer once."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    project_pb2,
    schedule_pb2,
    version_pb2,
)
from opentelemetry.trace import NoOpTracer

from exporter.admin import query
from exporter.admin.client import CODES, METHODS, AdminClient, Version
from exporter.admin.connection import RECEIVE_LIMIT
from exporter.admin.errors import AdminError, MessageTooLarge, NotFound
from exporter.admin.nodes import NodeClient
from exporter.admin.opening import open_client
from exporter.model.executions import ExecutionId
from exporter.model.launch_plans import ActivePlan
from exporter.model.projects import Project, ProjectState
from exporter.model.schedules import Cron, Rate
from exporter.model.targets import Target
from exporter.model.time import SECOND
from tests.admin.conftest import Impatient, Refused, ScriptedAdmin, refusing, settings_for
from tests.calls import Calls
from tests.rows import NOON

_TARGET = Target("flytesnacks", "production")
_PATIENCE = 10.0
_ASK: dict[str, Callable[[AdminClient], Awaitable[Any]]] = {
    "ListExecutions": lambda client: client.list_executions(
        _TARGET, query.created_from(NOON), limit=3, timeout=_PATIENCE
    ),
    "GetExecution": lambda client: client.get_execution(_TARGET, "a", timeout=_PATIENCE),
    "ListLaunchPlans": lambda client: client.list_active_launch_plans(_TARGET, timeout=_PATIENCE),
    "ListProjects": lambda client: client.list_targets(timeout=_PATIENCE),
    "GetDomains": lambda client: client.list_domains(timeout=_PATIENCE),
    "GetVersion": lambda client: client.get_version(timeout=_PATIENCE),
    "ListNodeExecutions": lambda client: _nodes(client).list_nodes(_TARGET, "a", timeout=_PATIENCE),
    "ListTaskExecutions": lambda client: _nodes(client).list_attempts(
        _TARGET, "a", "n0", timeout=_PATIENCE
    ),
}


def _nodes(client: AdminClient) -> NodeClient:
    return client.nodes(rate=1000, concurrency=1)


def message(name: str) -> Any:
    """Return one execution as a message."""
    found = execution_pb2.Execution(id={"project": "p", "domain": "d", "name": name})
    found.closure.created_at.seconds = NOON // SECOND
    return found


def test_every_method_that_we_use_is_asked_here() -> None:
    """The claims below hold for all of them."""
    assert set(_ASK) == set(METHODS)


async def test_a_page_says_how_it_goes_on(client: AdminClient, server: ScriptedAdmin) -> None:
    """What is asked is what the query says; rows and token come back as they are."""
    server.answers["ListExecutions"] = lambda _: execution_pb2.ExecutionList(
        executions=[message("a"), message("b")], token="2"
    )
    asked = query.created_from(NOON)
    page = await client.list_executions(_TARGET, asked, limit=2, timeout=_PATIENCE, token="0")
    assert [row.id for row in page.executions] == [ExecutionId("a", NOON), ExecutionId("b", NOON)]
    assert page.token == "2"
    [(_, request)] = server.asked
    assert request == common_pb2.ResourceListRequest(
        id={"project": "flytesnacks", "domain": "production"},
        limit=2,
        token="0",
        filters=asked.filters,
        sort_by={"key": "execution_created_at", "direction": "ASCENDING"},
    )


async def test_an_execution_by_its_name(client: AdminClient, server: ScriptedAdmin) -> None:
    """The one row of that name in that target is asked for."""
    server.answers["GetExecution"] = lambda _: message("a")
    row = await client.get_execution(_TARGET, "a", timeout=_PATIENCE)
    assert row.id == ExecutionId("a", NOON)
    [(_, request)] = server.asked
    assert (request.id.project, request.id.domain, request.id.name) == (*_TARGET, "a")


async def test_targets_are_of_all_pages(client: AdminClient, server: ScriptedAdmin) -> None:
    """Projects are listed page by page, sorted; one that shifts into two pages is taken once."""

    def answer(request: Any) -> Any:
        first = request.token == ""
        names = ["a", "b"] if first else ["b", "c"]
        domains = [project_pb2.Domain(id="production")]
        return project_pb2.Projects(
            projects=[project_pb2.Project(id=name, domains=domains) for name in names],
            token="2" if first else "",
        )

    server.answers["ListProjects"] = answer
    listed = await client.list_targets(timeout=_PATIENCE)
    assert listed == [Target(name, "production") for name in "abc"]
    assert [request.sort_by.key for _, request in server.asked] == ["identifier"] * 2


async def test_a_token_behind_an_empty_page_ends_the_list(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """A server that always gives a token does not have us ask for ever."""
    server.answers["ListProjects"] = lambda _: project_pb2.Projects(token="again")
    assert await client.list_targets(timeout=_PATIENCE) == []


async def test_archived_projects_are_listed_and_are_no_targets(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Every state is asked for; a state that we do not know is told as that, and scraped."""
    states = (0, 1, 2, 3, 9)
    server.answers["ListProjects"] = lambda _: project_pb2.Projects(
        projects=[
            project_pb2.Project(
                id=f"p{state}",
                state=state,  # the last one is a newer server's
                labels={"values": {"team": "etl"}},
                domains=[{"id": "production"}],
            )
            for state in states
        ]
    )
    listed = await client.list_projects(timeout=_PATIENCE)
    assert [project.state for project in listed] == [
        ProjectState.ACTIVE,
        ProjectState.ARCHIVED,
        ProjectState.SYSTEM_GENERATED,
        ProjectState.SYSTEM_ARCHIVED,
        ProjectState.UNRECOGNIZED,
    ]
    assert listed[0] == Project("p0", ProjectState.ACTIVE, {"team": "etl"}, ("production",))
    assert [request.filters for _, request in server.asked] == ["value_in(state,0;1;2;3)"]
    targets = await client.list_targets(timeout=_PATIENCE)
    assert targets == [Target(name, "production") for name in ("p0", "p2", "p3", "p9")]


def plan(name: str, **schedule: Any) -> launch_plan_pb2.LaunchPlan:
    """Return an active launch plan as a message."""
    found = launch_plan_pb2.LaunchPlan(id={"name": name, "version": "v1"})
    found.spec.workflow_id.name = f"wf.{name}"
    found.spec.entity_metadata.schedule.CopyFrom(schedule_pb2.Schedule(**schedule))
    return found


async def test_active_launch_plans_and_their_schedules(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Each kind of schedule is told apart; what Admin makes around single tasks is left out."""
    hours = schedule_pb2.FixedRate(value=36, unit=schedule_pb2.HOUR)
    never = schedule_pb2.FixedRate(value=0, unit=schedule_pb2.DAY)
    alone = plan("alone", cron_expression="@hourly")
    alone.spec.concurrency_policy.max = 3
    alone.spec.concurrency_policy.behavior = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    # Flyte runs whatever comes unless it is told what to do past the limit.
    manual = plan("manual")
    manual.spec.concurrency_policy.max = 1
    frozen = plan("frozen", cron_expression="@hourly")
    frozen.spec.concurrency_policy.CopyFrom(alone.spec.concurrency_policy)
    frozen.spec.concurrency_policy.max = 0
    server.answers["ListLaunchPlans"] = lambda _: launch_plan_pb2.LaunchPlanList(
        launch_plans=[
            plan(".flytegen.task"),
            alone,
            plan("cron", cron_schedule=schedule_pb2.CronSchedule(schedule="0 3 * * *")),
            plan("endless", rate=never),
            frozen,
            manual,
            plan("old", cron_expression="@daily"),
            plan("rate", rate=hours),
        ]
    )
    assert await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE) == [
        ActivePlan("alone", "v1", "wf.alone", Cron("@hourly"), 3),
        ActivePlan("cron", "v1", "wf.cron", Cron("0 3 * * *")),
        ActivePlan("endless", "v1", "wf.endless", None),
        ActivePlan("frozen", "v1", "wf.frozen", Cron("@hourly"), 0),
        ActivePlan("manual", "v1", "wf.manual", None),
        ActivePlan("old", "v1", "wf.old", Cron("@daily")),
        ActivePlan("rate", "v1", "wf.rate", Rate(timedelta(hours=36))),
    ]
    ((_, request),) = server.asked
    assert (request.id.project, request.id.domain) == _TARGET
    assert (request.filters, request.sort_by.key) == ("eq(state,1)", "name")


async def test_the_next_page_of_launch_plans_begins_after_the_last_name(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """So a plan that is deactivated between two pages hides no other; by offset where it must."""
    pages = {
        ("eq(state,1)", ""): (["a", "b"], "2"),
        ("eq(state,1)+gt(name,b)", ""): (["c", "d, the unspeakable"], "2"),
        ("eq(state,1)+gt(name,b)", "2"): (["e"], ""),
    }

    def answer(request: Any) -> Any:
        names, token = pages[request.filters, request.token]
        return launch_plan_pb2.LaunchPlanList(launch_plans=map(plan, names), token=token)

    server.answers["ListLaunchPlans"] = answer
    listed = await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE)
    assert [found.name for found in listed] == ["a", "b", "c", "d, the unspeakable", "e"]
    assert len(server.asked) == 3


@pytest.mark.parametrize("names", [[], ["a"], ["the unspeakable;"]])
async def test_pages_of_launch_plans_that_bring_nothing_new_end_the_list(
    client: AdminClient, server: ScriptedAdmin, names: list[str]
) -> None:
    """A server that always gives a token does not have us ask for ever."""
    server.answers["ListLaunchPlans"] = lambda _: launch_plan_pb2.LaunchPlanList(
        launch_plans=map(plan, names), token="again"
    )
    listed = await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE)
    assert [found.name for found in listed] == names


async def test_a_page_of_launch_plans_that_is_too_large_is_asked_for_again_with_fewer(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """None is lost over it; one that cannot be received by itself fails the list."""
    large = plan("large")
    large.spec.raw_output_data_config.output_location_prefix = "x" * (RECEIVE_LIMIT // 150)
    every = [large.__deepcopy__({}) for _ in range(200)]
    for number, one in enumerate(every):
        one.id.name = f"{number:03}"

    def answer(request: Any) -> Any:
        after = request.filters.removeprefix("eq(state,1)").removeprefix("+gt(name,").rstrip(")")
        rest = [one for one in every if one.id.name > after]
        page = rest[: request.limit]
        return launch_plan_pb2.LaunchPlanList(
            launch_plans=page, token="x" if len(page) == request.limit else ""
        )

    server.answers["ListLaunchPlans"] = answer
    listed = await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE)
    assert [found.name for found in listed] == [one.id.name for one in every]
    await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE)
    assert [request.limit for _, request in server.asked] == [200, *[100] * 6]
    large.spec.raw_output_data_config.output_location_prefix = "x" * RECEIVE_LIMIT
    every = [large]
    with pytest.raises(MessageTooLarge):
        await client.list_active_launch_plans(_TARGET, timeout=_PATIENCE)


async def test_a_page_of_projects_that_is_too_large_is_asked_for_again_with_fewer(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Discovery does not fail over projects with many labels; the size that worked is kept."""
    names = [f"p{number:03}" for number in range(450)]

    def answer(request: Any) -> Any:
        if request.limit > 250:
            raise Refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)"
            )
        begin = int(request.token or 0)
        end = begin + request.limit
        return project_pb2.Projects(
            projects=[{"id": name} for name in names[begin:end]],
            token=str(end) if end < len(names) else "",
        )

    server.answers["ListProjects"] = answer
    for _ in range(2):
        listed = await client.list_projects(timeout=_PATIENCE)
        assert [found.id for found in listed] == names
    assert [request.limit for _, request in server.asked] == [500, 250, 250, 250, 250]


@pytest.mark.parametrize("method", ["ListLaunchPlans", "ListProjects"])
async def test_what_has_no_name_is_an_admin_error(
    client: AdminClient, server: ScriptedAdmin, method: str
) -> None:
    """Nobody can say which launch plan or project it is."""
    server.answers["ListLaunchPlans"] = lambda _: launch_plan_pb2.LaunchPlanList(
        launch_plans=[plan("")]
    )
    server.answers["ListProjects"] = lambda _: project_pb2.Projects(projects=[{"name": "x"}])
    with pytest.raises(AdminError, match="answered with a") as failed:
        await _ASK[method](client)
    assert failed.value.code == "INTERNAL"


async def test_the_version(client: AdminClient, server: ScriptedAdmin) -> None:
    """Admin's own words."""
    server.answers["GetVersion"] = lambda _: version_pb2.GetVersionResponse(
        control_plane_version={"Version": "v1.16.8", "Build": "abc"}
    )
    assert await client.get_version(timeout=_PATIENCE) == Version("v1.16.8", "abc")


async def test_no_such_execution(client: AdminClient, server: ScriptedAdmin) -> None:
    """NOT_FOUND is an answer of its own kind: the poll asks about absence."""
    server.answers["GetExecution"] = refusing(grpc.StatusCode.NOT_FOUND, "missing entity")
    with pytest.raises(NotFound) as failed:
        await client.get_execution(_TARGET, "a", timeout=_PATIENCE)
    assert str(failed.value) == (
        "GetExecution for flytesnacks/production/a failed with NOT_FOUND: missing entity"
    )


async def test_an_answer_over_the_limit_is_too_large(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """A message that gRPC really refuses to receive is told from any other exhaustion."""
    large = message("a")
    large.spec.annotations.values["notes"] = "x" * RECEIVE_LIMIT
    server.answers["ListExecutions"] = lambda _: execution_pb2.ExecutionList(executions=[large])
    with pytest.raises(MessageTooLarge):
        await _ASK["ListExecutions"](client)
    assert calls.finished == [("ListExecutions", "RESOURCE_EXHAUSTED")]


async def test_an_answer_just_below_the_limit_arrives(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """The limit is ours, five times grpc's own: such a page is received."""
    large = message("a")
    large.spec.annotations.values["notes"] = "x" * (RECEIVE_LIMIT - 1000)
    server.answers["ListExecutions"] = lambda _: execution_pb2.ExecutionList(executions=[large])
    page = await _ASK["ListExecutions"](client)
    assert [row.id.name for row in page.executions] == ["a"]


async def test_another_exhaustion_is_not_a_matter_of_size(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """A quota that is used up is not cured by smaller pages."""
    server.answers["ListExecutions"] = refusing(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
    with pytest.raises(AdminError) as failed:
        await _ASK["ListExecutions"](client)
    assert not isinstance(failed.value, MessageTooLarge)


async def test_an_admin_that_hangs_ends_at_the_deadline(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """A call that is not answered costs its deadline and no more."""
    server.answers["GetVersion"] = lambda _: asyncio.get_running_loop().create_future()
    with pytest.raises(AdminError) as failed:
        await client.get_version(timeout=0.1)
    assert failed.value.code == "DEADLINE_EXCEEDED"
    assert calls.finished == [("GetVersion", "DEADLINE_EXCEEDED")]
    assert calls.seconds[0] >= 0.09


async def test_nobody_there_is_unavailable(calls: Calls, clock: Impatient) -> None:
    """A refused connection says what to look at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = settings_for(ScriptedAdmin(port=free.getsockname()[1]))
        async with open_client(
            nobody, clock=clock, observer=calls, tracer=NoOpTracer(), attempts=1
        ) as client:
            with pytest.raises(AdminError) as failed:
                await client.get_version(timeout=_PATIENCE)
    assert failed.value.code == "UNAVAILABLE"
    assert str(failed.value).endswith("or have `flyte-exporter doctor` find out why")
    assert calls.finished == [("GetVersion", "UNAVAILABLE")]


@pytest.mark.parametrize("method", METHODS)
async def test_garbage_from_the_server_is_an_admin_error(
    client: AdminClient, server: ScriptedAdmin, calls: Calls, method: str
) -> None:
    """Bytes that are no such message fail the call as any failure does, and not as OK."""
    server.answers[method] = lambda _: b"\xff\xff\xff\xff no message"
    with pytest.raises(AdminError) as failed:
        await _ASK[method](client)
    assert (failed.value.method, failed.value.code) == (method, "INTERNAL")
    assert calls.finished == [(method, "INTERNAL")]


@pytest.mark.parametrize("method", ["ListExecutions", "GetExecution"])
async def test_a_row_that_cannot_be_is_an_admin_error(
    client: AdminClient, server: ScriptedAdmin, method: str
) -> None:
    """A message that decodes but makes no sense names the call and the finding."""
    nameless = message("")
    answer = execution_pb2.ExecutionList(executions=[message("a"), nameless])
    server.answers[method] = lambda _: answer if method == "ListExecutions" else nameless
    with pytest.raises(AdminError, match="answered with an execution called ''") as failed:
        _ = (await _ASK[method](client)).executions
    assert failed.value.code == "INTERNAL"


# That no GetDomains is known is no failure; see `test_an_old_admin`.
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"GetDomains"}))
@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
)
async def test_every_status_is_told_once_in_upper_case(
    client: AdminClient, server: ScriptedAdmin, calls: Calls, method: str, code: grpc.StatusCode
) -> None:
    """Each failed call is one observation, with a code that the metrics know from the start."""
    server.answers[method] = refusing(code, "no")
    with pytest.raises(AdminError) as failed:
        await _ASK[method](client)
    assert failed.value.code == code.name
    assert calls.finished == [(method, code.name)]
    assert code.name in CODES


async def test_a_call_that_succeeds_is_told_once(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """OK is a status like any other."""
    server.answers["GetVersion"] = lambda _: version_pb2.GetVersionResponse()
    await _ASK["GetVersion"](client)
    assert calls.finished == [("GetVersion", "OK")]


async def test_a_call_that_we_give_up_is_told_as_cancelled(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """Cancellation goes through to the caller, and is counted as what it is."""
    arrived = asyncio.Event()

    def answer(_: Any) -> Any:
        arrived.set()
        return asyncio.get_running_loop().create_future()

    server.answers["GetVersion"] = answer
    call = asyncio.ensure_future(_ASK["GetVersion"](client))
    await asyncio.wait_for(arrived.wait(), _PATIENCE)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert calls.finished == [("GetVersion", "CANCELLED")]


async def test_a_text_of_admins_is_cut_to_one_printable_line(
    client: AdminClient, server: ScriptedAdmin
) -> None:
    """Control characters and endless texts do not reach a log or a terminal."""
    hostile = "line one\nline\ttwo \x1b[31mred\x1b[0m \x07\u202e" + "x" * 20_000
    server.answers["ListExecutions"] = refusing(grpc.StatusCode.UNKNOWN, hostile)
    with pytest.raises(AdminError) as failed:
        await _ASK["ListExecutions"](client)
    text = str(failed.value)
    assert text.startswith(
        "ListExecutions for flytesnacks/production failed with UNKNOWN: line one line two [31mred"
    )
    assert text.isprintable()
    assert text.endswith("…")
    assert len(text) < 400


async def test_domains_in_the_order_of_admin(client: AdminClient, server: ScriptedAdmin) -> None:
    """A new Admin says itself which domains there are."""
    server.answers["GetDomains"] = lambda _: project_pb2.GetDomainsResponse(
        domains=[{"id": "development"}, {"id": "production"}]
    )
    assert await client.list_domains(timeout=_PATIENCE) == ["development", "production"]


async def test_an_old_admin(
    client: AdminClient, server: ScriptedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where GetDomains is unknown, projects are asked instead; that is said and tried once."""
    server.answers["GetDomains"] = refusing(grpc.StatusCode.UNIMPLEMENTED, "unknown method")
    server.answers["ListProjects"] = lambda _: project_pb2.Projects(
        projects=[
            project_pb2.Project(id=name, domains=[{"id": "development"}, {"id": "production"}])
            for name in "ab"
        ]
    )
    for _ in range(2):
        assert await client.list_domains(timeout=_PATIENCE) == ["development", "production"]
    assert [method for method, _ in server.asked].count("GetDomains") == 1
    assert capsys.readouterr().out.count("too old for GetDomains") == 1
