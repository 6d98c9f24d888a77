"""
Of each launch plan one version at most is active, and only activation is silent about its time.

Source: flyteadmin `launch_plan_manager.go`, `launch_plan_validator.go`, `launch_plan_repo.go`.
"""

from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import identifier_pb2, types_pb2

from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.cron import refuse_bad_cron
from exporter.sim.entities import LAUNCH_PLAN
from exporter.sim.filters import Value
from exporter.sim.inputs import expected_inputs
from exporter.sim.listing import (
    ListRequest,
    checked,
    offset_of,
    require,
    require_limit,
    selected,
    sort_of,
)
from exporter.sim.names import refuse_bad_labels
from exporter.sim.projects import ProjectsApi
from exporter.sim.refusal import NIL, Refusal, invalid, printed_message
from exporter.sim.registry import (
    RegistryApi,
    known_version,
    missing_version,
    require_identifier,
)
from exporter.sim.store import Store

ACTIVE = launch_plan_pb2.ACTIVE
INACTIVE = launch_plan_pb2.INACTIVE
_COLUMNS = (
    "launch_plans.project, launch_plans.domain, launch_plans.name, launch_plans.version,"
    " launch_plans.spec, launch_plans.closure, launch_plans.state, launch_plans.created_at,"
    " launch_plans.updated_at"
)
_VERSION = "project = ? AND domain = ? AND name = ? AND version = ?"
_ALWAYS_JOINED = "INNER JOIN workflows ON launch_plans.workflow_id = workflows.id"


