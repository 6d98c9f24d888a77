"""
The series of the ledger, in memory: what is counted goes to the ledger first, and then here.

`post` decides where increments go; the posting is committed to the ledger; `apply` then makes it
true here and on /metrics. A posting whose commit fails is dropped, and nothing was counted.

The parts each know one thing, and whoever needs one of them asks it: the `roster` who has a series,
the `places` to whom something happened and when, `showing` what is held back, the `levels` the live
set. `metrics.loading` fills a book at a start, `metrics.rebound` lays out one that is in use anew.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import repeat
from typing import Protocol

from exporter.ledger.records import Activity, Value
from exporter.metrics.buckets import Buckets
from exporter.metrics.budget import NO_LIMITS, OVERFLOW, Budget, BudgetObserver
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.exposition import Exposition
from exporter.metrics.heirs import Stock
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.levels import LevelGauges
from exporter.metrics.measure import Increments, SeriesKey
from exporter.metrics.owners import Owner, Variety, owner_of
from exporter.metrics.places import Keep, Places
from exporter.metrics.posting import Addition, Posting, delta_of
from exporter.metrics.roster import Roster
from exporter.metrics.series import Series
from exporter.metrics.showing import Showing
from exporter.model.targets import Target
from exporter.model.time import Micros

_OWN = tuple(family for family in FAMILIES if family.source in {Source.LEDGER, Source.LIVE})
"""The families that a book shows."""


class BookObserver(BudgetObserver, Protocol):
    """Is told what the book cannot show and how long showing takes."""

    def rendered(self, *, seconds: float) -> None:
        """Take note that the series of one commit were rendered."""


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

    Attributes:
        budget: How many series there are and may be; gauges of others count against it, too.
        buckets: Of the histograms.
        exposition: Where everything is shown.
        labelling: Which series there are now.
        levels: The live set.
        places: Who is known.
        roster: Who has a series.
        showing: What is shown of each.
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
        self.buckets = Buckets(bounds)
        self.exposition = exposition
        self.showing = Showing(exposition, buckets=self.buckets, hold=hold)
        self._varieties = varieties
        self._observer = observer
        self._removed: dict[int, None] = {}
        self._inactive: dict[Owner, None] = {}
        self._lay_out(labelling)

    def _lay_out(self, labelling: Labelling) -> None:
        self.labelling = labelling
        self.places = Places()
        self.levels = LevelGauges(
            budget=self.budget,
            exposition=self.exposition,
            observer=self._observer,
            labelling=labelling,
        )
        self._variety = Variety(self._varieties)
        self.roster = Roster(
            budget=self.budget,
            buckets=self.buckets,
            variety=self._variety,
            places=self.places,
            levels=self.levels,
            showing=self.showing,
            labelling=labelling,
        )

    def lay_out(self, bounds: Mapping[Family, Sequence[float]], labelling: Labelling) -> None:
        """
        Have no series and know nobody, as if new; what is shown stays.

        The ledger was told what became of the `stock`.

        Args:
            bounds: Of the histograms from now on.
            labelling: Which series there are to be.
        """
        self._removed.clear()
        self._inactive.clear()
        self.buckets.set(bounds)
        self.budget.clear(_OWN)
        self._lay_out(labelling)

    def stock(self) -> Stock:
        """Return what there is and was committed, as the ledger has it."""
        layouts = self.buckets.layouts
        return Stock(
            rows=[series.row(layouts.get(series.family, "")) for series in self.roster.committed()],
            activity=self.places.activity(),
            labelling=self.labelling,
            newest_id=self.roster.newest_id,
            removed=tuple(self._removed),
            inactive=tuple(self._inactive),
        )

    def set_limits(self, *, limit: int, varieties: Mapping[Family, int], hold: timedelta) -> None:
        """Heed other limits and another *hold* from now on; whoever has a series keeps it."""
        self.budget.limit = limit
        self._varieties = self._variety.limits = varieties
        self.showing.set_hold(hold)

    def is_admitted(self, target: Target, launch_plan: str) -> bool:
        """Whether the launch plan came in, and with it all that it needs, and was not forgotten."""
        return (target, launch_plan) in self.places

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
            series = self.roster.find(key, now)
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
            bounds = self.buckets.bounds[key[0]]
            buckets = Counter(map(bisect_left, repeat(bounds), values))
            buckets.update(addition.buckets)
            addition.buckets = buckets
            addition.exemplars += tuple(
                (bisect_left(bounds, found.value), found) for found in exemplars.get(key, ())
            )
        self.roster.open(target, increments.launch_plans, now)
        layouts = self.buckets.layouts
        return Posting(
            list(additions.values()),
            [delta_of(addition, layouts) for addition in additions.values()],
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
        showing = self.showing
        for addition in posting.additions:
            series, buckets = addition.series, addition.buckets
            counts = series.value.buckets
            if buckets:
                counts = tuple(count + buckets.get(place, 0) for place, count in enumerate(counts))
            series.value = Value(series.value.total + addition.total, counts)
            if addition.exemplars:
                series.remember(addition.exemplars, posting.trace_id)
            if not series.exposed:
                showing.expose(series, now)
            elif series.shown is None:
                showing.show(series)
        self._observer.rendered(seconds=time.perf_counter() - began)

    # Forgetting

    def expire(self, now: Micros, keep: Keep) -> Posting:
        """
        Forget launch plans of which nothing was heard for `RETENTION`, and say what to commit.

        Until it is committed, every posting says it too: a launch plan that comes back must not
        meet its old series in the ledger.

        Args:
            now: Our clock.
            keep: Says of a launch plan (or, by an empty name, of a target) that it is in use.
        """
        over: list[Series] = []
        for owner in self.places.forgotten(now, keep):
            over += self.roster.forget(owner)
            self._inactive[owner] = None
        if over:
            self._removed.update(dict.fromkeys(series.id for series in over))
            self.showing.drop(over)
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
        series = self.roster.find(key, now)
        if OVERFLOW in series.labels and series.labels != key[1]:
            diverted[key[0]] += increments
        addition = additions.get(series)
        if addition is None:
            addition = additions[series] = Addition(series)
        return addition

    def _touch(
        self, target: Target, increments: Increments, added: Iterable[Series], now: Micros
    ) -> list[Activity]:
        """Take note that something happened, to the launch plans and to whom they overflow into."""
        owners = {
            owner
            for series in added
            if (owner := owner_of(series.family, series.labels)) is not None
        }
        owners.update((target, name) for name in increments.launch_plans)
        return self.places.hear(owners, now)
