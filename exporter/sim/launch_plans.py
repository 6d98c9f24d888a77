"""
Of each launch plan one version at most is active, and only activation is silent about its time.

Source: flyteadmin `launch_plan_manager.go`, `launch_plan_validator.go`, `launch_plan_repo.go`.
"""

from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import identifier_pb2, interface_pb2

from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.entities import LAUNCH_PLAN
from exporter.sim.filters import Value
from exporter.sim.listing import (
    ListRequest,
    checked,
    offset_of,
    require,
    require_id,
    require_limit,
    selected,
    sort_of,
)
from exporter.sim.projects import ProjectsApi
from exporter.sim.refusal import Refusal, invalid
from exporter.sim.registry import (
    RegistryApi,
    known_version,
    missing_version,
    require_identifier,
    require_version,
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
        require_version(request.spec.workflow_id, identifier_pb2.WORKFLOW)
        workflow_id, interface = self._registry.workflow(request.spec.workflow_id)
        require_identifier(request, identifier_pb2.LAUNCH_PLAN)
        self._projects.require_project_and_domain(request.id.project, request.id.domain)
        expected = _expected_inputs(interface, request.spec)
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
            schedule_type=_schedule_type(spec.entity_metadata.schedule),
        )

    def update_launch_plan(self, request: Any) -> Any:
        """Answer UpdateLaunchPlan."""
        require_identifier(request, identifier_pb2.LAUNCH_PLAN)
        if self._row(request.id) is None:
            raise missing_version("LAUNCH_PLAN", request.id)
        key = (request.id.project, request.id.domain, request.id.name, request.id.version)
        if request.state == ACTIVE:
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

    def launch_plan(self, identifier: Any) -> tuple[int, Any, int]:
        """
        Return row, message and workflow row of one version.

        Raises:
            Refusal: NOT_FOUND.
        """
        row = self._row(identifier)
        if row is None:
            raise missing_version("LAUNCH_PLAN", identifier)
        return row[-2], _message(row[:-2]), row[-1]

    def get_active_launch_plan(self, request: Any) -> Any:
        """Answer GetActiveLaunchPlan."""
        require_id(request, "project", "domain", "name")
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
        return self._store.row(
            f"SELECT {_COLUMNS}, id, workflow_id FROM launch_plans WHERE {_VERSION}",  # noqa: S608 - our own text
            (identifier.project, identifier.domain, identifier.name, identifier.version),
        )

    def ensure_single_task_plan(self, workflow: Any, workflow_id: int) -> None:
        """Register the launch plan that Admin makes up beside a single task's workflow."""
        identifier = identifier_pb2.Identifier()
        identifier.CopyFrom(workflow)
        if self._row(identifier) is None:
            spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)
            self._add(identifier, spec, workflow_id, launch_plan_pb2.LaunchPlanClosure())


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
    return "CRON" if expression else "NONE"


def _expected_inputs(interface: Any, spec: Any) -> Any:
    """Return what a launch must or may give: the workflow's inputs that the plan leaves free."""
    declared = interface.inputs.variables
    for kind, given in (
        ("default_input", spec.default_inputs.parameters),
        ("fixed_input", spec.fixed_inputs.literals),
    ):
        for name in given:
            if name not in declared:
                raise invalid(f"unexpected {kind} {name}")
    expected = interface_pb2.ParameterMap()
    for name, variable in declared.items():
        if name in spec.default_inputs.parameters:
            expected.parameters[name].CopyFrom(spec.default_inputs.parameters[name])
        elif name not in spec.fixed_inputs.literals:
            expected.parameters[name].var.CopyFrom(variable)
            expected.parameters[name].required = True
    return expected


def _check_schedule(schedule: Any, expected: Any) -> None:
    expression = schedule.WhichOneof("ScheduleExpression")
    if expression is None:
        return
    for name, parameter in expected.parameters.items():
        if parameter.required and name != schedule.kickoff_time_input_arg:
            raise invalid(
                "Cannot create a launch plan with a schedule if there is an unbound required"
                f" input. [{name}] is required"
            )
    if expression == "cron_schedule" and not _is_standard_cron(schedule.cron_schedule.schedule):
        raise invalid("Invalid cron expression")


def _is_standard_cron(text: str) -> bool:
    """Whether *text* has the shape of a standard cron line; its fields are not read."""
    fields = [part for part in text.split() if not part.startswith(("TZ=", "CRON_TZ="))]
    return len(fields) == 5 or text.startswith("@")  # noqa: PLR2004 - minute to day of week