class LaunchPlansApi:
    """Registration, activation and listing of launch plans."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], Micros],
        projects: ProjectsApi,
        registry: RegistryApi,
    ) -> None:
        self._store = store
        self._now = now
        self._projects = projects
        self._registry = registry

    def create_launch_plan(self, request: Any) -> Any:
        """Answer CreateLaunchPlan: new versions are inactive."""
        require_identifier(request.spec, identifier_pb2.WORKFLOW, field="workflow_id")
        workflow_id, interface = self._registry.workflow(request.spec.workflow_id)
        require_identifier(request, identifier_pb2.LAUNCH_PLAN)
        self._projects.require_project_and_domain(request.id.project, request.id.domain)
        refuse_bad_labels(request.spec.labels)
        expected = expected_inputs(interface, request.spec)
        _check_schedule(request.spec.entity_metadata.schedule, expected)
        row = self._row(request.id)
        if row is not None:
            known = launch_plan_pb2.LaunchPlanSpec.FromString(row[4])
            raise known_version("launch plan", request.id.name, known, request.spec)
        closure = launch_plan_pb2.LaunchPlanClosure(
            expected_inputs=expected, expected_outputs=interface.outputs
        )
        self._add(request.id, request.spec, workflow_id, closure)
        return launch_plan_pb2.LaunchPlanCreateResponse()

    def _add(self, identifier: Any, spec: Any, workflow_id: int, closure: Any) -> None:
        now = self._now()
        schedule_type = _schedule_type(spec.entity_metadata.schedule)
        self._store.insert(
            "launch_plans",
            created_at=now,
            updated_at=now,
            project=identifier.project,
            domain=identifier.domain,
            name=identifier.name,
            version=identifier.version,
            spec=spec.SerializeToString(),
            workflow_id=workflow_id,
            closure=closure.SerializeToString(),
            state=INACTIVE,
            schedule_type=schedule_type,
            launch_condition_type=None if schedule_type == "NONE" else "SCHED",
        )

    def update_launch_plan(self, request: Any) -> Any:
        """Answer UpdateLaunchPlan."""
        if request.state not in {ACTIVE, INACTIVE}:
            plan = printed_message(request.id) if request.HasField("id") else NIL
            raise invalid(
                f"Unrecognized launch plan state {request.state} for update for launch plan"
                f" [{plan}]"
            )
        if request.state == INACTIVE:
            require_identifier(request, identifier_pb2.LAUNCH_PLAN)
        _, plan = self.launch_plan(request.id)
        key = (plan.id.project, plan.id.domain, plan.id.name, plan.id.version)
        if request.state == ACTIVE:
            if cron := plan.spec.entity_metadata.schedule.cron_expression:
                raise Refusal(
                    grpc.StatusCode.INTERNAL,
                    f"failed adding schedule for unknown schedule expression type &{{{cron}}}",
                )
            # Admin writes these columns past its ORM, so that updated_at stays where it was.
            self._store.execute(
                "UPDATE launch_plans SET state = version = ?"
                " WHERE project = ? AND domain = ? AND name = ?",
                (key[-1], *key[:-1]),
            )
        else:
            self._store.execute(
                f"UPDATE launch_plans SET state = ?, updated_at = ? WHERE {_VERSION}",  # noqa: S608 - our own text
                (INACTIVE, self._now(), *key),
            )
        return launch_plan_pb2.LaunchPlanUpdateResponse()

    def get_launch_plan(self, request: Any) -> Any:
        """Answer GetLaunchPlan."""
        require_identifier(request, identifier_pb2.LAUNCH_PLAN)
        return self.launch_plan(request.id)[1]

    def launch_plan(self, identifier: Any) -> tuple[int, Any]:
        """
        Return row and message of one version; of any that matches, where *identifier* has gaps.

        Raises:
            Refusal: NOT_FOUND.
        """
        row = self._row(identifier)
        if row is None:
            raise missing_version("LAUNCH_PLAN", identifier)
        return row[-1], _message(row[:-1])

    def get_active_launch_plan(self, request: Any) -> Any:
        """Answer GetActiveLaunchPlan."""
        require(request.id, "project", "domain", "name")
        key = (request.id.project, request.id.domain, request.id.name)
        row = self._store.row(
            f"SELECT {_COLUMNS} FROM launch_plans"  # noqa: S608 - our own names
            " WHERE project = ? AND domain = ? AND name = ? AND state = ?",
            (*key, ACTIVE),
        )
        if row is None:
            raise Refusal(
                grpc.StatusCode.NOT_FOUND,
                f"No active launch plan could be found: {':'.join(key)}",
            )
        return _message(row)

    def list_launch_plans(self, request: Any) -> Any:
        """Answer ListLaunchPlans: all versions."""
        return self._listed(
            checked(request, LAUNCH_PLAN, "ListLaunchPlans"),
            project=request.id.project,
            domain=request.id.domain,
            name=request.id.name,
        )

    def list_active_launch_plans(self, request: Any) -> Any:
        """Answer ListActiveLaunchPlans, which takes no filters."""
        require(request, "project", "domain")
        require_limit(request.limit)
        sort = sort_of(request, LAUNCH_PLAN)
        offset = offset_of(request.token, "ListActiveLaunchPlans")
        return self._listed(
            ListRequest([], sort, offset, request.limit),
            project=request.project,
            domain=request.domain,
            state=ACTIVE,
        )

    def _listed(self, request: ListRequest, **equal: Value) -> Any:
        chosen = {column: value for column, value in equal.items() if value != ""}
        rows = selected(
            self._store,
            _COLUMNS,
            LAUNCH_PLAN,
            request,
            where=" AND ".join(f"launch_plans.{column} = ?" for column in chosen),
            parameters=list(chosen.values()),
            joins=_ALWAYS_JOINED,
        )
        return launch_plan_pb2.LaunchPlanList(
            launch_plans=[_message(row) for row in rows], token=request.next_token(len(rows))
        )

    def _row(self, identifier: Any) -> Any:
        given = {
            column: value
            for column in ("project", "domain", "name", "version")
            if (value := getattr(identifier, column))
        }
        where = " AND ".join(f"{column} = ?" for column in given) or "TRUE"
        return self._store.row(
            f"SELECT {_COLUMNS}, id FROM launch_plans WHERE {where} LIMIT 1",  # noqa: S608 - our own text
            list(given.values()),
        )

    def single_task_plan(self, task: Any, workflow: Any) -> Any:
        """Return the launch plan that Admin makes up for *task*, beside *workflow*."""
        identifier = identifier_pb2.Identifier()
        identifier.CopyFrom(workflow)
        if self._row(identifier) is None:
            workflow_id, interface = self._registry.workflow(workflow)
            spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=task)
            # Admin forgets the prefix here, so that this plan cannot be launched by itself.
            spec.workflow_id.resource_type = identifier_pb2.WORKFLOW
            closure = launch_plan_pb2.LaunchPlanClosure(
                expected_inputs=expected_inputs(interface, spec),
                expected_outputs=interface.outputs,
            )
            self._add(identifier, spec, workflow_id, closure)
        return self.launch_plan(identifier)[1]


def _message(row: Any) -> Any:
    project, domain, name, version, spec, closure, state, created_at, updated_at = row
    plan = launch_plan_pb2.LaunchPlan(
        id=identifier_pb2.Identifier(
            resource_type=identifier_pb2.LAUNCH_PLAN,
            project=project,
            domain=domain,
            name=name,
            version=version,
        ),
        spec=launch_plan_pb2.LaunchPlanSpec.FromString(spec),
        closure=launch_plan_pb2.LaunchPlanClosure.FromString(closure),
    )
    plan.closure.state = state
    plan.closure.created_at.CopyFrom(wire.timestamp(wire.nanos_of(created_at)))
    plan.closure.updated_at.CopyFrom(wire.timestamp(wire.nanos_of(updated_at)))
    return plan


def _schedule_type(schedule: Any) -> str:
    expression = schedule.WhichOneof("ScheduleExpression")
    if expression == "rate":
        return "RATE"
    return "CRON" if schedule.cron_expression or expression == "cron_schedule" else "NONE"


def _check_schedule(schedule: Any, expected: Any) -> None:
    expression = schedule.WhichOneof("ScheduleExpression")
    if expression is None or (expression == "cron_expression" and not schedule.cron_expression):
        return
    kickoff = schedule.kickoff_time_input_arg
    for name, parameter in expected.parameters.items():
        if parameter.required and name != kickoff:
            raise invalid(
                "Cannot create a launch plan with a schedule if there is an unbound required"
                f" input. [{name}] is required"
            )
    if kickoff:
        _check_kickoff(kickoff, expected)
    if cron := schedule.cron_expression or schedule.cron_schedule.schedule:
        refuse_bad_cron(cron)


def _check_kickoff(name: str, expected: Any) -> None:
    if name not in expected.parameters:
        raise invalid(
            "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free"
            f" input. [{name}] is not free or does not exist."
        )
    kind = expected.parameters[name].var.type
    if kind.simple != types_pb2.DATETIME:
        raise invalid(
            "KickoffTimeInputArg must reference a datetime input."
            f" [{name}] is a [{printed_message(kind)}]"
        )
