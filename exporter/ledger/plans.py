"""The state of a launch plan as JSON; instants and lengths are microseconds."""

from typing import Any

from exporter.model.launch_plans import PlanState, Run


def written(state: PlanState) -> dict[str, Any]:
    """Return *state* as JSON has it."""
    return {
        "ended_at": state.ended_at,
        "succeeded_at": state.succeeded_at,
        "failed_at": state.failed_at,
        "newest": state.newest,
        "failures": state.failures,
        "successes": state.successes,
    }


def read(stored: dict[str, Any]) -> PlanState:
    """Return the state that was `written`."""
    return PlanState(
        ended_at=stored["ended_at"],
        succeeded_at=stored["succeeded_at"],
        failed_at=stored["failed_at"],
        newest=stored["newest"] and Run(*stored["newest"]),
        failures=tuple(stored["failures"]),
        successes=tuple(Run(*run) for run in stored["successes"]),
    )
