"""Projects, tasks, workflows, launch plans: what Admin takes, and what it makes of it."""

from typing import Any

import pytest
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    project_pb2,
    schedule_pb2,
    task_pb2,
    workflow_pb2,
)
from flyteidl.core import identifier_pb2, tasks_pb2

from exporter.sim.refusal import Refusal


@pytest.fixture
def api(admin: Any) -> Any:
    """An API with project p."""
    project = project_pb2.Project(id="p", name="P")
    admin.api.projects.register_project(project_pb2.ProjectRegisterRequest(project=project))
    return admin.api


def identifier(kind: int, name: str, version: str = "v1") -> Any:
    """Return an identifier in p/development."""
    return identifier_pb2.Identifier(
        resource_type=kind, project="p", domain="development", name=name, version=version
    )


def add_task(api: Any, name: str) -> Any:
    """Register a task."""
    key = identifier(identifier_pb2.TASK, name)
    spec = task_pb2.TaskSpec(template=tasks_pb2.TaskTemplate(id=key))
    api.registry.create_task(task_pb2.TaskCreateRequest(id=key, spec=spec))
    return key


def add_workflow(api: Any, name: str, **inputs: Any) -> Any:
    """Register a workflow with required inputs."""
    key = identifier(identifier_pb2.WORKFLOW, name)
    request = workflow_pb2.WorkflowCreateRequest(id=key, spec={"template": {"id": key}})
    for variable, kind in inputs.items():
        request.spec.template.interface.inputs.variables[variable].type.simple = kind
    api.registry.create_workflow(request)
    return key


def add_launch_plan(api: Any, workflow: Any, version: str = "v1", **spec: Any) -> Any:
    """Register a launch plan called like its workflow."""
    key = identifier(identifier_pb2.LAUNCH_PLAN, workflow.name, version)
    request = launch_plan_pb2.LaunchPlanCreateRequest(
        id=key, spec=launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow, **spec)
    )
    api.launch_plans.create_launch_plan(request)
    return key


def turn(api: Any, plan: Any, state: int) -> None:
    """Activate or deactivate a launch plan."""
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state)
    api.launch_plans.update_launch_plan(request)


def read(api: Any, plan: Any) -> Any:
    """Return a launch plan."""
    return api.launch_plans.get_launch_plan(common_pb2.ObjectGetRequest(id=plan))


def test_one_version_is_active_and_activation_moves_no_time(api: Any, clock: Any) -> None:
    """Activating the second version silences the first; only deactivation moves updated_at."""
    workflow = add_workflow(api, "w")
    first, second = (add_launch_plan(api, workflow, version) for version in ("v1", "v2"))
    created = read(api, first).closure.created_at
    clock.advance(60)
    turn(api, first, launch_plan_pb2.ACTIVE)
    turn(api, second, launch_plan_pb2.ACTIVE)
    assert read(api, first).closure.state == launch_plan_pb2.INACTIVE
    assert read(api, second).closure.state == launch_plan_pb2.ACTIVE
    assert read(api, second).closure.updated_at == created
    turn(api, second, launch_plan_pb2.INACTIVE)
    assert read(api, second).closure.updated_at.seconds == created.seconds + 60


def test_a_scheduled_plan_may_not_leave_inputs_open(api: Any) -> None:
    """Nobody is there to give them, except the time of the slot."""
    workflow = add_workflow(api, "w", when=5)
    schedule = schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=1))
    with pytest.raises(Refusal, match="unbound required input"):
        add_launch_plan(api, workflow, entity_metadata={"schedule": schedule})
    schedule.kickoff_time_input_arg = "when"
    add_launch_plan(api, workflow, entity_metadata={"schedule": schedule})


def test_aws_cron_is_refused(api: Any) -> None:
    """Six fields are another product's dialect."""
    schedule = schedule_pb2.Schedule(cron_schedule={"schedule": "0 0 * * ? *"})
    with pytest.raises(Refusal, match="Invalid cron expression"):
        add_launch_plan(api, add_workflow(api, "w"), entity_metadata={"schedule": schedule})


def test_a_single_task_runs_in_a_workflow_that_admin_makes_up(api: Any) -> None:
    """Its name begins with .flytegen, and no launch plan is joined to it."""
    task = add_task(api, "hello")
    created = api.lifecycle.create_execution(
        execution_pb2.ExecutionCreateRequest(
            project="p",
            domain="development",
            name="Run1",
            spec=execution_pb2.ExecutionSpec(launch_plan=task),
        )
    )
    assert created.id.name == "Run1"
    row = api.lifecycle.get_execution(execution_pb2.WorkflowExecutionGetRequest(id=created.id))
    assert row.closure.workflow_id.name == ".flytegen.hello"
    assert row.spec.launch_plan.resource_type == identifier_pb2.TASK
    target = common_pb2.NamedEntityIdentifier(project="p", domain="development")

    def count(filters: str) -> int:
        request = common_pb2.ResourceListRequest(id=target, limit=9, filters=filters)
        return len(api.lifecycle.list_executions(request).executions)

    assert count("eq(launch_entity,task)") == 1
    assert count("eq(task.name,hello)") == 1
    assert count("ne(launch_plan.name,x)") == 0


def test_launches_are_checked(api: Any) -> None:
    """Unknown project or domain, missing and unknown inputs: refused in Admin's words."""
    plan = add_launch_plan(api, add_workflow(api, "w", n=1))
    spec = execution_pb2.ExecutionSpec(launch_plan=plan)

    def refused(**fields: Any) -> str:
        request = {"project": "p", "domain": "development", "spec": spec, **fields}
        with pytest.raises(Refusal) as refusal:
            api.lifecycle.create_execution(execution_pb2.ExecutionCreateRequest(**request))
        return str(refusal.value.details)

    assert refused() == "expected_inputs n missing"
    assert refused(domain="moon") == "domain [moon] is unrecognized by system"
    assert refused(project="q") == (
        "failed to validate that project [q] and domain [development] are registered,"
        " err: [project [q] not found]"
    )
    assert refused(inputs={"literals": {"m": {"scalar": {}}}}) == "invalid input m"


def test_names_are_cut_to_a_page_before_they_are_filtered(api: Any) -> None:
    """Admin's own quirk: a page may be short, its token empty, and names be missed."""
    for name in ("a", "b", "c"):
        add_workflow(api, name)

    def names(**fields: Any) -> tuple[list[str], str]:
        listed = api.registry.list_named_entities(
            common_pb2.NamedEntityListRequest(
                project="p",
                domain="development",
                resource_type=identifier_pb2.WORKFLOW,
                sort_by=common_pb2.Sort(key="name", direction=common_pb2.Sort.ASCENDING),
                **fields,
            )
        )
        return [entity.id.name for entity in listed.entities], listed.token

    assert names(limit=2) == (["a", "b"], "2")
    assert names(limit=2, token="2") == (["c"], "")
    assert names(limit=2, filters="ne(name,a)") == (["b"], "")


def test_projects_are_sorted_and_archived_ones_left_out_unless_a_filter_is_given(
    api: Any,
) -> None:
    """Any filter at all brings archived projects back."""
    gone = project_pb2.Project(id="gone", name="G", state=project_pb2.Project.ARCHIVED)
    api.projects.register_project(project_pb2.ProjectRegisterRequest(project=gone))

    def listed(**fields: Any) -> list[str]:
        found = api.projects.list_projects(project_pb2.ProjectListRequest(**fields))
        return [project.id for project in found.projects]

    assert listed() == ["p"]
    assert listed(filters="ne(identifier,x)") == ["gone", "p"]
