"""
What a book takes over: at a start what the ledger has, and from itself what a reload leaves of it.

After a start every series is held at what it stood at when it was last shown, or may have been.
Where the rules that name series have changed since, or families, or bounds, the ledger is told so
first.
"""

from collections.abc import Mapping

from exporter.ledger.records import Commit, SeriesRow, Value
from exporter.metrics.book import Book
from exporter.metrics.heirs import Heirs, Stock, heirs_of
from exporter.metrics.measure import SeriesKey
from exporter.metrics.renames import TrueNames
from exporter.metrics.series import Series
from exporter.model.time import Micros


def load(book: Book, stock: Stock, known: TrueNames, now: Micros) -> Commit:
    """
    Have *book*, which is new, take over *stock*.

    Args:
        book: Whose.
        stock: What the ledger has. Where its series are named by other rules than the book's, each
            goes to where it would be counted by these, and those that meet there become one: sums
            over them go on from where they were.
        known: The launch plans that are known.
        now: Our clock.

    Returns:
        What must be committed first: series of families that are no more, or are switched off, are
        removed; those that moved are written anew; and a histogram whose bounds were changed
        begins anew, it alone.
    """
    heirs = heirs_of(
        stock,
        labelling=book.labelling,
        known=known,
        buckets=book.buckets,
        holds_back=book.showing.holds_back,
        now=now,
    )
    fill(book, heirs, {}, now)
    return heirs.commit


def fill(book: Book, heirs: Heirs, known: Mapping[SeriesKey, Series], now: Micros) -> None:
    """
    Have *book*, which has no series, have those of *heirs*, and show what is not shown yet.

    Args:
        book: Whose.
        heirs: Which series there are, and whose.
        known: Series that are shown, and go on.
        now: Our clock; what is held back is held from now on.
    """
    book.roster.newest_id = heirs.newest_id
    for owner, last_at in heirs.heard.items():
        book.places.open(owner, last_at)
    for key, row in heirs.staying.items():
        series = known.get(key)
        if series is not None:
            book.roster.enter(series, now)
        else:
            _take_over(book, key, row, row.shown or row.value, now)
    for key, row in heirs.new.items():
        _take_over(book, key, row, row.shown, now)
    for owner in book.places:
        book.levels.open(owner)


def _take_over(
    book: Book, key: SeriesKey, row: SeriesRow, shown: Value | None, now: Micros
) -> None:
    series = Series(row.id, *key, row.born_at, row.value, shown, row.shown is not None)
    book.roster.enter(series, now)
    book.showing.expose(series, now)
