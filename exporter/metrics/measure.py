"""
What the events of one target add to which series. Pure: nothing is counted here, only worked out.

A series is born at 0 before it can be needed, because Prometheus never sees the increment that a
series appears with: a launch gives birth to the launch plan's counters of success and failure, and
to its histogram. Outcomes that are not near certain (ABORTED) are born when they first happen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.model.events import Events
from exporter.model.executions import FAILURES, Execution, Phase
from exporter.model.failures import NO_ERROR, ErrorKind
from exporter.model.targets import Target
from exporter.model.time import SECOND

SeriesKey = tuple[Family, tuple[str, ...]]
"""A series: its family and its label values, in the family's order."""

# Twice as fast as asking by name, and as long as the fields keep theirs, the same.
_PLACE = Execution._fields.index
_HOW = itemgetter(_PLACE("launch_plan"), _PLACE("mode"))
_END = itemgetter(*map(_PLACE, ("launch_plan", "mode", "phase", "cluster", "failure")))
_DURATION = itemgetter(_PLACE("duration"))
_ENDED_AT = itemgetter(_PLACE("updated_at"))
_LIKELY = (Phase.SUCCEEDED.name, Phase.FAILED.name)
_LIKELY_KINDS = (ErrorKind.USER.name, ErrorKind.SYSTEM.name)


@dataclass(frozen=True, slots=True)
class Increments:
    """
    What a batch adds.

    Attributes:
        births: Series that must exist from now on, if only at 0.
        counts: Additions to counters.
        observations: Values for histograms, in the family's unit.
        examples: Executions behind the additions to series that have exemplars: for a counter the
            one that ended last, for a histogram one for each observation.
        launch_plans: Those that the events were about; as labels have them, once labelled.
    """

    births: dict[SeriesKey, None] = field(default_factory=dict)
    counts: Counter[SeriesKey] = field(default_factory=Counter)
    observations: dict[SeriesKey, list[float]] = field(default_factory=dict)
    examples: dict[SeriesKey, list[Execution]] = field(default_factory=dict)
    launch_plans: frozenset[str] = frozenset()


def measure(target: Target, events: Events) -> Increments:
    """Work out what *events* of *target* add."""
    launched = Counter(map(_HOW, events.launched))
    ended: defaultdict[tuple[Any, ...], list[Execution]] = defaultdict(list)
    for row, end in zip(events.finished, map(_END, events.finished), strict=True):
        ended[end].append(row)
    # In the order in which they came: who is the last to fit the series limit is no matter of luck.
    primed = dict.fromkeys((row.launch_plan, row.mode) for row in events.primed)
    plans = {launch_plan for launch_plan, _ in (*launched, *primed)}
    plans.update(launch_plan for launch_plan, *_ in ended)
    added = Increments(
        births=dict.fromkeys(_births_of_target(target)), launch_plans=frozenset(plans)
    )
    for launch_plan, mode in {**dict.fromkeys(launched), **primed}:
        added.births.update(dict.fromkeys(_births(target, launch_plan, mode.name)))
    for (launch_plan, mode), count in launched.items():
        added.counts[catalog.EXECUTIONS_LAUNCHED, (*target, launch_plan, mode.name)] = count
    if events.started:
        added.counts[catalog.EXECUTIONS_STARTED, target] = len(events.started)
        added.observations[catalog.EXECUTION_QUEUE_DURATION, target] = _queued(events.started)
    for alike in ended.values():
        _count_ends(target, alike, added)
    return added


def _count_ends(target: Target, alike: Sequence[Execution], added: Increments) -> None:
    """Add the ends of executions that are *alike* in all that is counted."""
    newest = max(alike, key=_ENDED_AT)
    phase = newest.phase
    plan = (*target, newest.launch_plan)
    how = (*plan, newest.mode.name)
    counted: list[SeriesKey] = [(catalog.EXECUTIONS_FINISHED, (*how, phase.name))]
    if phase in FAILURES:
        kind, code = newest.failure or NO_ERROR
        counted.append((catalog.EXECUTION_ERRORS, (*how, kind.name)))
        counted.append((catalog.EXECUTION_ERROR_CODES, (*target, kind.name, code)))
    if newest.cluster:
        for likely in _LIKELY:
            added.births[catalog.CLUSTER_EXECUTIONS_FINISHED, (newest.cluster, likely)] = None
        counted.append((catalog.CLUSTER_EXECUTIONS_FINISHED, (newest.cluster, phase.name)))
    for key in counted:
        added.counts[key] += len(alike)
        if key[0].exemplars:
            others = added.examples.get(key, ())
            added.examples[key] = [max((newest, *others), key=_ENDED_AT)]
    if phase is Phase.SUCCEEDED:
        _observe_durations((catalog.EXECUTION_DURATION, plan), alike, added)


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
    for kind in _LIKELY_KINDS:
        yield catalog.EXECUTION_ERRORS, (*target, launch_plan, mode, kind)
    yield catalog.EXECUTION_DURATION, (*target, launch_plan)


def _observe_durations(key: SeriesKey, rows: Iterable[Execution], added: Increments) -> None:
    """Add how long successes ran."""
    # Admin's duration is 0 or absent when the execution never ran: unknown, which is not 0 s.
    ran = [row for row in rows if (_DURATION(row) or 0) > 0]
    if ran:
        seconds = [lasted / SECOND for lasted in map(_DURATION, ran)]
        added.observations.setdefault(key, []).extend(seconds)
        added.examples.setdefault(key, []).extend(ran)


def _queued(started: Iterable[Execution]) -> list[float]:
    """Return the times from creation to start; two clocks may disagree, so none is below 0."""
    # Each row is taken apart at once: to ask it for one field after the other is twice as slow.
    return [
        (started_at - created_at) / SECOND if started_at and started_at > created_at else 0.0
        for (_, created_at), _, _, _, started_at, _, _, _, _ in started
    ]
