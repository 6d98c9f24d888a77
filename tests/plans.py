"""Launch plans of the simulated Admin."""

from typing import Any

from flyteidl.admin import common_pb2, launch_plan_pb2, schedule_pb2, workflow_pb2
from flyteidl.core import identifier_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2

from exporter.model.targets import Target
from exporter.sim.refusal import Refusal
from tests.rig import Rig

NIGHTLY = schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule="0 3 * * *"))
HOURLY = schedule_pb2.Schedule(
    rate=schedule_pb2.FixedRate(value=1, unit=schedule_pb2.FixedRateUnit.HOUR)
)

ONE_AT_ONCE, NONE_AT_ALL = (
    launch_plan_pb2.ConcurrencyPolicy(
        max=most, behavior=launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    )
    for most in (1, 0)
)


def _identifier(target: Target, name: str, version: str, kind: int) -> Any:
    return identifier_pb2.Identifier(
        resource_type=kind,
        project=target.project,
        domain=target.domain,
        name=name,
        version=version,
    )


def activate(
    rig: Rig,
    target: Target,
    name: str,
    *,
    version: str = "v1",
    schedule: Any = None,
    policy: Any = None,
) -> None:
    """
    Have Admin register a version of a launch plan, unless it has it, and activate it.

    With *policy* as its concurrency policy, and *schedule* as its schedule, where there is one.
    """
    plan = _identifier(target, name, version, identifier_pb2.LAUNCH_PLAN)
    workflow = _identifier(target, f"wf.{name}", version, identifier_pb2.WORKFLOW)
    if not _has(rig, plan):
        template = core_workflow_pb2.WorkflowTemplate(id=workflow)
        rig.admin.calls["CreateWorkflow"](
            workflow_pb2.WorkflowCreateRequest(
                id=workflow, spec=workflow_pb2.WorkflowSpec(template=template)
            )
        )
        spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)
        if schedule is not None:
            spec.entity_metadata.schedule.CopyFrom(schedule)
        if policy is not None:
            spec.concurrency_policy.CopyFrom(policy)
        rig.admin.calls["CreateLaunchPlan"](
            launch_plan_pb2.LaunchPlanCreateRequest(id=plan, spec=spec)
        )
    _update(rig, plan, launch_plan_pb2.ACTIVE)


def deactivate(rig: Rig, target: Target, name: str, *, version: str = "v1") -> None:
    """Have Admin deactivate a version of a launch plan."""
    plan = _identifier(target, name, version, identifier_pb2.LAUNCH_PLAN)
    _update(rig, plan, launch_plan_pb2.INACTIVE)


def _has(rig: Rig, plan: Any) -> bool:
    try:
        rig.admin.calls["GetLaunchPlan"](common_pb2.ObjectGetRequest(id=plan))
    except Refusal:
        return False
    return True


def _update(rig: Rig, plan: Any, state: Any) -> None:
    request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state)
    rig.admin.calls["UpdateLaunchPlan"](request)
