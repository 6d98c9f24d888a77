"""
How many series there may be.

Every series costs one, a histogram its buckets and three. What does not fit is diverted, never
lost: a launch plan's counts go to one called `__overflow__`, for which the last tenth of the limit
is kept; past that too, the target's name goes the same way, into a handful of series that always
fit.
"""

from collections import Counter

from exporter.metrics.catalog import Family

OVERFLOW = "__overflow__"
_KEPT_FOR_OVERFLOW = 10  # one in ten


class Budget:
    """Counts series against *limit*."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: Counter[Family] = Counter()
        self._total = 0

    def used_by(self, family: Family) -> int:
        """Return how many series *family* uses."""
        return self._used[family]

    def fits(self, cost: int, *, overflow: bool = False) -> bool:
        """Whether *cost* more series fit; those of *overflow* may use what is kept for them."""
        room = self.limit if overflow else self.limit - self.limit // _KEPT_FOR_OVERFLOW
        return self._total + cost <= room

    def take(self, family: Family, cost: int) -> None:
        """Use *cost* series for *family*."""
        self._used[family] += cost
        self._total += cost

    def give_back(self, family: Family, cost: int) -> None:
        """Give back *cost* series of *family*."""
        self._used[family] -= cost
        self._total -= cost
