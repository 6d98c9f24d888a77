"""
The series of the ledger, in memory: who has one, what it stands at, and what of that is shown.

`post` decides where increments go; the posting is committed to the ledger; `apply` then makes it
true here and on /metrics. A posting whose commit fails is dropped, and nothing was counted.

Holding back: Prometheus sees an increment only between two samples. So a new series shows 0 for a
while, whatever it stands at, and after a start every series shows what it stood at before. The end
of a hold is made durable before it is acted upon: otherwise a crash between the two could make a
counter step back.
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import repeat
from typing import NamedTuple, Protocol

from exporter.ledger.records import Activity, Commit, SeriesDelta, SeriesRow, Value
from exporter.metrics import catalog, text
from exporter.metrics.budget import NO_LIMITS, OVERFLOW, Budget, BudgetObserver
from exporter.metrics.catalog import Family, Kind
from exporter.metrics.exemplars import Exemplar
from exporter.metrics.exposition import Exposition
from exporter.metrics.heirs import heirs_of, together
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.measure import Increments, SeriesKey
from exporter.metrics.owners import Owner, Variety, is_launch_plan, is_task, owner_of, spills
from exporter.model.executions import Phase
from exporter.model.targets import Target
from exporter.model.time import Micros, micros, seconds

RETENTION = timedelta(days=35)
"""How long a series outlives its launch plan's last execution: a monthly report, and some days."""

_ALWAYS_SHOWN = frozenset({Phase.UNDEFINED, Phase.RUNNING})
_LEVELS = (catalog.EXECUTIONS_ACTIVE, catalog.EXECUTIONS_OLDEST)
_FIXED: Mapping[Family, Sequence[float]] = {
    family: family.buckets
    for family in catalog.FAMILIES
    if family.buckets and family.source is catalog.Source.LEDGER
}
"""Upper bounds of the histogram families that nobody configures."""


class BookObserver(BudgetObserver, Protocol):
    """Is told what the book cannot show and how long showing takes."""

    def rendered(self, *, seconds: float) -> None:
        """Take note that the series of one commit were rendered."""


class Written(NamedTuple):
    """An exemplar as it stands on /metrics, and when its execution ended."""

    at: Micros
    text: bytes


@dataclass(slots=True, eq=False)
class Series:
    """One counter or histogram."""

    id: int
    family: Family
    labels: tuple[str, ...]
    born_at: Micros
    value: Value
    shown: Value | None
    """What /metrics shows instead of the value, while the series is held back."""
    hold_stored: bool
    """Whether the ledger, too, has `shown` set."""
    releasing: bool = False
    """The hold is over and the ledger is being told."""
    exposed: bool = False
    exemplars: dict[int, Written] | None = None
    """By the line that they belong to: of a histogram, by bucket. Most series have none."""


@dataclass(slots=True, eq=False)
class _Plan:
    """The series of one launch plan or task; with an empty name, of the target itself."""

    last_at: Micros
    series: list[Series] = field(default_factory=list)
    levels: dict[Family, frozenset[Phase]] = field(default_factory=dict)
    """The phases that each family of levels shows of it."""


@dataclass(slots=True)
class Addition:
    """What a posting adds to one series."""

    series: Series
    total: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)
    exemplars: tuple[tuple[int, Exemplar], ...] = ()
    """Each with the line that it belongs to: of a histogram, the bucket."""


@dataclass(frozen=True, slots=True)
class Rebound:
    """
    Histograms that begin anew with other bounds; true once it is committed.

    Attributes:
        bounds: The bounds of every histogram family from then on.
        pairs: Each series that is over, and the one that follows it.
        commit: For the ledger.
    """

    bounds: Mapping[Family, Sequence[float]]
    pairs: Sequence[tuple[Series, Series]]
    commit: Commit


