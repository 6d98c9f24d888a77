"""
The book at a start: it takes over what the ledger has.

Every series is held at what it stood at when it was last shown, or may have been. Where the rules
that name series have changed since, or families, or bounds, the ledger is told so first.
"""

from collections.abc import Iterable, Sequence

from exporter.ledger.records import Activity, Commit, SeriesDelta, SeriesRow
from exporter.metrics.book import Book
from exporter.metrics.heirs import heirs_of, together
from exporter.metrics.measure import SeriesKey
from exporter.metrics.owners import Owner
from exporter.metrics.posting import Addition, delta_of
from exporter.metrics.series import Series
from exporter.model.time import Micros


def load(
    book: Book,
    rows: Iterable[SeriesRow],
    activity: Iterable[Activity],
    now: Micros,
    *,
    labelled: str = "",
) -> Commit:
    """
    Have *book*, which is new, take over what the ledger has.

    Args:
        book: Whose.
        rows: The series.
        activity: When something last happened to whom.
        now: Our clock.
        labelled: By which rules the ledger's series are named. Where these are not the book's,
            each goes to where it would be counted by them, and those that meet there become one:
            sums over them go on from where they were.

    Returns:
        What must be committed first: series of families that are no more, or are switched off, are
        removed; those that moved are written anew; and a histogram whose bounds were changed
        begins anew, it alone.
    """
    labelling, layouts = book.labelling, book.buckets.layouts
    moving = labelled != labelling.stated
    renamed = _load_activity(book, activity, moving=moving)
    heirs = heirs_of(rows, layouts=layouts, labelling=labelling, moving=moving)
    book.roster.skip_ids(heirs.newest_id)
    removed = heirs.removed
    deltas: list[SeriesDelta] = []
    for key, own in heirs.rows.items():
        if len(own) == 1 and own[0].labels == key[1]:
            _take_over(book, key, own[0], now)
        elif own:
            removed += [row.id for row in own]
            deltas.append(_merge(book, key, own, now))
        else:
            series = book.roster.create(key, now)
            book.showing.expose(series, now)
            deltas.append(delta_of(Addition(series), layouts))
    for owner in book.places:
        book.levels.open(owner)
    if not moving:
        return Commit(removed=removed, deltas=deltas)
    return Commit(
        removed=removed,
        deltas=deltas,
        activity=book.places.activity(),
        inactive=[owner for owner in renamed if owner not in book.places],
        labelling=labelling.stated,
    )


def _load_activity(book: Book, activity: Iterable[Activity], *, moving: bool) -> list[Owner]:
    """Take over who was heard of; return who has another name now."""
    renamed: list[Owner] = []
    for target, name, last_at in activity:
        label = book.labelling.moved_plan(name) if moving else name
        if label != name:
            renamed.append((target, name))
        place = book.places.open((target, label), last_at)
        place.last_at = max(place.last_at, last_at)
    return renamed


def _take_over(book: Book, key: SeriesKey, row: SeriesRow, now: Micros) -> None:
    shown = row.shown or row.value
    series = Series(row.id, *key, row.born_at, row.value, shown, row.shown is not None)
    book.roster.enter(series, now)
    book.showing.expose(series, now)


def _merge(book: Book, key: SeriesKey, rows: Sequence[SeriesRow], now: Micros) -> SeriesDelta:
    """Make one series of *rows*; return it as the ledger is to have it."""
    value = together([row.value for row in rows])
    shown = together([row.shown or row.value for row in rows])
    born_at = min(row.born_at for row in rows)
    series = Series(book.roster.next_id(), *key, born_at, value, shown, hold_stored=False)
    book.roster.enter(series, now)
    book.showing.expose(series, now)
    addition = Addition(series, value.total, dict(enumerate(value.buckets)))
    return delta_of(addition, book.buckets.layouts)
