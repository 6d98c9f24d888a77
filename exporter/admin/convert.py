"""Protobuf in, `exporter.model` out; the only place that touches the fields of a message."""

from datetime import timedelta
from typing import Any

from flyteidl.core import identifier_pb2

from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros

_PHASES = {phase.value: phase for phase in Phase}
_MODES = {mode.value: mode for mode in Mode}
_TASK = identifier_pb2.TASK
_new = tuple.__new__
_END_OF_TIME = 253_402_300_800
"""Seconds from 1970 to the year 10000, where RFC 3339 ends."""
_GENERATED = ".flytegen."
"""How flyteadmin names the workflow it makes around a single task."""


def execution(message: Any) -> Execution:
    """
    Return one `flyteidl.admin.Execution` as a row.

    Instants lose their nanoseconds: Admin's columns, on which it filters, hold microseconds, cut
    and not rounded.

    Raises:
        ValueError: It has no name, or an instant or a duration that no calendar has.
    """
    closure = message.closure
    spec = message.spec
    plan = spec.launch_plan
    name = message.id.name
    launch_plan = plan.name
    if not name or "\0" in name or "\0" in launch_plan:
        raise ValueError(f"an execution called {name!r} of launch plan {launch_plan!r}")
    if plan.resource_type == _TASK:
        launch_plan = _GENERATED + launch_plan
    # The plain constructors of named tuples would take a tenth of a poll's time.
    return _new(
        Execution,
        (
            _new(ExecutionId, (name, _instant(closure.created_at))),
            _PHASES.get(closure.phase, Phase.UNRECOGNIZED),
            _MODES.get(spec.metadata.mode, Mode.UNRECOGNIZED),
            launch_plan,
            _instant(closure.started_at) if closure.HasField("started_at") else None,
            _instant(closure.updated_at),
            _duration(closure.duration) if closure.HasField("duration") else None,
        ),
    )


def _instant(timestamp: Any) -> Micros:
    whole = timestamp.seconds
    if not 0 <= whole < _END_OF_TIME:
        raise ValueError(f"a time {whole} s after 1970")
    instant: Micros = whole * SECOND + timestamp.nanos // 1000
    return instant


def _duration(duration: Any) -> timedelta:
    whole = duration.seconds
    if not -_END_OF_TIME < whole < _END_OF_TIME:
        raise ValueError(f"a duration of {whole} s")
    return timedelta(0, whole, duration.nanos // 1000)


def targets(project: Any) -> list[Target]:
    """Return the targets of one `flyteidl.admin.Project`: one for each of its domains."""
    return [Target(project.id, domain.id) for domain in project.domains]
