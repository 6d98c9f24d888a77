"""Protobuf in, `exporter.model` out; the only place that touches the fields of a message."""

from typing import Any

from flyteidl.core import identifier_pb2

from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND

PHASES = {phase.value: phase for phase in Phase}
"""Phases by Flyte's numbers; any other number is UNRECOGNIZED."""
MODES = {mode.value: mode for mode in Mode}
"""Modes likewise."""
_TASK = identifier_pb2.TASK
_new = tuple.__new__
END_OF_TIME = 253_402_300_800 * SECOND
"""The year 10000, where RFC 3339 ends."""
LONGEST = 10_000 * 366 * 24 * 3600
"""Seconds; a protobuf duration may be a little longer than all of time."""
_GENERATED = ".flytegen."
"""How flyteadmin names the workflow it makes around a single task."""


def execution(message: Any) -> Execution:
    """
    Return one `flyteidl.admin.Execution` as a row.

    Instants lose their nanoseconds: Admin's columns, on which it filters, hold microseconds, cut
    and not rounded.

    Raises:
        ValueError: It has no name, or was created at a time that no calendar has: then nobody can
            say which execution it is. Other times that cannot be are unknown times.
    """
    closure = message.closure
    spec = message.spec
    plan = spec.launch_plan
    name = message.id.name
    if not name or "\0" in name or "\0" in plan.name:
        raise ValueError(f"an execution called {name!r} of launch plan {plan.name!r}")
    created, updated, started_at = closure.created_at, closure.updated_at, None
    created_at = created.seconds * SECOND + created.nanos // 1000
    updated_at = updated.seconds * SECOND + updated.nanos // 1000
    if not 0 <= created_at < END_OF_TIME:
        raise ValueError(f"an execution called {name!r} from a time that no calendar has")
    if not 0 <= updated_at < END_OF_TIME:
        updated_at = created_at
    if closure.HasField("started_at"):
        started = closure.started_at
        started_at = started.seconds * SECOND + started.nanos // 1000
        if not 0 <= started_at < END_OF_TIME:
            started_at = None
    # The plain constructors of named tuples would take a tenth of a poll's time.
    return _new(
        Execution,
        (
            _new(ExecutionId, (name, created_at)),
            PHASES.get(closure.phase, Phase.UNRECOGNIZED),
            MODES.get(spec.metadata.mode, Mode.UNRECOGNIZED),
            launch_plan(plan),
            started_at,
            updated_at,
            duration_of(closure.duration) if closure.HasField("duration") else None,
        ),
    )


def launch_plan(identifier: Any) -> str:
    """Return the name of a launch plan; for a single task's, the one that flyteadmin gives it."""
    name: str = identifier.name
    return _GENERATED + name if identifier.resource_type == _TASK else name


def duration_of(duration: Any) -> int | None:
    """Return a protobuf duration in microseconds; None where none can be that long."""
    whole, nanos = int(duration.seconds), int(duration.nanos)
    if not -LONGEST < whole < LONGEST:
        return None
    return whole * SECOND + nanos // 1000


def targets(project: Any) -> list[Target]:
    """Return the targets of one `flyteidl.admin.Project`: one for each of its domains."""
    return [Target(project.id, domain.id) for domain in project.domains]
