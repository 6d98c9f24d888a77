"""How a launch plan keeps its schedule, as JSON; instants are microseconds."""

from typing import Any

from exporter.model.schedules import ScheduledRun, ScheduleState, Span


def written(state: ScheduleState) -> dict[str, Any]:
    """Return *state* as JSON has it."""
    return state._asdict()


def read(stored: dict[str, Any]) -> ScheduleState:
    """Return the state that was `written`."""
    runs = tuple(ScheduledRun(*run) for run in stored["runs"])
    busy = tuple(Span(*span) for span in stored["busy"])
    return ScheduleState(**{**stored, "runs": runs, "busy": busy})
