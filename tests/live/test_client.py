"""What the client says of an Admin is what the Admin would say in any other way."""

import uuid
from itertools import pairwise

import pytest

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError, NotFound
from exporter.admin.query import Query
from exporter.model.executions import NON_TERMINAL, Execution, Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import EPOCH
from tests.calls import Calls
from tests.live.flyte import HOURLY, Project
from tests.live.samples import SECONDS, Sample, read

pytestmark = pytest.mark.live

_ANY_STATE = "value_in(state,0;1)"
_ANYWHERE = Target("flytesnacks", "production")
"""Where Admin's answer does not depend on whether there is such a place."""


def unknown_name() -> str:
    """Return a name that no execution can have by chance."""
    return f"no-such-{uuid.uuid4().hex}"


async def reference(client: AdminClient, sample: Sample) -> list[Execution]:
    """Return all rows of *sample* in one page, each once."""
    page = await client.list_executions(
        sample.target, sample.all_at_once, limit=10_000, timeout=SECONDS
    )
    assert page.token == ""
    assert page.executions
    assert len({row.id for row in page.executions}) == len(page.executions)
    return page.executions


async def test_admin_says_which_version_it_is_or_that_it_cannot(client: AdminClient) -> None:
    """An Admin that knows the call names its version and its build."""
    try:
        version = await client.get_version(timeout=SECONDS)
    except AdminError as error:
        assert error.code == "UNIMPLEMENTED"  # noqa: PT017  # either is right
    else:
        assert version.version
        assert version.build


async def test_a_window_is_listed_oldest_first(client: AdminClient, samples: list[Sample]) -> None:
    """Rows come in order of creation, none from before the bound, and a full page has a token."""
    for sample in samples:
        expected = await reference(client, sample)
        page = await client.list_executions(
            sample.target, query.created_from(sample.since), limit=len(expected), timeout=SECONDS
        )
        created = [row.id.created_at for row in page.executions]
        assert len(created) == len(expected)
        assert sample.since <= created[0]
        assert all(earlier <= later for earlier, later in pairwise(created))
        assert page.token == str(len(expected))


@pytest.mark.parametrize("succeeded", [False, True], ids=["outcomes", "successes"])
async def test_the_past_of_a_launch_plan_is_listed_newest_first(
    client: AdminClient, samples: list[Sample], *, succeeded: bool
) -> None:
    """Its newest root executions that succeeded or failed, or only the former; nobody else's."""
    failures = set() if succeeded else {Phase.FAILED, Phase.TIMED_OUT}
    outcomes = {Phase.SUCCEEDED} | failures
    for sample in samples:
        rows = await reference(client, sample)
        for launch_plan in {row.launch_plan for row in rows}:
            asked = query.ended_of(launch_plan, succeeded=succeeded)
            page = await client.list_executions(sample.target, asked, limit=10_000, timeout=SECONDS)
            found = page.executions
            created = [row.id.created_at for row in found]
            assert created == sorted(created, reverse=True)
            assert all(row.launch_plan == launch_plan for row in found)
            assert all(row.mode is not Mode.CHILD_WORKFLOW for row in found)
            assert {row.phase for row in found} <= outcomes
            ended = {
                row.id
                for row in rows
                if row.launch_plan == launch_plan
                and row.mode is not Mode.CHILD_WORKFLOW
                and row.phase in outcomes
            }
            assert ended <= {row.id for row in found}


@pytest.mark.parametrize("size", [1, 3, 500])
async def test_the_size_of_pages_does_not_change_what_is_read(
    client: AdminClient, samples: list[Sample], size: int
) -> None:
    """Read slice by slice, a closed window has the rows that one large page has."""
    for target, since, until in samples:
        expected = await reference(client, Sample(target, since, until))
        rows = await read(client, target, since=since, until=until, limit=size)
        assert {row.id for row in rows} == {row.id for row in expected}


