"""
Other bounds for the histograms of a book that lives on.

A histogram whose bounds differ begins anew, it alone: counts cannot be moved between buckets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.ledger.records import Commit
from exporter.metrics.book import Book
from exporter.metrics.buckets import Buckets
from exporter.metrics.catalog import Family
from exporter.metrics.posting import Addition, delta_of
from exporter.metrics.series import Series
from exporter.model.time import Micros


@dataclass(frozen=True, slots=True)
class Rebound:
    """
    Histograms that begin anew with other bounds; true once it is committed.

    Attributes:
        bounds: The bounds of every histogram family that is configured, from then on.
        successors: By each series that is over, the one that follows it.
        commit: For the ledger.
    """

    bounds: Mapping[Family, Sequence[float]]
    successors: Mapping[Series, Series]
    commit: Commit


def rebound_of(book: Book, bounds: Mapping[Family, Sequence[float]], now: Micros) -> Rebound:
    """
    Work out what other *bounds* come to.

    Nothing may be posted until that is committed and `begin_anew` was called, or it failed.
    """
    after = Buckets(bounds)
    successors = dict(book.roster.successors(after, now))
    commit = Commit(
        removed=[old.id for old in successors],
        deltas=[delta_of(Addition(new), after.layouts) for new in successors.values()],
    )
    return Rebound(bounds, successors, commit)


def begin_anew(book: Book, rebound: Rebound) -> None:
    """
    Put the histograms of *rebound*, which was committed, in place of those that are over.

    They are still to be exposed: there may be very many.
    """
    book.showing.drop(rebound.successors.keys())
    book.roster.replace(rebound.successors, rebound.bounds)