@dataclass(frozen=True, slots=True)
class Posting:
    """
    What is to be committed, and is true here once it is.

    Attributes:
        additions: Increments that found their series.
        deltas: The same, for the ledger.
        activity: Launch plans that something happened to.
        removed: Series that are over.
        inactive: Launch plans that are over.
        diverted: Increments that overflowed, by family.
        trace_id: Of the trace that the increments come from, if there is one.
    """

    additions: Sequence[Addition] = ()
    deltas: Sequence[SeriesDelta] = ()
    activity: Sequence[Activity] = ()
    removed: Sequence[int] = ()
    inactive: Sequence[tuple[Target, str]] = ()
    diverted: Mapping[Family, int] = field(default_factory=dict)
    trace_id: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.deltas or self.activity or self.removed)


class Book:
    """
    The series.

    Args:
        bounds: Upper bounds of each histogram family of the ledger that has none of its own, in
            its unit.
        limit: `metrics.series_limit`.
        family_limits: Those of single families.
        varieties: How many values of their open label families may have, those with such a limit.
        hold: `metrics.first_sample_hold`.
        exposition: Where the series are shown.
        observer: Is told what was diverted.
        labelling: Which series there are; those posted here are labelled by it.
    """

    def __init__(
        self,
        *,
        bounds: Mapping[Family, Sequence[float]],
        limit: int,
        varieties: Mapping[Family, int],
        hold: timedelta,
        exposition: Exposition,
        observer: BookObserver,
        labelling: Labelling = AS_THEY_ARE,
        family_limits: Mapping[Family, int] = NO_LIMITS,
    ) -> None:
        self.budget = Budget(limit, family_limits)
        self.labelling = labelling
        self._hold = micros(hold)
        self.exposition = exposition
        self._observer = observer
        self._series: dict[SeriesKey, Series] = {}
        self._plans: dict[Owner, _Plan] = {}
        self._names: dict[Target, dict[str, None]] = {}
        self._variety = Variety(varieties)
        self._holds: deque[tuple[Micros, Series]] = deque()
        self._removed: dict[int, None] = {}
        self._inactive: dict[Owner, None] = {}
        self._next_id = 1
        shown = [family for family in _LEVELS if family not in labelling.disabled]
        self._plan_levels = [family for family in shown if labelling.names_plans(family)]
        self._target_levels = [family for family in shown if not labelling.names_plans(family)]
        self._set_bounds(bounds)
        self._phase_sets: dict[frozenset[Phase], frozenset[Phase]] = {}

    # Loading

    def load(
        self,
        rows: Iterable[SeriesRow],
        activity: Iterable[Activity],
        now: Micros,
        *,
        labelled: str = "",
    ) -> Commit:
        """
        Take over what the ledger has; every series is held at what it stood at.

        Args:
            rows: The series.
            activity: When something last happened to whom.
            now: Our clock.
            labelled: By which rules the ledger's series are named. Where these are not ours, each
                goes to where it would be counted by ours, and those that meet there become one:
                sums over them go on from where they were.

        Returns:
            What must be committed first: series of families that are no more, or are switched off,
            are removed; those that moved are written anew; and a histogram whose bounds were
            changed begins anew, it alone.
        """
        moving = labelled != self.labelling.stated
        inactive = self._load_activity(activity, moving=moving)
        heirs = heirs_of(rows, layouts=self._layouts, labelling=self.labelling, moving=moving)
        self._next_id = heirs.newest_id + 1
        removed = heirs.removed
        deltas: list[SeriesDelta] = []
        for key, own in heirs.rows.items():
            if len(own) == 1 and own[0].labels == key[1]:
                self._take_over(key, own[0], now)
            elif own:
                removed += [row.id for row in own]
                deltas.append(self._merge(key, own, now))
            else:
                series = self._create(key, now)
                self._expose(series, now)
                deltas.append(_delta(Addition(series), self._layouts))
        for owner, plan in self._plans.items():
            self._open_levels(owner, plan)
        if not moving:
            return Commit(removed=removed, deltas=deltas)
        return Commit(
            removed=removed,
            deltas=deltas,
            activity=[Activity(*owner, plan.last_at) for owner, plan in self._plans.items()],
            inactive=[owner for owner in inactive if owner not in self._plans],
            labelling=self.labelling.stated,
        )

    def _load_activity(
        self, activity: Iterable[Activity], *, moving: bool
    ) -> list[tuple[Target, str]]:
        """Take over who was heard of; return who has another name now."""
        renamed: list[tuple[Target, str]] = []
        for target, name, last_at in activity:
            label = self.labelling.moved_plan(name) if moving else name
            if label != name:
                renamed.append((target, name))
            plan = self._plan(target, label, last_at)
            plan.last_at = max(plan.last_at, last_at)
        return renamed

    def _take_over(self, key: SeriesKey, row: SeriesRow, now: Micros) -> None:
        shown = row.shown or row.value
        family, labels = key
        series = Series(
            row.id, family, labels, row.born_at, row.value, shown, row.shown is not None
        )
        self._enter(key, series, now)
        self._holds.append((Micros(now + self._hold), series))
        self._show(series)

    def _merge(self, key: SeriesKey, rows: Sequence[SeriesRow], now: Micros) -> SeriesDelta:
        """Make one series of *rows*; return it as the ledger is to have it."""
        value = together([row.value for row in rows])
        shown = together([row.shown or row.value for row in rows])
        born_at = min(row.born_at for row in rows)
        series = Series(self._next_id, *key, born_at, value, shown, hold_stored=False)
        self._next_id += 1
        self._enter(key, series, now)
        self._holds.append((Micros(now + self._hold), series))
        self._show(series)
        addition = Addition(series, value.total, dict(enumerate(value.buckets)))
        return _delta(addition, self._layouts)

    def plans(self, target: Target) -> list[str]:
        """Return the launch plans of *target* that have series of their own."""
        return [name for name in self._names.get(target, ()) if is_launch_plan(name)]

    # Other settings

    def set_limits(self, *, limit: int, varieties: Mapping[Family, int], hold: timedelta) -> None:
        """Heed other limits and another *hold* from now on; whoever has a series keeps it."""
        self.budget.limit = limit
        self._variety.limits = varieties
        self._hold = micros(hold)

    def rebound(self, bounds: Mapping[Family, Sequence[float]], now: Micros) -> Rebound:
        """
        Work out what other *bounds* come to: a histogram whose bounds differ begins anew, it alone.

        Nothing may be posted until that is committed and `begin_anew` was called, or it failed.
        """
        layouts = _layouts_of(bounds)
        pairs = []
        for family in bounds:
            if layouts[family] == self._layouts[family]:
                continue
            zero = _zero(len(bounds[family]))
            for old in self._series.values():
                if old.family is family:
                    shown = zero if self._hold > 0 else None
                    new = Series(
                        self._next_id, family, old.labels, now, zero, shown, shown is not None
                    )
                    self._next_id += 1
                    pairs.append((old, new))
        commit = Commit(
            removed=[old.id for old, _ in pairs],
            deltas=[_delta(Addition(new), layouts) for _, new in pairs],
        )
        return Rebound(bounds, pairs, commit)

    def begin_anew(self, rebound: Rebound) -> None:
        """Put the histograms of *rebound*, which was committed, in place of those that are over."""
        for old, _ in rebound.pairs:
            self.budget.give_back(old.family, self._cost(old.family))
            self.exposition.drop(old.family, old.id)
        self._set_bounds(rebound.bounds)
        follower = dict(rebound.pairs)
        for new in follower.values():
            self.budget.take(new.family, self._cost(new.family))
            self._series[new.family, new.labels] = new
        for plan in self._plans.values():
            plan.series = [follower.get(series, series) for series in plan.series]
        self._holds = deque(hold for hold in self._holds if hold[1] not in follower)

    def expose(self, series: Iterable[Series], now: Micros) -> None:
        """Show new *series*; their hold begins *now*."""
        for one in series:
            self._expose(one, now)

    # Counting

    def post(
        self, target: Target, increments: Increments, now: Micros, *, trace_id: str | None = None
    ) -> Posting:
        """
        Decide to which series *increments* go.

        Nothing is counted yet; but a series that comes to be here has its place from now on.

        Args:
            target: Whose they are.
            increments: By the labels that they go to.
            now: Our clock.
            trace_id: Of the trace that they come from, for exemplars; None where it is not kept.
        """
        diverted: Counter[Family] = Counter()
        additions: dict[Series, Addition] = {}
        for key in increments.births:
            series = self._resolve(key, now)
            if not series.exposed:
                additions.setdefault(series, Addition(series))
        exemplars = increments.exemplars
        for key, count in increments.counts.items():
            addition = self._addition(key, additions, diverted, count, now)
            addition.total += count
            addition.exemplars += tuple((0, found) for found in exemplars.get(key, ()))
        for key, values in increments.observations.items():
            addition = self._addition(key, additions, diverted, len(values), now)
            addition.total += sum(values)
            bounds = self._bounds[key[0]]
            buckets = Counter(map(bisect_left, repeat(bounds), values))
            buckets.update(addition.buckets)
            addition.buckets = buckets
            addition.exemplars += tuple(
                (bisect_left(bounds, found.value), found) for found in exemplars.get(key, ())
            )
        self._open_named(target, increments.launch_plans, now)
        return Posting(
            list(additions.values()),
            [_delta(addition, self._layouts) for addition in additions.values()],
            self._touch(target, increments, additions, now),
            tuple(self._removed),
            tuple(self._inactive),
            diverted,
            trace_id,
        )

    def apply(self, posting: Posting, now: Micros) -> None:
        """Count a posting that was committed, and show it; the hold of new series begins *now*."""
        for series_id in posting.removed:
            self._removed.pop(series_id, None)
        for owner in posting.inactive:
            self._inactive.pop(owner, None)
        for family, increments in posting.diverted.items():
            self._observer.diverted(family=family, increments=increments)
        if not posting.additions:
            return
        began = time.perf_counter()
        for addition in posting.additions:
            series, buckets = addition.series, addition.buckets
            counts = series.value.buckets
            if buckets:
                counts = tuple(count + buckets.get(place, 0) for place, count in enumerate(counts))
            series.value = Value(series.value.total + addition.total, counts)
            if addition.exemplars:
                _remember(series, addition.exemplars, posting.trace_id)
            if not series.exposed:
                self._expose(series, now)
            elif series.shown is None:
                self._show(series)
        self._observer.rendered(seconds=time.perf_counter() - began)

    # Holding back

    def due(self, now: Micros) -> list[Series]:
        """
        Return the series whose hold is over.

        `held_in_ledger` of them is to be committed as `released`; then `release` shows them. If
        that commit fails, `retry` has them come back.
        """
        found: list[Series] = []
        if self._holds and self._holds[0][0] > now + self._hold:
            # The clock was ahead and is not any more; nobody waits longer than a hold from now.
            latest = Micros(now + self._hold)
            self._holds = deque((min(at, latest), series) for at, series in self._holds)
        while self._holds and self._holds[0][0] <= now:
            series = self._holds.popleft()[1]
            series.releasing = True
            found.append(series)
        return found

    def release(self, series: Iterable[Series]) -> None:
        """Show what *series* stand at."""
        for one in series:
            shown, one.shown = one.shown, None
            one.releasing = one.hold_stored = False
            if one.exposed and (shown != one.value or one.exemplars):
                self._show(one)

    def retry(self, series: Sequence[Series]) -> None:
        """Have *series* come back as due."""
        self._holds.extendleft((one.born_at, one) for one in reversed(series))

    # Levels of the live set

    @property
    def shows_plan_levels(self) -> bool:
        """Whether there are levels that tell launch plans apart."""
        return bool(self._plan_levels)

    @property
    def shows_target_levels(self) -> bool:
        """Whether there are levels that do not tell launch plans apart."""
        return bool(self._target_levels)

    def set_levels(
        self, target: Target, launch_plan: str, levels: Mapping[Phase, tuple[int, Micros]]
    ) -> None:
        """Show how many executions of a launch plan are in which phase, and since when."""
        self._set_levels((target, launch_plan), self._plan_levels, levels)

    def set_target_levels(self, target: Target, levels: Mapping[Phase, tuple[int, Micros]]) -> None:
        """Show the same of all launch plans of *target* together."""
        self._set_levels((target, ""), self._target_levels, levels)

    def _set_levels(
        self,
        owner: tuple[Target, str],
        families: Iterable[Family],
        levels: Mapping[Phase, tuple[int, Micros]],
    ) -> None:
        target, launch_plan = owner
        plan = self._plans.get(owner)
        for family in families:
            if plan is None or not self._opens(plan, family):
                self._observer.diverted(family=family, increments=1)
                continue
            for phase in levels.keys() - plan.levels[family]:
                self._admit_level(plan, family, phase)
            samples = []
            for phase in sorted(plan.levels[family]):
                count, since = levels.get(phase, (0, None))
                labels = (*target, launch_plan, phase.name)
                if family is catalog.EXECUTIONS_ACTIVE:
                    samples.append(text.sample(family, labels, count))
                elif since is not None:
                    samples.append(text.sample(family, labels, seconds(since)))
            self.exposition.put(family, owner, b"".join(samples))

    def drop_levels(self, target: Target) -> None:
        """Show no levels of *target* any more; its counters stay."""
        for plan in (*self.plans(target), ""):
            for family in (*self._plan_levels, *self._target_levels):
                self.exposition.drop(family, (target, plan))

    # Forgetting

    def expire(self, now: Micros, keep: "Keep") -> Posting:
        """
        Forget launch plans of which nothing was heard for `RETENTION`, and say what to commit.

        Until it is committed, every posting says it too: a launch plan that comes back must not
        meet its old series in the ledger.

        Args:
            now: Our clock.
            keep: Says of a launch plan (or, by an empty name, of a target) that it is in use.
        """
        limit = now - micros(RETENTION)
        old = [
            (target, name)
            for (target, name), plan in self._plans.items()
            if plan.last_at < limit and not keep(target, name)
        ]
        for owner in old:
            plan = self._plans.pop(owner)
            for series in plan.series:
                self._removed[series.id] = None
                del self._series[series.family, series.labels]
                self.exposition.drop(series.family, series.id)
                self.budget.give_back(series.family, self._cost(series.family))
            self._variety.forget(owner)
            for family, phases in plan.levels.items():
                self.exposition.drop(family, owner)
                self.budget.give_back(family, len(phases))
            self._inactive[owner] = None
            self._names.get(owner[0], {}).pop(owner[1], None)
        if old:
            self._holds = deque(hold for hold in self._holds if hold[1].id not in self._removed)
        return Posting(removed=tuple(self._removed), inactive=tuple(self._inactive))

    # Inside

    def _addition(
        self,
        key: SeriesKey,
        additions: dict[Series, Addition],
        diverted: Counter[Family],
        increments: int,
        now: Micros,
    ) -> Addition:
        """Return what is added to the series for *key*, and take note if it overflows."""
        series = self._resolve(key, now)
        if OVERFLOW in series.labels and series.labels != key[1]:
            diverted[key[0]] += increments
        addition = additions.get(series)
        if addition is None:
            addition = additions[series] = Addition(series)
        return addition

    def _set_bounds(self, bounds: Mapping[Family, Sequence[float]]) -> None:
        self._bounds = {**_FIXED, **bounds}
        self._edges = {f: [text.bound(bound) for bound in own] for f, own in self._bounds.items()}
        self._layouts = _layouts_of(self._bounds)
        self._cost_of_plan = self._costs_of_plan()

    def _resolve(self, key: SeriesKey, now: Micros) -> Series:
        """Return the series for *key*: its own, a new one, or the one that its counts go to."""
        series = self._series.get(key)
        if series is not None:
            return series
        family, labels = key[0], self._variety.admitted(*key)
        series = self._series.get((family, labels))
        if series is not None:
            return series
        if self._admits(family, labels):
            return self._create((family, labels), now)
        *near, last = spills(family, labels)
        for place in near:
            series = self._series.get((family, place))
            if series is not None:
                return series
            if self.budget.has_room(family, self._cost(family), overflow=True):
                return self._create((family, place), now)
        return self._series.get((family, last)) or self._create((family, last), now)

    def _admits(self, family: Family, labels: tuple[str, ...]) -> bool:
        cost = self._cost(family)
        owner = owner_of(family, labels)
        if owner is None or not owner[1] or owner in self._plans:
            return self.budget.has_room(family, cost)
        # A launch plan or a task comes in with all that it will need, or not at all.
        needed = self._costs_of_task() if is_task(owner[1]) else self._cost_of_plan
        return self.budget.has_room(family, cost) and self.budget.fits(needed)

    def _costs_of_plan(self) -> int:
        """Return how many series a launch plan needs at once."""
        births = (
            catalog.EXECUTIONS_LAUNCHED,
            catalog.EXECUTIONS_FINISHED,  # as SUCCEEDED
            catalog.EXECUTIONS_FINISHED,  # as FAILED
            catalog.EXECUTION_ERRORS,  # of USER
            catalog.EXECUTION_ERRORS,  # of SYSTEM
            catalog.EXECUTION_DURATION,
        )
        own = [
            family
            for family in births
            if family not in self.labelling.disabled and self.labelling.names_plans(family)
        ]
        return sum(map(self._cost, own)) + len(self._plan_levels) * len(_ALWAYS_SHOWN)

    def _costs_of_task(self) -> int:
        """Return how many series a task needs at once."""
        births = (
            catalog.TASK_DURATION,
            catalog.TASK_QUEUE_DURATION,
            catalog.TASK_ATTEMPTS,  # as SUCCEEDED
            catalog.TASK_ATTEMPTS,  # as FAILED
        )
        return sum(self._cost(family) for family in births if family not in self.labelling.disabled)

    def _cost(self, family: Family) -> int:
        return len(self._bounds[family]) + 3 if family.kind is Kind.HISTOGRAM else 1

    def _create(self, key: SeriesKey, now: Micros) -> Series:
        family, labels = key
        zero = _zero(len(self._bounds[family])) if family.kind is Kind.HISTOGRAM else Value(0, ())
        held = self._hold > 0
        series = Series(self._next_id, family, labels, now, zero, zero if held else None, held)
        self._next_id += 1
        self._enter(key, series, now)
        return series

    def _expose(self, series: Series, now: Micros) -> None:
        """Show a new series; its hold begins now, when Prometheus can first see it."""
        if series.shown is not None:
            self._holds.append((Micros(now + self._hold), series))
        self._show(series)

    def _enter(self, key: SeriesKey, series: Series, now: Micros) -> None:
        family, labels = key
        self._series[key] = series
        self.budget.take(family, self._cost(family))
        self._variety.take(family, labels)
        owner = owner_of(family, labels)
        if owner is not None:
            self._open(*owner, now).series.append(series)

    def _open_named(self, target: Target, launch_plans: Iterable[str], now: Micros) -> None:
        """Have those in of whom no series is kept, for the sake of their levels."""
        if self._target_levels:
            self._open(target, "", now)
        if self._plan_levels:
            for name in launch_plans:
                if (target, name) not in self._plans and self.budget.fits(self._cost_of_plan):
                    self._open(target, name, now)

    def _open(self, target: Target, name: str, now: Micros) -> _Plan:
        """Return the launch plan's place in the book; it has one from now on."""
        plan = self._plan(target, name, now)
        self._open_levels((target, name), plan)
        return plan

    def _plan(self, target: Target, name: str, last_at: Micros) -> _Plan:
        plan = self._plans.get((target, name))
        if plan is None:
            plan = self._plans[target, name] = _Plan(last_at)
            self._names.setdefault(target, {})[name] = None
        return plan

    def _open_levels(self, owner: tuple[Target, str], plan: _Plan) -> None:
        """Keep places for the levels of a launch plan, so that they come in with it."""
        if OVERFLOW in (owner[0].project, owner[1]) or is_task(owner[1]):
            return
        for family in self._plan_levels if owner[1] else self._target_levels:
            if family not in plan.levels and self.budget.fits_family(family, len(_ALWAYS_SHOWN)):
                plan.levels[family] = _ALWAYS_SHOWN
                self.budget.take(family, len(_ALWAYS_SHOWN))

    def _opens(self, plan: _Plan, family: Family) -> bool:
        """Whether *family* shows levels of *plan*; what did not fit before may fit now."""
        if family not in plan.levels and self.budget.has_room(family, len(_ALWAYS_SHOWN)):
            plan.levels[family] = _ALWAYS_SHOWN
            self.budget.take(family, len(_ALWAYS_SHOWN))
        return family in plan.levels

    def _admit_level(self, plan: _Plan, family: Family, phase: Phase) -> None:
        if not self.budget.has_room(family, 1):
            self._observer.diverted(family=family, increments=1)
            return
        phases = plan.levels[family] | {phase}
        # Few of the sets that are possible come up, and thousands of launch plans share them.
        plan.levels[family] = self._phase_sets.setdefault(phases, phases)
        self.budget.take(family, 1)

    def _touch(
        self, target: Target, increments: Increments, added: Iterable[Series], now: Micros
    ) -> list[Activity]:
        """Take note that something happened, to the launch plans and to whom they overflow into."""
        owners = {owner_of(series.family, series.labels) for series in added}
        owners.update((target, name) for name in increments.launch_plans)
        touched: list[Activity] = []
        for owner in owners:
            plan = self._plans.get(owner) if owner is not None else None
            if owner is not None and plan is not None:
                plan.last_at = now
                touched.append(Activity(*owner, now))
        return touched

    def _show(self, series: Series) -> None:
        value = series.value if series.shown is None else series.shown
        if series.family.kind is Kind.HISTOGRAM:
            piece = text.histogram(
                series.family,
                series.labels,
                self._edges[series.family],
                value.buckets,
                value.total,
            )
        else:
            piece = text.sample(series.family, series.labels, value.total)
        series.exposed = True
        named = None
        if series.exemplars and series.shown is None:
            lines = {place: shown.text for place, shown in series.exemplars.items()}
            named = text.with_exemplars(piece, lines)
        self.exposition.put(series.family, series.id, piece, with_exemplars=named)


