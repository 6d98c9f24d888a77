"""
Other rules, families and bounds for a book that lives on.

What a restart would make of its series is made of them here: they move to where they are counted
from now on, or go, or begin anew. Whatever none of this is about goes on as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from exporter.ledger.records import Commit
from exporter.metrics.book import Book
from exporter.metrics.buckets import Buckets
from exporter.metrics.catalog import Family
from exporter.metrics.heirs import Heirs, heirs_of
from exporter.metrics.labelling import Labelling
from exporter.metrics.loading import fill
from exporter.metrics.renames import TrueNames
from exporter.model.time import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebound:
    """
    What other rules, families and bounds come to; true once it is committed.

    Attributes:
        bounds: Of every histogram family that is configured, from then on.
        labelling: Which series there are from then on.
        heirs: What becomes of those that there were.
    """

    bounds: Mapping[Family, Sequence[float]]
    labelling: Labelling
    heirs: Heirs


def rebound_of(
    book: Book,
    *,
    bounds: Mapping[Family, Sequence[float]],
    labelling: Labelling,
    known: TrueNames,
    hold: timedelta,
    now: Micros,
) -> tuple[Rebound, Commit] | None:
    """
    Work out what other *bounds* and another *labelling* come to; None where they are the same.

    The commit is for the ledger; it may be large, so whoever has made it lets it go.

    Nothing may be posted until that is committed and `begin_anew` was called, or it failed.

    Args:
        book: Whose series there are.
        bounds: Of every histogram family that is configured.
        labelling: Which series there are to be.
        known: The launch plans that are known.
        hold: `metrics.first_sample_hold`, for what begins anew.
        now: Our clock.
    """
    buckets = Buckets(bounds)
    if buckets.layouts == book.buckets.layouts and labelling.agrees(book.labelling):
        return None
    heirs = heirs_of(
        book.stock(),
        labelling=labelling,
        known=known,
        buckets=buckets,
        holds_back=hold > timedelta(),
        now=now,
    )
    return Rebound(bounds=bounds, labelling=labelling, heirs=heirs), heirs.commit


def begin_anew(book: Book, rebound: Rebound, now: Micros) -> None:
    """
    Make true in *book* what was committed, and show it.

    It takes some seconds where there are very many series, and may be done in a thread while
    nobody posts: `Exposition.stand_still` has scrapes see nothing of it until it is over.
    """
    known, levels = book.roster.series, book.levels
    book.exposition.set_hidden(rebound.labelling.disabled)
    book.lay_out(rebound.bounds, rebound.labelling)
    book.showing.drop([known[key] for key in known.keys() - rebound.heirs.staying.keys()])
    # Before others come: whoever was shown keeps their place, also where a limit is lower now.
    book.levels.follow(levels, rebound.heirs.heard.keys())
    fill(book, rebound.heirs, known, now)
