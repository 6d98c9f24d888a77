"""
What the events of one target add to which series. Pure: nothing is counted here, only worked out.

A series is born at 0 before it can be needed, because Prometheus never sees the increment that a
series appears with: a launch gives birth to the launch plan's counters of success and failure, and
to its histogram. Outcomes that are not near certain (ABORTED) are born when they first happen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.model.executions import Execution, Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND
from exporter.track.executions import Event, Finished, Launched, Primed, Started

SeriesKey = tuple[Family, tuple[str, ...]]
"""A series: its family and its label values, in the family's order."""

_LIKELY = (Phase.SUCCEEDED.name, Phase.FAILED.name)


@dataclass(frozen=True, slots=True)
class Increments:
    """
    What a batch adds.

    Attributes:
        births: Series that must exist from now on, if only at 0.
        counts: Additions to counters.
        observations: Values for histograms, in the family's unit.
        launch_plans: Those that the events were about.
    """

    births: dict[SeriesKey, None] = field(default_factory=dict)
    counts: dict[SeriesKey, int] = field(default_factory=dict)
    observations: dict[SeriesKey, list[float]] = field(default_factory=dict)
    launch_plans: frozenset[str] = frozenset()


def measure(target: Target, events: Iterable[Event]) -> Increments:
    """Work out what *events* of *target* add."""
    pairs: dict[tuple[str, str], None] = {}
    counts: dict[SeriesKey, int] = {}
    observations: dict[SeriesKey, list[float]] = {}
    started: list[float] = []
    for event in events:
        match event:
            case Primed(execution):
                pairs[execution.launch_plan, execution.mode.name] = None
            case Launched(execution):
                pair = (execution.launch_plan, execution.mode.name)
                pairs[pair] = None
                key = (catalog.EXECUTIONS_LAUNCHED, (*target, *pair))
                counts[key] = counts.get(key, 0) + 1
            case Started(execution):
                started.append(_queued_seconds(execution))
            case Finished(execution):
                _finish(target, execution, counts, observations)
            case _:
                pass
    births = dict.fromkeys(_births_of_target(target))
    for launch_plan, mode in pairs:
        births.update(dict.fromkeys(_births(target, launch_plan, mode)))
    if started:
        counts[catalog.EXECUTIONS_STARTED, target] = len(started)
        observations[catalog.EXECUTION_QUEUE_DURATION, target] = started
    touched = {launch_plan for launch_plan, _ in pairs}
    touched.update(key[1][2] for key in counts if len(key[1]) > len(target))
    return Increments(births, counts, observations, frozenset(touched))


def _births_of_target(target: Target) -> tuple[SeriesKey, ...]:
    """Return the series that a target has from the moment it is scraped."""
    return (
        (catalog.EXECUTIONS_STARTED, target),
        (catalog.EXECUTION_QUEUE_DURATION, target),
    )


def _births(target: Target, launch_plan: str, mode: str) -> Iterable[SeriesKey]:
    yield catalog.EXECUTIONS_LAUNCHED, (*target, launch_plan, mode)
    for phase in _LIKELY:
        yield catalog.EXECUTIONS_FINISHED, (*target, launch_plan, mode, phase)
    yield catalog.EXECUTION_DURATION, (*target, launch_plan)


def _finish(
    target: Target,
    execution: Execution,
    counts: dict[SeriesKey, int],
    observations: dict[SeriesKey, list[float]],
) -> None:
    plan = execution.launch_plan
    key: SeriesKey = (
        catalog.EXECUTIONS_FINISHED,
        (*target, plan, execution.mode.name, execution.phase.name),
    )
    counts[key] = counts.get(key, 0) + 1
    # Admin's duration is 0 or absent when the execution never ran: unknown, which is not 0 s.
    if execution.phase is Phase.SUCCEEDED and execution.duration:
        lasted = execution.duration.total_seconds()
        if lasted > 0:
            observations.setdefault((catalog.EXECUTION_DURATION, (*target, plan)), []).append(
                lasted
            )


def _queued_seconds(execution: Execution) -> float:
    """Return the time from creation to start; the two clocks may disagree, so never below 0."""
    started_at = execution.started_at or execution.id.created_at
    return max(0, started_at - execution.id.created_at) / SECOND
