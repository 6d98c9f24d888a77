"""
The buckets of histograms: for counting, for `le`, for the ledger, and what they cost.

Some bounds are configured and may change while the process lives; the others are the catalog's.
"""

from collections.abc import Mapping, Sequence

from exporter.ledger.records import Value
from exporter.metrics import catalog, text
from exporter.metrics.catalog import Family, Kind

_FIXED: Mapping[Family, Sequence[float]] = {
    family: family.buckets
    for family in catalog.FAMILIES
    if family.buckets and family.source is catalog.Source.LEDGER
}
"""Upper bounds of the histogram families that nobody configures."""
_NOTHING = Value(0, ())


class Buckets:
    """
    The upper bounds of every histogram family of the ledger.

    Args:
        bounds: Of each that has none of its own, in its unit.

    Attributes:
        bounds: Of every one.
        edges: The same as they stand in `le`.
        layouts: The same as the ledger has them: it tells by them that a histogram begins anew.
    """

    def __init__(self, bounds: Mapping[Family, Sequence[float]]) -> None:
        self.set(bounds)

    def set(self, bounds: Mapping[Family, Sequence[float]]) -> None:
        """Have other *bounds* from now on."""
        self.bounds: Mapping[Family, Sequence[float]] = {**_FIXED, **bounds}
        self.edges = {f: [text.bound(bound) for bound in own] for f, own in self.bounds.items()}
        self.layouts = {family: ",".join(own) for family, own in self.edges.items()}

    def cost(self, family: Family) -> int:
        """Return what one series of *family* costs of the budget."""
        return len(self.bounds[family]) + 3 if family.kind is Kind.HISTOGRAM else 1

    def zero(self, family: Family) -> Value:
        """Return what a series of *family* begins at."""
        if family.kind is not Kind.HISTOGRAM:
            return _NOTHING
        return Value(0, (0,) * (len(self.bounds[family]) + 1))
