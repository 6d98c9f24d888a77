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
        examples: Executions behind the additions to series that have exemplars, in the order of
            their ends: for a counter the last alone, for a histogram one for each observation.
        launch_plans: Those that the events were about.
    """

    births: dict[SeriesKey, None] = field(default_factory=dict)
    counts: Counter[SeriesKey] = field(default_factory=Counter)
    observations: dict[SeriesKey, list[float]] = field(default_factory=dict)
    examples: dict[SeriesKey, list[Execution]] = field(default_factory=dict)
    launch_plans: frozenset[str] = frozenset()


def measure(target: Target, events: Events) -> Increments:
    """Work out what *events* of *target* add."""
    launched = Counter(map(_HOW, events.launched))
    # By their ends: of any that are put under one key, the newest stays.
    finished = sorted(events.finished, key=_ENDED_AT)
    ends = list(map(_END, finished))
    ended = Counter(ends)
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
    newest = dict(zip(ends, finished, strict=True))
    for end, count in ended.items():
        _count_ends(target, newest[end], count, added)
    _observe_durations(target, finished, added)
    return added


def _count_ends(target: Target, newest: Execution, count: int, added: Increments) -> None:
    """Add *count* ends that are alike, the last of which is *newest*."""
    phase = newest.phase
    how = (*target, newest.launch_plan, newest.mode.name)
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
        added.counts[key] += count
        if key[0].exemplars:
            others = added.examples.get(key, ())
            added.examples[key] = [max((newest, *others), key=_ENDED_AT)]


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


def _observe_durations(target: Target, finished: Sequence[Execution], added: Increments) -> None:
    """Add how long the successes ran, by launch plan."""
    ran: defaultdict[str, list[Execution]] = defaultdict(list)
    for row in finished:
        _, phase, _, launch_plan, _, _, duration, _, _ = row
        # Admin's duration is 0 or absent when the execution never ran: unknown, which is not 0 s.
        if phase is Phase.SUCCEEDED and duration is not None and duration > 0:
            ran[launch_plan].append(row)
    for launch_plan, rows in ran.items():
        key = (catalog.EXECUTION_DURATION, (*target, launch_plan))
        added.observations[key] = [lasted / SECOND for lasted in map(_DURATION, rows)]
        added.examples[key] = rows


def _queued(started: Iterable[Execution]) -> list[float]:
    """Return the times from creation to start; two clocks may disagree, so none is below 0."""
    # Each row is taken apart at once: to ask it for one field after the other is twice as slow.
    return [
        (started_at - created_at) / SECOND if started_at and started_at > created_at else 0.0
        for (_, created_at), _, _, _, started_at, _, _, _, _ in started
    ]
