"""
While an execution counts against the concurrency policy of its launch plan.

Flyte counts who is QUEUED or RUNNING, and so do we as long as Admin says that it is. Of one that
has left these phases, only its start says that it was ever in them: one that was QUEUED and never
ran is then taken not to have counted. Propeller reports no QUEUED, so few are mistaken.

Who runs for a slot counts from that slot on, however late it was launched.

Source: flyteadmin `pkg/manager/impl/execution_manager.go`, `checkLaunchPlanConcurrency`.
"""

from exporter.model.executions import Execution, Phase, Tracked
from exporter.model.schedules import Span
from exporter.model.time import Micros

_COUNTED = frozenset({Phase.QUEUED, Phase.RUNNING})


def counted_so_far(row: Tracked, begin: Micros, at: Micros) -> Span | None:
    """
    Return while an execution counted that is not over; None if it has not.

    Args:
        row: What is known of it *at* that time.
        begin: Its slot, or when it was created if it has none.
        at: Until then it counts, if it still does.
    """
    if row.phase in _COUNTED:
        return Span(begin, at)
    return Span(begin, row.since) if row.started else None


def counted(row: Execution) -> Span | None:
    """Return while an execution counted that is over; None if it never did."""
    if row.started_at is None:
        return None
    return Span(row.id.created_at if row.scheduled_at is None else row.scheduled_at, row.updated_at)
