"""
Who has a series of its own.

First come, first served: whoever has a series keeps it, and whoever does not fit any more shares
one with others (`metrics.owners`). A launch plan or a task comes in with all that it will need, or
not at all: one that is half there would be told wrong.
"""

from collections.abc import Iterable, Mapping

from exporter.metrics import catalog
from exporter.metrics.buckets import Buckets
from exporter.metrics.budget import Budget
from exporter.metrics.catalog import Family
from exporter.metrics.gauges import NEEDED
from exporter.metrics.labelling import Labelling
from exporter.metrics.levels import LevelGauges
from exporter.metrics.measure import SeriesKey
from exporter.metrics.owners import Owner, Variety, is_task, owner_of, spills
from exporter.metrics.places import Place, Places
from exporter.metrics.series import Series
from exporter.metrics.showing import Showing
from exporter.model.targets import Target
from exporter.model.time import Micros

_NEEDED_BY_PLAN = (
    catalog.EXECUTIONS_LAUNCHED,
    catalog.EXECUTIONS_FINISHED,  # as SUCCEEDED
    catalog.EXECUTIONS_FINISHED,  # as FAILED
    catalog.EXECUTION_ERRORS,  # of USER
    catalog.EXECUTION_ERRORS,  # of SYSTEM
    catalog.EXECUTION_DURATION,
    *NEEDED,
)
_NEEDED_BY_TASK = (
    catalog.TASK_DURATION,
    catalog.TASK_QUEUE_DURATION,
    catalog.TASK_ATTEMPTS,  # as SUCCEEDED
    catalog.TASK_ATTEMPTS,  # as FAILED
)


class Roster:
    """
    All series, by family and labels.

    Args:
        budget: Where the series limit is kept.
        buckets: Of histograms; they decide what one costs.
        variety: Where the limits of single labels are kept.
        places: Of their owners.
        levels: Come in with their launch plan.
        showing: Says whether what is new is held back.
        labelling: Which families there are, and which of them tell launch plans apart.

    Attributes:
        newest_id: The highest that any series has had.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        buckets: Buckets,
        variety: Variety,
        places: Places,
        levels: LevelGauges,
        showing: Showing,
        labelling: Labelling,
    ) -> None:
        self._budget = budget
        self._buckets = buckets
        self._variety = variety
        self._places = places
        self._levels = levels
        self._showing = showing
        self._labelling = labelling
        self._series: dict[SeriesKey, Series] = {}
        self.newest_id = 0
        plan = [family for family in _NEEDED_BY_PLAN if labelling.names_plans(family)]
        self._cost_of_plan = self._cost_of(plan) + levels.cost_of_plan
        self._cost_of_task = self._cost_of(_NEEDED_BY_TASK)

    @property
    def series(self) -> Mapping[SeriesKey, Series]:
        """All series."""
        return self._series

    def committed(self) -> Iterable[Series]:
        """Return those that are in the ledger, as far as nothing is on its way there."""
        return (series for series in self._series.values() if series.exposed)

    def find(self, key: SeriesKey, now: Micros) -> Series:
        """Return the series for *key*: its own, a new one, or the one that its counts go to."""
        series = self._series.get(key)
        if series is not None:
            return series
        family, labels = key[0], self._variety.admitted(*key)
        series = self._series.get((family, labels))
        if series is not None:
            return series
        if self._admits(family, labels):
            return self.create((family, labels), now)
        *near, last = spills(family, labels)
        for place in near:
            series = self._series.get((family, place))
            if series is not None:
                return series
            if self._budget.has_room(family, self._buckets.cost(family), overflow=True):
                return self.create((family, place), now)
        return self._series.get((family, last)) or self.create((family, last), now)

    def create(self, key: SeriesKey, now: Micros) -> Series:
        """Return a new series, whether it fits or not."""
        self.newest_id += 1
        zero, held = self._buckets.zero(key[0]), self._showing.holds_back
        series = Series(self.newest_id, *key, now, zero, zero if held else None, held)
        self.enter(series, now)
        return series

    def enter(self, series: Series, now: Micros) -> None:
        """Have *series* in, and with it whose it is."""
        family, labels = series.family, series.labels
        self._series[family, labels] = series
        self._budget.take(family, self._buckets.cost(family))
        self._variety.take(family, labels)
        owner = owner_of(family, labels)
        if owner is not None:
            self._open(owner, now).series.append(series)

    def open(self, target: Target, launch_plans: Iterable[str], now: Micros) -> None:
        """Have those in of whom no series is kept, for the sake of their levels."""
        if self._levels.of_targets:
            self._open((target, ""), now)
        if self._levels.of_plans:
            for name in launch_plans:
                owner = (target, name)
                if owner not in self._places and self._budget.fits(self._cost_of_plan):
                    self._open(owner, now)

    def forget(self, owner: Owner) -> list[Series]:
        """Have *owner* out, with all it has; return its series."""
        series = self._places.close(owner)
        for one in series:
            del self._series[one.family, one.labels]
            self._budget.give_back(one.family, self._buckets.cost(one.family))
        self._variety.forget(owner)
        self._levels.close(owner)
        return series

    # Inside

    def _open(self, owner: Owner, now: Micros) -> Place:
        """Return the place of *owner*, whose levels have theirs from now on, too."""
        self._levels.open(owner)
        return self._places.open(owner, now)

    def _admits(self, family: Family, labels: tuple[str, ...]) -> bool:
        cost = self._buckets.cost(family)
        owner = owner_of(family, labels)
        if owner is None or not owner[1] or owner in self._places:
            return self._budget.has_room(family, cost)
        needed = self._cost_of_task if is_task(owner[1]) else self._cost_of_plan
        return self._budget.has_room(family, cost) and self._budget.fits(needed)

    def _cost_of(self, families: Iterable[Family]) -> int:
        disabled = self._labelling.disabled
        return sum(self._buckets.cost(family) for family in families if family not in disabled)
