"""The state of a launch plan as JSON; instants and lengths are microseconds."""

from datetime import timedelta
from typing import Any

from exporter.model.launch_plans import PlanState, Run
from exporter.model.time import Micros, micros

_MICROSECOND = timedelta(microseconds=1)


def written(state: PlanState) -> dict[str, Any]:
    """Return *state* as JSON has it."""
    return {
        "ended_at": state.ended_at,
        "succeeded_at": state.succeeded_at,
        "failed_at": state.failed_at,
        "newest": state.newest and (state.newest.ended_at, micros(state.newest.lasted)),
        "failures": state.failures,
        "successes": [(ended_at, lasted // _MICROSECOND) for ended_at, lasted in state.successes],
    }


def read(stored: dict[str, Any]) -> PlanState:
    """Return the state that was `written`."""
    return PlanState(
        ended_at=stored["ended_at"],
        succeeded_at=stored["succeeded_at"],
        failed_at=stored["failed_at"],
        newest=stored["newest"] and _read_run(*stored["newest"]),
        failures=tuple(stored["failures"]),
        successes=tuple(_read_run(*run) for run in stored["successes"]),
    )


def _read_run(ended_at: Micros, lasted: int) -> Run:
    return Run(ended_at, timedelta(microseconds=lasted))
