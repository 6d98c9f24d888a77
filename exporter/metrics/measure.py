"""
What the events of one target add to which series. Pure: nothing is counted here, only worked out.

A series is born at 0 before it can be needed, because Prometheus never sees the increment that a
series appears with: an activation or a launch gives birth to the launch plan's counters of success
and failure, and to its histogram. Outcomes that are not near certain (ABORTED) are born when they
first happen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.model.events import Events
from exporter.model.executions import Execution, Mode, Phase
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
_HOW_AND_END = itemgetter(_PLACE("launch_plan"), _PLACE("mode"), _PLACE("phase"))
_SLOT = itemgetter(_PLACE("scheduled_at"))
_LIKELY = (Phase.SUCCEEDED.name, Phase.FAILED.name)


@dataclass(frozen=True, slots=True)
class Increments:
    """
    What a batch adds.

    Attributes:
        births: Series that must exist from now on, if only at 0.
        counts: Additions to counters.
        observations: Values for histograms, in the family's unit.
        launch_plans: Those that the events were about; as labels have them, once labelled.
    """

    births: dict[SeriesKey, None] = field(default_factory=dict)
    counts: dict[SeriesKey, int] = field(default_factory=dict)
    observations: dict[SeriesKey, list[float]] = field(default_factory=dict)
    launch_plans: frozenset[str] = frozenset()


_NO_JUDGEMENTS: Mapping[str, Judgement] = {}


def measure(
    target: Target, events: Events, judged: Mapping[str, Judgement] = _NO_JUDGEMENTS
) -> Increments:
    """Work out what *events* of *target* add, and what was *judged* of its schedules."""
    launched = Counter(map(_HOW, events.launched))
    finished = Counter(map(_HOW_AND_END, events.finished))
    births: dict[SeriesKey, None] = dict.fromkeys(_births_of_target(target))
    # In the order in which they came: who is the last to fit the series limit is no matter of luck.
    primed = dict.fromkeys((row.launch_plan, row.mode) for row in events.primed)
    for launch_plan, mode in {**dict.fromkeys(launched), **primed}:
        births.update(dict.fromkeys(_births(target, launch_plan, mode.name)))
    counts: dict[SeriesKey, int] = {}
    observations: dict[SeriesKey, list[float]] = {}
    for (launch_plan, mode), count in launched.items():
        counts[catalog.EXECUTIONS_LAUNCHED, (*target, launch_plan, mode.name)] = count
    for (launch_plan, mode, phase), count in finished.items():
        labels = (*target, launch_plan, mode.name, phase.name)
        counts[catalog.EXECUTIONS_FINISHED, labels] = count
    if events.started:
        counts[catalog.EXECUTIONS_STARTED, target] = len(events.started)
        observations[catalog.EXECUTION_QUEUE_DURATION, target] = _queued(events.started)
    for launch_plan, seconds in _durations(events.finished).items():
        observations[catalog.EXECUTION_DURATION, (*target, launch_plan)] = seconds
    delays = _delayed(events.launched)
    if delays:
        observations[catalog.SCHEDULE_DELAY, target] = delays
    if judged:
        verdicts = _verdicts(target, judged)
        births.update(dict.fromkeys([(catalog.SCHEDULE_DELAY, target), *verdicts]))
        counts.update((series, count) for series, count in verdicts.items() if count)
    plans = {launch_plan for launch_plan, _ in launched}
    plans.update(launch_plan for launch_plan, _, _ in finished)
    plans.update(row.launch_plan for row in events.primed)
    return Increments(births, counts, observations, frozenset(plans))


def measure_tasks(target: Target, tally: Tally) -> Increments:
    """Work out what the tasks of one execution of *target* add."""
    births: dict[SeriesKey, None] = {}
    for task in sorted(tally.tasks):
        births.update(dict.fromkeys(_births_of_task((*target, task))))
    counts: dict[SeriesKey, int] = {}
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
        mode = Mode.MANUAL if plan.schedule is None else Mode.SCHEDULED
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
        for (_, created_at), _, _, _, _, _, _, scheduled_at in filter(_SLOT, launched)
        if scheduled_at is not None
    ]


def _durations(finished: Iterable[Execution]) -> dict[str, list[float]]:
    """Return how long the successes ran, by launch plan."""
    lasted: defaultdict[str, list[float]] = defaultdict(list)
    for _, phase, _, launch_plan, _, _, duration, _ in finished:
        # Admin's duration is 0 or absent when the execution never ran: unknown, which is not 0 s.
        if phase is Phase.SUCCEEDED and duration is not None and duration > 0:
            lasted[launch_plan].append(duration / SECOND)
    return lasted


def _queued(started: Iterable[Execution]) -> list[float]:
    """Return the times from creation to start; two clocks may disagree, so none is below 0."""
    # Each row is taken apart at once: to ask it for one field after the other is twice as slow.
    return [
        (started_at - created_at) / SECOND if started_at and started_at > created_at else 0.0
        for (_, created_at), _, _, _, started_at, _, _, _ in started
    ]
