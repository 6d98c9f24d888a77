"""What is to be committed to the ledger, and is true in the book once it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from exporter.ledger.records import Activity, SeriesDelta
from exporter.metrics.catalog import Family
from exporter.metrics.exemplars import Exemplar
from exporter.metrics.owners import Owner
from exporter.metrics.series import Series


@dataclass(slots=True)
class Addition:
    """What a posting adds to one series."""

    series: Series
    total: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)
    exemplars: tuple[tuple[int, Exemplar], ...] = ()
    """Each with the line that it belongs to: of a histogram, the bucket."""


class Entries(TypedDict):
    """What a posting is of a `Commit`."""

    deltas: Sequence[SeriesDelta]
    activity: Sequence[Activity]
    removed: Sequence[int]
    inactive: Sequence[Owner]


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
    inactive: Sequence[Owner] = ()
    diverted: Mapping[Family, int] = field(default_factory=dict)
    trace_id: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.deltas or self.activity or self.removed)

    def entries(self) -> Entries:
        """Return what the ledger is to be told, for `Commit(**posting.entries())`."""
        return {
            "deltas": self.deltas,
            "activity": self.activity,
            "removed": self.removed,
            "inactive": self.inactive,
        }


def delta_of(addition: Addition, layouts: Mapping[Family, str]) -> SeriesDelta:
    """
    Return *addition* for the ledger, which from now on holds the series back if /metrics does.

    Args:
        addition: What is added.
        layouts: Of the histogram families, as the ledger has them.
    """
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
