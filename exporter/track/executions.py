"""
Rows come in any order and more than once; each leaves as the events that it is owed.

The rules, each of which somebody's numbers once broke:

1. An execution is the same one when name and creation time agree.
2. Seen for the first time: launched. First seen with a start: started. First seen over: finished.
   One row can owe all three, when it began and ended between two polls.
3. Over is for ever. A row that steps back from a terminal phase is reported once and keeps its
   verdict.
4. Of two rows of the same execution in one batch, the one that is over wins.
5. Absence proves nothing. Only Admin saying NOT_FOUND in two reconciles makes an execution
   vanished, and vanished is not finished.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol

from exporter.model.events import Events, SteppedBack, Vanished
from exporter.model.executions import OVER, TERMINAL, Execution, ExecutionId, Phase, Tracked
from exporter.model.time import Micros

_ID = itemgetter(Execution._fields.index("id"))


class Known(Protocol):
    """What is known, by identity."""

    def get(self, key: ExecutionId, /) -> Tracked | None:
        """Return what is known of one execution."""


@dataclass(frozen=True, slots=True)
class Observed:
    """
    What a batch told us.

    Attributes:
        events: What happened.
        rows: What is now known of the executions about which that changed.
    """

    events: Events = field(default_factory=Events)
    rows: dict[ExecutionId, Tracked] = field(default_factory=dict)


def observe(known: Known, seen: Sequence[Execution], now: Micros) -> Observed:
    """
    Work out what happened to each execution since we last looked.

    Pure and idempotent: with what it returns applied, the same *seen* yields nothing.

    Args:
        known: What was last committed.
        seen: Rows as Admin answered them: any order, duplicates allowed.
        now: Our clock; dates what no timestamp of Admin's marks.

    Returns:
        The events, and the rows to store with them.
    """
    observed = Observed()
    events, rows = observed.events, observed.rows
    get = known.get
    for key, execution in _one_each(seen).items():
        phase = execution.phase
        before = get(key)
        if before is None:
            events.launched.append(execution)
        elif before.phase in TERMINAL:
            if phase not in TERMINAL and not before.stepped_back:
                events.stepped_back.append(SteppedBack(execution, before.phase))
                rows[key] = before._replace(stepped_back=True)
            continue
        if execution.started_at is not None and (before is None or not before.started):
            events.started.append(execution)
        if phase in TERMINAL:
            events.finished.append(execution)
            rows[key] = OVER[phase]
            continue
        if before is not None and _is_old_news(execution, before):
            continue
        after = _tracked(execution, before, now)
        if after != before:
            rows[key] = after
    return observed


def prime(seen: Sequence[Execution], now: Micros) -> Observed:
    """
    Take note of what is there at a cold start, counting none of it.

    Whatever is already over stays uncounted for ever; whatever is not will be counted when it is.
    """
    observed = Observed()
    for execution in _one_each(seen).values():
        observed.events.primed.append(execution)
        over = OVER.get(execution.phase)
        observed.rows[execution.id] = over or _tracked(execution, None, now)
    return observed


def miss(known: Known, absent: Collection[ExecutionId], into: Observed) -> None:
    """Add to *into* the live executions that Admin answered NOT_FOUND for in this reconcile."""
    for key in absent:
        before = known.get(key)
        if before is None or not before.is_live or key in into.rows:
            continue
        after = before._replace(absences=before.absences + 1)
        into.rows[key] = after
        if not after.is_live:
            into.events.vanished.append(Vanished(key, before.launch_plan))


def levels(live: Iterable[Tracked]) -> Mapping[Phase, tuple[int, Micros]]:
    """Return how many of *live* are in each phase, and since when the longest waiting one is."""
    counted: dict[Phase, tuple[int, Micros]] = {}
    for row in live:
        count, oldest = counted.get(row.phase, (0, row.since))
        counted[row.phase] = (count + 1, min(oldest, row.since))
    return counted


def _one_each(seen: Sequence[Execution]) -> dict[ExecutionId, Execution]:
    """Keep the furthest row of each execution, whatever the order they came in."""
    best = dict(zip(map(_ID, seen), seen, strict=True))
    if len(best) == len(seen):
        return best
    for execution in seen:
        other = best[execution.id]
        if other is not execution and _progress(execution) > _progress(other):
            best[execution.id] = execution
    return best


def _progress(execution: Execution) -> tuple[bool, bool, Micros, Phase]:
    # A start outranks the time of the update: clocks may disagree, a start does not go away.
    return (
        execution.phase in TERMINAL,
        execution.started_at is not None,
        execution.updated_at,
        execution.phase,
    )


def _is_old_news(execution: Execution, before: Tracked) -> bool:
    """Whether nothing about a live execution changed, as is so of nearly all at every poll."""
    return (
        before.phase is execution.phase
        and before.mode is execution.mode
        and before.launch_plan == execution.launch_plan
        and not before.absences
        and (before.started or execution.started_at is None)
    )


def _tracked(execution: Execution, before: Tracked | None, now: Micros) -> Tracked:
    phase = execution.phase
    if before is not None and before.phase is phase:
        since = before.since
    else:
        since = _entered(execution, now)
    return Tracked(
        phase,
        execution.mode,
        execution.launch_plan,
        since,
        execution.started_at is not None or (before is not None and before.started),
    )


def _entered(execution: Execution, now: Micros) -> Micros:
    """Return when *execution* entered its phase."""
    match execution.phase:
        case Phase.UNDEFINED:
            return execution.id.created_at
        case Phase.RUNNING:
            return execution.started_at or execution.updated_at
        case Phase.ABORTING | Phase.UNRECOGNIZED:
            # Admin stamps nothing when it sets ABORTING: first sight is all there is.
            return now
        case _:
            return execution.updated_at
