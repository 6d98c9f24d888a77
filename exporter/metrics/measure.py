"""
What the events of one target add to which series. Pure: nothing is counted here, only worked out.

A series is born at 0 before it can be needed, because Prometheus never sees the increment that a
series appears with: an activation or a launch gives birth to the launch plan's counters of success
and failure, and to its histogram. Outcomes that are not near certain (ABORTED) are born when they
first happen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter, sub

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.metrics.exemplars import Exemplar, exemplars
from exporter.model.ends import End, Ends
from exporter.model.events import Events
from exporter.model.executions import FAILURES, Execution, ExecutionId, Mode, Phase
from exporter.model.failures import NO_ERROR, ErrorKind
from exporter.model.launch_plans import ActivePlan
from exporter.model.schedules import Judgement
from exporter.model.targets import Target
from exporter.model.tasks import Tally
from exporter.model.time import SECOND

SeriesKey = tuple[Family, tuple[str, ...]]
"""A series: its family and its label values, in the family's order."""

# Twice as fast as asking by name, and as long as the fields keep theirs, the same.
_PLACE = Execution._fields.index
_HOW = itemgetter(_PLACE("launch_plan"), _PLACE("mode"))
_ID = itemgetter(_PLACE("id"))
_CREATED_AT = itemgetter(ExecutionId._fields.index("created_at"))
_STARTED_AT = itemgetter(_PLACE("started_at"))
_DURATION = itemgetter(_PLACE("duration"))
_ENDED_AT = itemgetter(_PLACE("updated_at"))
_SLOT = itemgetter(_PLACE("scheduled_at"))
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
        exemplars: Executions behind them, a few for each series that names any: of those that count
            alike the last to end, and in a histogram also the longest.
        launch_plans: Those that the events were about; as labels have them, once labelled.
    """

    births: dict[SeriesKey, None] = field(default_factory=dict)
    counts: Counter[SeriesKey] = field(default_factory=Counter)
    observations: dict[SeriesKey, list[float]] = field(default_factory=dict)
    exemplars: dict[SeriesKey, list[Exemplar]] = field(default_factory=dict)
    launch_plans: frozenset[str] = frozenset()


_NO_JUDGEMENTS: Mapping[str, Judgement] = {}


def measure(
    target: Target, events: Events, judged: Mapping[str, Judgement] = _NO_JUDGEMENTS
) -> Increments:
    """Work out what *events* of *target* add, and what was *judged* of its schedules."""
    launched = Counter(map(_HOW, events.launched))
    # In the order in which they came: who is the last to fit the series limit is no matter of luck.
    primed = dict.fromkeys((row.launch_plan, row.mode) for row in events.primed)
    plans = {launch_plan for launch_plan, _ in (*launched, *primed)}
    plans.update(launch_plan for launch_plan, *_ in events.ends)
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
    for end, alike in events.ends.items():
        _count_ends(target, end, alike, added)
    _count_by_cluster(events.ends, added)
    delays = _delayed(events.launched)
    if delays:
        added.observations[catalog.SCHEDULE_DELAY, target] = delays
    if judged:
        verdicts = _verdicts(target, judged)
        added.births.update(dict.fromkeys([(catalog.SCHEDULE_DELAY, target), *verdicts]))
        added.counts.update({series: count for series, count in verdicts.items() if count})
    return added


def _count_ends(target: Target, end: End, alike: Sequence[Execution], added: Increments) -> None:
    """Add the ends of executions that are *alike* in all that is counted."""
    launch_plan, mode, phase, _, failure = end
    how = (*target, launch_plan, mode.name)
    newest = max(alike, key=_ENDED_AT)
    counted: list[SeriesKey] = [(catalog.EXECUTIONS_FINISHED, (*how, phase.name))]
    if phase in FAILURES:
        kind, code = failure or NO_ERROR
        counted.append((catalog.EXECUTION_ERRORS, (*how, kind.name)))
        added.counts[catalog.EXECUTION_ERROR_CODES, (*target, kind.name, code)] += len(alike)
    for key in counted:
        added.counts[key] += len(alike)
        added.exemplars.setdefault(key, []).extend(exemplars(newest, 1))
    if phase is Phase.SUCCEEDED:
        key = (catalog.EXECUTION_DURATION, (*target, launch_plan))
        _observe_durations(key, alike, newest, added)


def _observe_durations(
    key: SeriesKey, alike: Sequence[Execution], newest: Execution, added: Increments
) -> None:
    """Add how long those of *alike* ran of which that is known."""
    ran = list(filter(_DURATION, alike))
    if not ran:
        return
    seconds = [lasted / SECOND for lasted in map(_DURATION, ran)]
    added.observations.setdefault(key, []).extend(seconds)
    longest = ran[seconds.index(max(seconds))]
    for row in filter(_DURATION, dict.fromkeys((newest, longest))):
        found = exemplars(row, _DURATION(row) / SECOND)
        added.exemplars.setdefault(key, []).extend(found)


def _count_by_cluster(ends: Ends, added: Increments) -> None:
    """Add the ends of executions by the cluster that they ran on, if Admin names one."""
    counted: Counter[tuple[str, Phase]] = Counter()
    for (_, _, phase, cluster, _), alike in ends.items():
        counted[cluster, phase] += len(alike)
    for (cluster, phase), count in counted.items():
        if cluster:
            for likely in _LIKELY:
                added.births[catalog.CLUSTER_EXECUTIONS_FINISHED, (cluster, likely)] = None
            added.counts[catalog.CLUSTER_EXECUTIONS_FINISHED, (cluster, phase.name)] = count


def measure_tasks(target: Target, tally: Tally) -> Increments:
    """Work out what the tasks of one execution of *target* add."""
    births: dict[SeriesKey, None] = {}
    for task in sorted(tally.tasks):
        births.update(dict.fromkeys(_births_of_task((*target, task))))
    counts: Counter[SeriesKey] = Counter()
    for (task, phase), attempts in tally.attempts.items():
        counts[catalog.TASK_ATTEMPTS, (*target, task, phase.name)] = attempts
    for (task, status), lookups in tally.lookups.items():
        counts[catalog.CACHE_LOOKUPS, (*target, task, status.name)] = lookups
    observations: dict[SeriesKey, list[float]] = {}
    for family, lengths in (
        (catalog.TASK_DURATION, tally.ran),
        (catalog.TASK_QUEUE_DURATION, tally.waited),
    ):
        for task, micros in lengths.items():
            observations[family, (*target, task)] = [length / SECOND for length in micros]
    return Increments(births, counts, observations)


def _births_of_task(task: tuple[str, ...]) -> Iterable[SeriesKey]:
    """Return the series that a task has from its first sight on."""
    yield catalog.TASK_DURATION, task
    yield catalog.TASK_QUEUE_DURATION, task
    for phase in _LIKELY:
        yield catalog.TASK_ATTEMPTS, (*task, phase)


def introduce(target: Target, plans: Iterable[ActivePlan]) -> Increments:
    """Work out which series *plans* have because they are active: in the mode they will run in."""
    births: dict[SeriesKey, None] = {}
    names = []
    for plan in plans:
        mode = Mode.MANUAL if plan.owed is None else Mode.SCHEDULED
        births.update(dict.fromkeys(_births(target, plan.name, mode.name)))
        names.append(plan.name)
    return Increments(births=births, launch_plans=frozenset(names))


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


def _verdicts(target: Target, judged: Mapping[str, Judgement]) -> dict[SeriesKey, int]:
    """Return what is to be added to the counters of slots, 0 included."""
    found: dict[SeriesKey, int] = {}
    for launch_plan, judgement in judged.items():
        if judgement.state.schedule:
            labels = (*target, launch_plan)
            found[catalog.SCHEDULE_MISSED, labels] = judgement.missed
            found[catalog.SCHEDULE_SKIPPED, labels] = judgement.skipped
    return found


def _delayed(launched: Iterable[Execution]) -> list[float]:
    """Return how long after their slots the scheduler launched executions."""
    return [
        max(0, created_at - scheduled_at) / SECOND
        for (_, created_at), _, _, _, _, _, _, scheduled_at, *_ in filter(_SLOT, launched)
        if scheduled_at is not None
    ]


def _queued(started: Sequence[Execution]) -> list[float]:
    """Return the times from creation to start; two clocks may disagree, so none is below 0."""
    # Column by column: to take each row apart by itself is twice as slow.
    created = map(_CREATED_AT, map(_ID, started))
    waited = map(sub, map(_STARTED_AT, started), created)
    return [micros / SECOND if micros > 0 else 0.0 for micros in waited]
