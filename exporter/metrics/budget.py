"""
How many series there may be.

Every series costs one, a histogram its buckets and three. What does not fit is diverted, never
lost: a launch plan's counts go to one called `__overflow__`, for which the last tenth of the limit
is kept; past that too, the target's name goes the same way, into a handful of series that always
fit. A family may have a limit of its own, which works the same way within that of all together.

What a launch plan may come to need is reckoned with when it comes in (`metrics.roster`). Some of
its gauges it shows but later, and then asks for no room, for others may have taken it
(`metrics.gauges`). So there may be more series than the limit: at most 11 for each launch plan that
was admitted.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Protocol

from exporter.metrics.catalog import Family

OVERFLOW = "__overflow__"
_KEPT_FOR_OVERFLOW = 10  # one in ten
NO_LIMITS: Mapping[Family, int] = MappingProxyType({})
"""Families have no limits of their own."""


class BudgetObserver(Protocol):
    """Is told what did not fit."""

    def diverted(self, *, family: Family, increments: int) -> None:
        """Take note of increments that went to `__overflow__`, or of a gauge that was left out."""


class Budget:
    """
    Counts series against *limit*, and those of each family against its limit in *families*.

    Both may be set anew: whoever has a series keeps it.
    """

    def __init__(self, limit: int, families: Mapping[Family, int] = NO_LIMITS) -> None:
        self.limit = limit
        self.families = families
        self._used: Counter[Family] = Counter()
        self._still: Counter[Family] | None = None
        self._total = 0

    def clear(self, families: Collection[Family]) -> None:
        """Have *families* use nothing."""
        for family in families:
            self._total -= self._used.pop(family, 0)

    def stand_still(self) -> None:
        """Have `used_by` tell what is used now, until `move_on`."""
        self._still = self._used.copy()

    def move_on(self) -> None:
        """Have `used_by` tell how it is."""
        self._still = None

    def used_by(self, family: Family) -> int:
        """Return how many series *family* uses."""
        return (self._used if self._still is None else self._still)[family]

    def fits(self, cost: int, *, overflow: bool = False) -> bool:
        """Whether *cost* more series fit; those of *overflow* may use what is kept for them."""
        return self._total + cost <= _room(self.limit, overflow=overflow)

    def fits_family(self, family: Family, cost: int, *, overflow: bool = False) -> bool:
        """Whether *family* may have *cost* more series, as far as its own limit goes."""
        limit = self.families.get(family)
        return limit is None or self._used[family] + cost <= _room(limit, overflow=overflow)

    def has_room(self, family: Family, cost: int, *, overflow: bool = False) -> bool:
        """Whether *family* may have *cost* more series, and they fit."""
        return self.fits(cost, overflow=overflow) and self.fits_family(
            family, cost, overflow=overflow
        )

    def room_for(self, family: Family) -> int:
        """Return how many more series *family* may have, which may be less than none."""
        room = _room(self.limit, overflow=False) - self._total
        own = self.families.get(family)
        if own is None:
            return room
        return min(room, _room(own, overflow=False) - self._used[family])

    def limit_of(self, family: Family) -> tuple[str, int]:
        """Return which setting leaves *family* the least room, and its value."""
        own = self.families.get(family)
        if own is None or own - self._used[family] > self.limit - self._total:
            return "metrics.series_limit", self.limit
        return f"metrics.families.{family.name}.series_limit", own

    def take(self, family: Family, cost: int) -> None:
        """Use *cost* series for *family*."""
        self._used[family] += cost
        self._total += cost

    def give_back(self, family: Family, cost: int) -> None:
        """Give back *cost* series of *family*."""
        self._used[family] -= cost
        self._total -= cost


def _room(limit: int, *, overflow: bool) -> int:
    return limit if overflow else limit - limit // _KEPT_FOR_OVERFLOW
