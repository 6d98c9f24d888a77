"""
Filters in Admin's own grammar, so that no caller ever spells one.

Every query names the state, because Admin hides archived rows from a list that does not, and every
query sorts, because without a sort Admin's pages overlap and skip.

Source: flyteadmin `pkg/manager/impl/util/filters.go`: expressions joined by `+`, lists by `;`, and
    no way to escape either.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.model.executions import GENERATED, NON_TERMINAL, Mode, Phase
from exporter.model.projects import ProjectState
from exporter.model.time import Micros, rfc3339

_ANY_STATE = "value_in(state,0;1)"
_ACTIVE = "eq(state,1)"
_BY_CREATION = "execution_created_at"
# Unique and in order of insertion: within one instant it is the only total order Admin offers.
_BY_INSERTION = "id"
_OUTCOMES = (Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT)
_UNSPEAKABLE = frozenset("+;,() \t\n\r\f\v")


@dataclass(frozen=True, slots=True)
class Query:
    """
    What to list, and in which order.

    Attributes:
        filters: Text for the request's `filters` field.
        sort_key: Column of the table that is listed.
        descending: Whether to begin at the end.
    """

    filters: str
    sort_key: str = _BY_CREATION
    descending: bool = False


def created_from(instant: Micros, *, live_only: bool = False) -> Query:
    """Ask for executions created at *instant* or later, oldest first."""
    return _query(f"gte({_BY_CREATION},{rfc3339(instant)})", live_only=live_only)


def created_after(instant: Micros, *, live_only: bool = False) -> Query:
    """Ask for executions created later than *instant*, oldest first."""
    return _query(f"gt({_BY_CREATION},{rfc3339(instant)})", live_only=live_only)


def created_at(instant: Micros) -> Query:
    """Ask for executions created at exactly *instant*, in order of insertion."""
    return _query(f"eq({_BY_CREATION},{rfc3339(instant)})", live_only=False, sort_key=_BY_INSERTION)


def named(names: Iterable[str]) -> Query:
    """
    Ask for executions by name.

    Raises:
        ValueError: A name holds a character that Admin's grammar cannot carry; see `is_speakable`.
    """
    listed = list(names)
    for name in listed:
        if not is_speakable(name):
            raise ValueError(f"execution name {name!r} cannot stand in a filter of Admin's")
    return _query(f"value_in(execution_name,{';'.join(listed)})", live_only=False)


def ended_of(launch_plan: str, *, succeeded: bool = False) -> Query:
    """
    Ask for root executions of *launch_plan* that succeeded or failed, the newest first.

    Args:
        launch_plan: Its name.
        succeeded: Whether to ask only for those that did.

    Raises:
        ValueError: The name holds a character that Admin's grammar cannot carry.

    Source: flyteadmin `pkg/repositories/gormimpl/execution_repo.go`: a filter on the launch plan
        joins its table, in which the executions of single tasks have no row; they have a task's.
    """
    if not has_past(launch_plan):
        raise ValueError(f"launch plan {launch_plan!r} cannot stand in a filter of Admin's")
    task = launch_plan.removeprefix(GENERATED)
    field = "launch_plan.name" if task == launch_plan else "task.name"
    wanted = (Phase.SUCCEEDED,) if succeeded else _OUTCOMES
    phases = ";".join(phase.name for phase in wanted)
    asked = f"eq({field},{task})+value_in(phase,{phases})+ne(mode,{Mode.CHILD_WORKFLOW.value})"
    return Query(filters=f"{asked}+{_ANY_STATE}", descending=True)


def has_past(launch_plan: str) -> bool:
    """Whether Admin can be asked for the executions of *launch_plan* alone."""
    return is_speakable(launch_plan.removeprefix(GENERATED))


def active_plans(after: str = "") -> Query:
    """
    Ask for the active launch plans, by name; for those only whose name comes *after* one.

    Raises:
        ValueError: *after* cannot stand in a filter; see `is_speakable`.
    """
    if not after:
        return Query(filters=_ACTIVE, sort_key="name")
    if not is_speakable(after):
        raise ValueError(f"launch plan name {after!r} cannot stand in a filter of Admin's")
    return Query(filters=f"{_ACTIVE}+gt(name,{after})", sort_key="name")


def projects() -> Query:
    """Ask for projects in every state: without a filter, Admin hides those that are archived."""
    states = ";".join(str(state.value) for state in ProjectState if state >= 0)
    return Query(filters=f"value_in(state,{states})", sort_key="identifier")


def is_speakable(name: str) -> bool:
    """Whether *name* survives Admin's filter grammar unchanged."""
    return bool(name) and _UNSPEAKABLE.isdisjoint(name)


def _query(expression: str, *, live_only: bool, sort_key: str = _BY_CREATION) -> Query:
    phases = f"+value_in(phase,{';'.join(p.name for p in NON_TERMINAL)})" if live_only else ""
    return Query(filters=f"{expression}{phases}+{_ANY_STATE}", sort_key=sort_key)
