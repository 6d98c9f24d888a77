"""What is said to be registered and active is what was registered and activated."""

from datetime import timedelta

import pytest

from exporter.admin.client import AdminClient
from exporter.model.executions import Phase
from exporter.model.launch_plans import ActivePlan
from exporter.model.projects import ProjectState
from exporter.model.schedules import Cron, Rate
from exporter.model.targets import Target
from exporter.model.time import EPOCH
from tests.live.flyte import EVERY_MINUTE, HOURLY, NIGHTLY, Project
from tests.live.samples import SECONDS, Sample, read

pytestmark = pytest.mark.live


async def test_each_target_is_found_once(client: AdminClient, own_sample: Sample | None) -> None:
    """Projects come in pages, and every pair of project and domain comes once."""
    targets = await client.list_targets(timeout=SECONDS)
    assert own_sample is None or own_sample.target in targets
    assert len(set(targets)) == len(targets)
    assert all(target.project and target.domain for target in targets)


@pytest.mark.write
async def test_a_new_project_is_a_target_in_every_domain(
    client: AdminClient, admin_address: str, own_sample: Sample
) -> None:
    """What was registered is found, with the domains that every other project has."""
    before = set(await client.list_targets(timeout=SECONDS))
    assert own_sample.target in before
    with Project(admin_address) as project:
        found = set(await client.list_targets(timeout=SECONDS)) - before
    name = project.target.project
    domains = {target.domain for target in before}
    assert {target for target in found if target.project == name} == {
        Target(name, domain) for domain in domains
    }


@pytest.mark.write
async def test_an_archived_project_is_no_target(client: AdminClient, project: Project) -> None:
    """Its executions stay where they are and go on; they are only not looked for any more."""
    run = project.launch()
    project.archive_project()
    assert project.target not in await client.list_targets(timeout=SECONDS)
    project.report(run, Phase.RUNNING, after=1)
    (row,) = await read(client, project.target, since=EPOCH)
    assert (row.id.name, row.phase) == (run.name, Phase.RUNNING)


@pytest.mark.write
async def test_an_archived_project_is_listed_as_that(client: AdminClient, project: Project) -> None:
    """Projects in every state are listed, each once."""
    for state in (ProjectState.ACTIVE, ProjectState.ARCHIVED):
        projects = await client.list_projects(timeout=SECONDS)
        states = {found.id: found.state for found in projects}
        assert len(states) == len(projects)
        assert states[project.target.project] is state
        project.archive_project()


@pytest.mark.write
@pytest.mark.parametrize("page", [1, 200])
async def test_active_launch_plans_are_listed_until_they_are_deactivated(
    client: AdminClient, project: Project, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Whatever the size of pages; what is registered and not active is not listed."""
    monkeypatch.setattr("exporter.admin.client._PLANS_PER_PAGE", page)
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == []
    hourly = ActivePlan(HOURLY, "v1", NIGHTLY, Cron("*/2 * * * *"))
    minutely = ActivePlan(EVERY_MINUTE, "v1", NIGHTLY, Rate(timedelta(minutes=1)))
    nightly = ActivePlan(NIGHTLY, "v1", NIGHTLY, None)
    project.activate(HOURLY)
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == [hourly]
    project.activate(NIGHTLY)
    project.activate(EVERY_MINUTE)
    listed = await client.list_active_launch_plans(project.target, timeout=SECONDS)
    assert listed == [hourly, minutely, nightly]
    project.deactivate(HOURLY)
    project.deactivate(EVERY_MINUTE)
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == [nightly]
    project.deactivate(NIGHTLY)
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == []


@pytest.mark.write
async def test_a_version_that_is_activated_takes_the_place_of_the_one_before(
    client: AdminClient, project: Project
) -> None:
    """With its own schedule and concurrency policy; of the two, one at most is active."""
    schedule = {"cron_schedule": {"schedule": "@daily"}}
    policy = {"max": 2, "behavior": "CONCURRENCY_LIMIT_BEHAVIOR_SKIP"}
    project.add_version(
        HOURLY, "v2", entity_metadata={"schedule": schedule}, concurrency_policy=policy
    )
    project.activate(HOURLY)
    project.activate(HOURLY, "v2")
    second = ActivePlan(HOURLY, "v2", NIGHTLY, Cron("@daily"), at_once=2)
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == [second]
    project.activate(HOURLY)
    (first,) = await client.list_active_launch_plans(project.target, timeout=SECONDS)
    assert (first.version, first.at_once) == ("v1", None)
    project.deactivate(HOURLY, "v2")
    assert await client.list_active_launch_plans(project.target, timeout=SECONDS) == [first]


@pytest.mark.write
async def test_labels_of_a_project_are_what_it_was_registered_with(
    client: AdminClient, admin_address: str
) -> None:
    """All of them; which are shown, the exporter decides."""
    labels = {"team": "ml", "data-owner": "ada"}
    with Project(admin_address, labels=labels) as project:
        projects = await client.list_projects(timeout=SECONDS)
        (found,) = [each for each in projects if each.id == project.target.project]
    assert found.labels == labels
