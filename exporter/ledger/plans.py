"""
What the ledger has of launch plans.

Their states are JSON; instants and lengths are microseconds.
"""

from typing import Any

from exporter.model.launch_plans import PlanState, Run

_NO_POLICY, _NONE_MAY_RUN = 0, -1
"""What stands for either where else the limit of a concurrency policy stands."""


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


def limit_written(at_once: int | None) -> int:
    """Return as the ledger has it how many a concurrency policy allows; None is no policy."""
    if at_once is None:
        return _NO_POLICY
    return at_once or _NONE_MAY_RUN


def limit_read(stored: int) -> int | None:
    """Return the limit that was `limit_written`."""
    if stored == _NO_POLICY:
        return None
    return 0 if stored == _NONE_MAY_RUN else stored
