"""The company registers what it runs, through the same calls as any client."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flyteidl.admin import launch_plan_pb2, project_pb2, schedule_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, tasks_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2

from exporter.sim.api import AdminApi
from exporter.sim.catalog import PROJECTS, Kind, Plan

VERSION = "v1"
_MINUTES_IN_HOUR = 60
_PARTS_OF_AN_HOUR = [n for n in range(1, _MINUTES_IN_HOUR + 1) if not _MINUTES_IN_HOUR % n]


def register(api: AdminApi, plans: Iterable[Plan], *, speed: float) -> None:
    """Register all projects and *plans*, and activate what has a schedule."""
    for project in PROJECTS:
        request = project_pb2.ProjectRegisterRequest(
            project=project_pb2.Project(id=project, name=project.capitalize())
        )
        api.projects.register_project(request)
    for plan in plans:
        if plan.kind is Kind.TASK:
            _register_task(api, plan)
        else:
            _register_launch_plan(api, plan, speed=speed)


def _identifier(plan: Plan, resource_type: int) -> Any:
    return identifier_pb2.Identifier(
        resource_type=resource_type,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=VERSION,
    )


def _register_task(api: AdminApi, plan: Plan) -> None:
    identifier = _identifier(plan, identifier_pb2.TASK)
    template = tasks_pb2.TaskTemplate(id=identifier, type="python-task")
    api.registry.create_task(
        task_pb2.TaskCreateRequest(id=identifier, spec=task_pb2.TaskSpec(template=template))
    )
    _, workflow, _ = api.registry.single_task_workflow(identifier)
    api.launch_plans.single_task_plan(identifier, workflow)


def _register_launch_plan(api: AdminApi, plan: Plan, *, speed: float) -> None:
    workflow = _identifier(plan, identifier_pb2.WORKFLOW)
    template = core_workflow_pb2.WorkflowTemplate(id=workflow)
    api.registry.create_workflow(
        workflow_pb2.WorkflowCreateRequest(
            id=workflow, spec=workflow_pb2.WorkflowSpec(template=template)
        )
    )
    identifier = _identifier(plan, identifier_pb2.LAUNCH_PLAN)
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)
    schedule = declared_schedule(plan, speed=speed)
    if schedule is not None:
        spec.entity_metadata.schedule.CopyFrom(schedule)
    api.launch_plans.create_launch_plan(
        launch_plan_pb2.LaunchPlanCreateRequest(id=identifier, spec=spec)
    )
    if schedule is not None:
        api.launch_plans.update_launch_plan(
            launch_plan_pb2.LaunchPlanUpdateRequest(id=identifier, state=launch_plan_pb2.ACTIVE)
        )


def declared_schedule(plan: Plan, *, speed: float) -> Any:
    """
    Return the schedule that the launch plan declares, None where it has none.

    Flyte knows no schedule finer than a minute: a world that is faster runs slots between the
    ones it declares, and every one of those.
    """
    if plan.kind not in {Kind.RATE, Kind.CRON}:
        return None
    period = plan.every / speed
    fits = (n for n in _PARTS_OF_AN_HOUR if not timedelta(minutes=n) % period)
    minutes = next(fits, None) if plan.kind is Kind.CRON else None
    if minutes is None:
        minutes = max(1, round(period / timedelta(minutes=1)))
        return schedule_pb2.Schedule(
            rate=schedule_pb2.FixedRate(value=minutes, unit=schedule_pb2.MINUTE)
        )
    minute = "0" if minutes == _MINUTES_IN_HOUR else f"*/{minutes}"
    return schedule_pb2.Schedule(
        cron_schedule=schedule_pb2.CronSchedule(schedule=f"{minute} * * * *")
    )
