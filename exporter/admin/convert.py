"""Protobuf in, `exporter.model` out; the only place that touches the fields of a message."""

from datetime import timedelta
from typing import Any

from flyteidl.admin import launch_plan_pb2, schedule_pb2
from flyteidl.core import identifier_pb2

from exporter.model.executions import FAILURES, GENERATED, Execution, ExecutionId, Mode, Phase
from exporter.model.failures import ErrorKind, Failure
from exporter.model.failures import failure as failure_behind
from exporter.model.launch_plans import ActivePlan
from exporter.model.projects import Project, ProjectState
from exporter.model.schedules import Cron, Rate, Schedule
from exporter.model.time import SECOND, Micros

PHASES = {phase.value: phase for phase in Phase}
"""Phases by Flyte's numbers; any other number is UNRECOGNIZED."""
MODES = {mode.value: mode for mode in Mode}
"""Modes likewise."""
_KINDS = {kind.value: kind for kind in ErrorKind}
_TASK = identifier_pb2.TASK
_new = tuple.__new__
END_OF_TIME = 253_402_300_800 * SECOND
"""The year 10000, where RFC 3339 ends."""
LONGEST = 10_000 * 366 * 24 * 3600 * SECOND
"""A duration may be a little longer than all of time."""
_PERIODS = {
    schedule_pb2.MINUTE: timedelta(minutes=1),
    schedule_pb2.HOUR: timedelta(hours=1),
    schedule_pb2.DAY: timedelta(days=1),
}
_STATES = {state.value: state for state in ProjectState}


def execution(message: Any) -> Execution:
    """
    Return one `flyteidl.admin.Execution` as a row.

    Instants lose their nanoseconds: Admin's columns, on which it filters, hold microseconds, cut
    and not rounded.

    Raises:
        ValueError: It has no name, or was created at a time that no calendar has: then nobody can
            say which execution it is. Other times that cannot be are unknown times; so are a start
            at the epoch and a duration of 0, with which Admin means that there is none.
    """
    closure = message.closure
    spec = message.spec
    plan = spec.launch_plan
    name = message.id.name
    if not name or "\0" in name or "\0" in plan.name:
        raise ValueError(f"an execution called {name!r} of launch plan {plan.name!r}")
    phase = PHASES.get(closure.phase, Phase.UNRECOGNIZED)
    created_at, updated_at = instant_of(closure.created_at), instant_of(closure.updated_at)
    if created_at is None:
        raise ValueError(f"an execution called {name!r} from a time that no calendar has")
    mode, scheduled_at = MODES.get(spec.metadata.mode, Mode.UNRECOGNIZED), None
    if mode is Mode.SCHEDULED:
        scheduled_at = instant_of(spec.metadata.scheduled_at) or None
    # The plain constructors of named tuples would take a tenth of a poll's time.
    return _new(
        Execution,
        (
            _new(ExecutionId, (name, created_at)),
            phase,
            mode,
            launch_plan(plan),
            instant_of(closure.started_at) or None,
            created_at if updated_at is None else updated_at,
            duration_of(closure.duration),
            scheduled_at,
            spec.metadata.system_metadata.execution_cluster,
            failure(closure) if phase in FAILURES else None,
        ),
    )


def failure(closure: Any) -> Failure | None:
    """Return what the error of a `flyteidl.admin.ExecutionClosure` comes to, if it has one."""
    return error(closure.error) if closure.HasField("error") else None


def error(error: Any) -> Failure:
    """Return what a `flyteidl.core.ExecutionError` comes to."""
    kind = _KINDS.get(error.kind, ErrorKind.UNRECOGNIZED)
    return failure_behind(kind, error.code, error.message)


def launch_plan(identifier: Any) -> str:
    """Return the name of a launch plan; for a single task's, the one that flyteadmin gives it."""
    name: str = identifier.name
    return GENERATED + name if identifier.resource_type == _TASK else name


def instant_of(stamp: Any) -> Micros | None:
    """Return a protobuf timestamp; None where no calendar has it. One that is not set is 0."""
    instant = stamp.seconds * SECOND + stamp.nanos // 1000
    return Micros(instant) if 0 <= instant < END_OF_TIME else None


def duration_of(duration: Any) -> int | None:
    """Return a protobuf duration in microseconds; None where it is 0, or cannot be."""
    whole, nanos = int(duration.seconds), int(duration.nanos)
    lasted = whole * SECOND + nanos // 1000
    return lasted if 0 < lasted < LONGEST else None


def project(message: Any) -> Project:
    """
    Return one `flyteidl.admin.Project`.

    Raises:
        ValueError: It has no id.
    """
    if not message.id:
        raise ValueError("a project without an id")
    return Project(
        message.id,
        _STATES.get(message.state, ProjectState.UNRECOGNIZED),
        dict(message.labels.values),
        tuple(domain.id for domain in message.domains),
    )


def active_plan(message: Any) -> ActivePlan | None:
    """
    Return one `flyteidl.admin.LaunchPlan`; None for one that flyteadmin made around a single task.

    Raises:
        ValueError: It has no name.
    """
    name = message.id.name
    if not name or "\0" in name:
        raise ValueError(f"a launch plan called {name!r}")
    if name.startswith(GENERATED):
        return None
    spec, policy = message.spec, message.spec.concurrency_policy
    skips = policy.behavior == launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    return ActivePlan(
        name,
        message.id.version,
        spec.workflow_id.name,
        schedule_of(spec.entity_metadata.schedule),
        policy.max if skips else None,
    )


def schedule_of(message: Any) -> Schedule | None:
    """
    Return what a `flyteidl.admin.Schedule` declares; None when it declares nothing.

    A rate that no calendar has, such as every 0 minutes, is none: Flyte's scheduler cannot run it.
    """
    match message.WhichOneof("ScheduleExpression"):
        case "rate":
            unit = _PERIODS.get(message.rate.unit)
            whole = message.rate.value
            if unit is None or not 0 < whole * unit.total_seconds() * SECOND < LONGEST:
                return None
            return Rate(whole * unit)
        case "cron_schedule":
            expression = message.cron_schedule.schedule
        case _:
            expression = message.cron_expression
    return Cron(expression) if expression else None