async def test_an_instant_parts_what_is_listed_from_it_and_after_it(
    client: AdminClient, samples: list[Sample]
) -> None:
    """`created_from` is `created_at` and `created_after` together: no row is in both or neither."""
    for sample in samples:
        expected = await reference(client, sample)
        instant = expected[len(expected) // 2].id.created_at
        found = []
        for asked in (query.created_at(instant), query.created_after(instant)):
            page = await client.list_executions(sample.target, asked, limit=10_000, timeout=SECONDS)
            found += [row.id for row in page.executions if row.id.created_at < sample.until]
        assert sorted(found) == sorted(row.id for row in expected if row.id.created_at >= instant)


async def test_names_find_exactly_what_was_listed(
    client: AdminClient, samples: list[Sample]
) -> None:
    """Asked for by name, every listed row is found, and names that nobody has add nothing."""
    for sample in samples:
        expected = {row.id for row in await reference(client, sample)}
        names = [key.name for key in expected] + [unknown_name() for _ in range(200)]
        page = await client.list_executions(
            sample.target, query.named(names), limit=len(names), timeout=SECONDS
        )
        assert len(page.executions) == len(expected)
        assert {row.id for row in page.executions} == expected


async def test_the_live_list_has_what_is_not_over_and_nothing_else(
    client: AdminClient, samples: list[Sample]
) -> None:
    """What was not over before and after the live list was read is in it, and the rest is not."""
    for sample in samples:
        before = await reference(client, sample)
        live = await read(client, sample.target, live_only=True)
        after = await reference(client, sample)
        assert all(row.phase in NON_TERMINAL for row in live)
        listed = {row.id for row in live}
        assert listed >= {row.id for row in after if not row.phase.is_terminal}
        assert listed.isdisjoint(row.id for row in before if row.phase.is_terminal)


async def test_one_execution_is_the_same_listed_and_by_itself(
    client: AdminClient, samples: list[Sample]
) -> None:
    """GetExecution gives the row that the lists give, whatever they cut off its error."""
    for sample in samples:
        before = await reference(client, sample)
        got = [
            await client.get_execution(sample.target, row.id.name, timeout=SECONDS)
            for row in before
        ]
        after = {row.id: row for row in await reference(client, sample)}
        unmoved = [row for row in before if after.get(row.id) == row]
        assert unmoved
        assert set(unmoved) <= set(got)


@pytest.mark.write
async def test_what_was_created_is_what_is_listed(client: AdminClient, project: Project) -> None:
    """Rows have the mode, launch plan, phase and times that they were given, archived or not."""
    over = project.whole_life(end=Phase.FAILED)
    project.archive(over)
    runs = [over, project.launch_task(), project.whole_life(HOURLY), project.relaunch(over)]
    project.report(runs[3], Phase.RUNNING, after=2)
    rows = {row.id.name: row for row in await read(client, project.target, since=EPOCH, limit=2)}
    assert {
        name: (row.mode, row.launch_plan, row.phase, row.id.created_at)
        for name, row in rows.items()
    } == {
        run.name: (run.mode, run.launch_plan, project.phases[run.name], run.created_ns // 1000)
        for run in runs
    }
    began, ended = rows[over.name].started_at, rows[over.name].updated_at
    assert began is not None
    assert began - rows[over.name].id.created_at == 500_000
    assert ended - began == 40_000_000
    assert rows[over.name].duration == 40_000_000
    assert rows[runs[1].name].started_at is None
    live = await read(client, project.target, live_only=True)
    assert {row.id.name for row in live} == {runs[1].name, runs[3].name}


async def test_an_execution_that_is_not_there_is_not_found(client: AdminClient) -> None:
    """Admin says NOT_FOUND, which is told apart from every other failure."""
    with pytest.raises(NotFound) as caught:
        await client.get_execution(_ANYWHERE, unknown_name(), timeout=SECONDS)
    assert caught.value.code == "NOT_FOUND"


async def test_an_unknown_project_has_no_executions(client: AdminClient) -> None:
    """Admin does not refuse to list what it does not know: the list is empty and has no token."""
    page = await client.list_executions(
        Target(unknown_name(), "nowhere"), query.created_from(EPOCH), limit=10, timeout=SECONDS
    )
    assert page.executions == []
    assert page.token == ""


async def test_a_deadline_ends_a_call_and_not_the_connection(
    client: AdminClient, calls: Calls
) -> None:
    """A call without time left fails with DEADLINE_EXCEEDED; the next one is answered."""
    with pytest.raises(AdminError) as caught:
        # Of a millisecond gRPC makes two, and a good Admin needs only one.
        await client.list_targets(timeout=-1)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert await client.list_targets(timeout=SECONDS)
    assert calls.finished[:2] == [("ListProjects", "DEADLINE_EXCEEDED"), ("ListProjects", "OK")]


@pytest.mark.parametrize(
    ("asked", "limit", "token"),
    [
        (Query("nonsense"), 10, ""),
        (Query(f"eq(no_such_column,1)+{_ANY_STATE}"), 10, ""),
        (Query(f"resembles(phase,RUNNING)+{_ANY_STATE}"), 10, ""),
        (Query(f"gte(execution_created_at,2026-01-01T00:00:00+00:00)+{_ANY_STATE}"), 10, ""),
        (Query(_ANY_STATE, sort_key="no_such_column"), 10, ""),
        (Query(_ANY_STATE), 0, ""),
        (Query(_ANY_STATE), 10, "second"),
    ],
    ids=["grammar", "column", "function", "offset of a time", "sort key", "limit", "token"],
)
async def test_a_malformed_list_is_refused(
    client: AdminClient, asked: Query, limit: int, token: str
) -> None:
    """Admin answers INVALID_ARGUMENT, and the error says for which target."""
    with pytest.raises(AdminError) as caught:
        await client.list_executions(_ANYWHERE, asked, limit=limit, timeout=SECONDS, token=token)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.subject == str(_ANYWHERE)
