"""
Whom the series of the ledger belong to, when rules, families or bounds have changed since.

A series goes to where it would be counted now. Those that meet there become one, which stands at
their sum: so no total over them steps back, and no count is there twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.ledger.records import SeriesRow, Value
from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.metrics.labelling import Labelling
from exporter.metrics.measure import SeriesKey


@dataclass(frozen=True, slots=True)
class Heirs:
    """
    What becomes of the ledger's series.

    Attributes:
        rows: The series that there are from now on, each with those whose counts it takes over:
            one that stays where it is, several, or none when it begins anew.
        removed: Series that are over, and leave nothing.
        newest_id: The highest that was ever given.
    """

    rows: Mapping[SeriesKey, Sequence[SeriesRow]]
    removed: list[int] = field(default_factory=list)
    newest_id: int = 0


def heirs_of(
    rows: Iterable[SeriesRow],
    *,
    layouts: Mapping[Family, str],
    labelling: Labelling,
    moving: bool,
) -> Heirs:
    """
    Work out what becomes of *rows*.

    Args:
        rows: The series, as the ledger has them.
        layouts: Bounds of histograms; one that was counted in others begins anew.
        labelling: Which series there are now.
        moving: Whether *rows* are named by other rules.
    """
    found: dict[SeriesKey, list[SeriesRow]] = {}
    removed: list[int] = []
    newest_id = 0
    for row in rows:
        newest_id = max(newest_id, row.id)
        family = catalog.BY_NAME.get(row.family)
        if family is None or family in labelling.disabled:
            removed.append(row.id)
            continue
        labels = labelling.moved(family, row.labels) if moving else row.labels
        own = found.setdefault((family, labels), [])
        if row.layout == layouts.get(family, ""):
            own.append(row)
        else:
            removed.append(row.id)
    return Heirs(found, removed, newest_id)


def together(values: Sequence[Value]) -> Value:
    """Return what one series stands at that takes over several."""
    buckets = tuple(map(sum, zip(*(value.buckets for value in values), strict=True)))
    return Value(sum(value.total for value in values), buckets)