class Keep(Protocol):
    """Says whether a launch plan, or by an empty name a target, is still in use."""

    def __call__(self, target: Target, launch_plan: str, /) -> bool:
        """Return whether it is."""


def held_in_ledger(series: Iterable[Series]) -> list[int]:
    """Return the ids of *series* that the ledger, too, holds back."""
    return [one.id for one in series if one.hold_stored]


def _zero(bounds: int) -> Value:
    """Return what a histogram with so many *bounds* begins at."""
    return Value(0, (0,) * (bounds + 1))


def _layouts_of(bounds: Mapping[Family, Sequence[float]]) -> dict[Family, str]:
    return {family: ",".join(map(text.bound, own)) for family, own in bounds.items()}


def _remember(
    series: Series, exemplars: Iterable[tuple[int, Exemplar]], trace_id: str | None
) -> None:
    """Keep of each line the exemplar that ended last: Prometheus takes no older one after it."""
    if series.exemplars is None:
        series.exemplars = {}
    for place, found in exemplars:
        other = series.exemplars.get(place)
        if other is None or other.at <= found.at:
            series.exemplars[place] = Written(found.at, text.exemplar(found, trace_id))


def _delta(addition: Addition, layouts: Mapping[Family, str]) -> SeriesDelta:
    series = addition.series
    shown = None if series.releasing else series.shown
    series.hold_stored = series.hold_stored or shown is not None
    return SeriesDelta(
        series.id,
        series.family.name,
        series.labels,
        layouts.get(series.family, ""),
        series.born_at,
        shown,
        addition.total,
        addition.buckets,
    )
