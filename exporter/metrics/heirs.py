"""
Whom the series that there are belong to, when rules, families or bounds have changed since.

A series goes to where it would be counted now. Those that meet there become one, which stands at
their sum: so no total over them steps back, and no count is there twice. But where there was a
series already, that one goes on or goes away, and those that come become part of `__overflow__`: to
Prometheus, whatever a series of the same labels grew by would have happened just then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.ledger.records import Activity, Commit, SeriesDelta, SeriesRow, Value
from exporter.metrics import catalog
from exporter.metrics.buckets import Buckets
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.labelling import PLAN_PLACE, Labelling, with_plan
from exporter.metrics.measure import SeriesKey
from exporter.metrics.owners import Owner, owner_of
from exporter.metrics.renames import Renames, TrueNames
from exporter.model.time import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """
    What there is, as the ledger has it.

    Attributes:
        rows: The series.
        activity: When something last happened to whom.
        labelling: The rules that they are named by.
        newest_id: The highest id that a series ever had.
        removed: Series that are over, and are still in the ledger.
        inactive: Those whose they were.
    """

    rows: Sequence[SeriesRow]
    activity: Iterable[Activity]
    labelling: Labelling
    newest_id: int
    removed: Collection[int] = ()
    inactive: Collection[Owner] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heirs:
    """
    What becomes of it.

    Attributes:
        staying: Series that stay as they are.
        new: Series that take over the counts of others, and those that begin anew.
        removed: Those that are over.
        heard: When something last happened to whom, by the names that they have from now on.
        inactive: Who is nobody any more.
        labelling: The rules that they are named by from now on; None where those are the same.
        renames: What became of the names.
        newest_id: The highest id that a series ever had.
    """

    staying: Mapping[SeriesKey, SeriesRow]
    new: Mapping[SeriesKey, SeriesRow]
    removed: Sequence[int]
    heard: Mapping[Owner, Micros]
    inactive: Sequence[Owner]
    labelling: str | None
    renames: Renames
    newest_id: int

    @property
    def commit(self) -> Commit:
        """What the ledger is to be told before any of it is true."""
        moved = self.labelling is not None
        return Commit(
            removed=self.removed,
            deltas=[_delta(row) for row in self.new.values()],
            # What is over goes first: whoever has a name that another had is heard of.
            inactive=self.inactive,
            activity=[Activity(*owner, at) for owner, at in self.heard.items()] if moved else (),
            labelling=self.labelling,
        )


def heirs_of(
    stock: Stock,
    *,
    labelling: Labelling,
    known: TrueNames,
    buckets: Buckets,
    holds_back: bool,
    now: Micros,
) -> Heirs:
    """
    Work out what becomes of *stock*.

    Args:
        stock: What there is.
        labelling: Which series there are from now on.
        known: The launch plans that are known, in case the rules are others.
        buckets: Of histograms; one that was counted in others begins anew, it alone.
        holds_back: Whether /metrics holds back what begins anew.
        now: Our clock.
    """
    moving = stock.labelling.stated != labelling.stated
    renames = Renames(stock.labelling, labelling, known)
    found: dict[SeriesKey, list[SeriesRow]] = {}
    removed = [*stock.removed]
    for row in stock.rows:
        family = catalog.BY_NAME.get(row.family)
        if family is None or family in labelling.disabled:
            removed.append(row.id)
            continue
        labels = renames.labels(family, row.labels) if moving else row.labels
        own = found.setdefault((family, labels), [])
        if row.layout == buckets.layouts.get(family, ""):
            own.append(row)
        else:
            removed.append(row.id)
    heard, renamed = _heard(stock.activity, renames)
    if moving:
        _make_way(found, {(row.family, row.labels) for row in stock.rows})
    staying: dict[SeriesKey, SeriesRow] = {}
    new: dict[SeriesKey, SeriesRow] = {}
    newest_id = stock.newest_id
    for key, own in found.items():
        owner = owner_of(*key)
        if owner is not None:
            heard.setdefault(owner, now)
        if len(own) == 1 and own[0].labels == key[1]:
            staying[key] = own[0]
            continue
        newest_id += 1
        removed += [row.id for row in own]
        if own:
            new[key] = _together(newest_id, key, own)
        else:
            zero = buckets.zero(key[0])
            shown = zero if holds_back else None
            layout = buckets.layouts.get(key[0], "")
            new[key] = SeriesRow(newest_id, key[0].name, key[1], layout, zero, now, shown)
        if moving and owner is not None and owner[1] == OVERFLOW:
            # What is nobody's any more lives on for as long as if it had been counted now.
            heard[owner] = now
    return Heirs(
        staying=staying,
        new=new,
        removed=removed,
        heard=heard,
        inactive=[*stock.inactive, *renamed],
        labelling=labelling.stated if moving else None,
        renames=renames,
        newest_id=newest_id,
    )


def _heard(
    activity: Iterable[Activity], renames: Renames
) -> tuple[dict[Owner, Micros], list[Owner]]:
    """Return when something last happened to whom, and who has another name now."""
    heard: dict[Owner, Micros] = {}
    renamed: list[Owner] = []
    for target, name, last_at in activity:
        label = renames.name(target, name)
        if label != name:
            renamed.append((target, name))
        owner = target, label
        heard[owner] = max(last_at, heard.get(owner, last_at))
    return heard, renamed


def _make_way(
    found: dict[SeriesKey, list[SeriesRow]], before: Collection[tuple[str, tuple[str, ...]]]
) -> None:
    """Have those go on to `__overflow__` that came to where there was a series *before*."""
    for (family, labels), own in [*found.items()]:
        coming = [row for row in own if row.labels != labels]
        if not coming or (family.name, labels) not in before:
            continue
        if labels[PLAN_PLACE] in {"", OVERFLOW}:
            # Of all launch plans together, and of nobody: there is no other place to go to.
            continue
        found.setdefault((family, with_plan(labels, OVERFLOW)), []).extend(coming)
        at_home = [row for row in own if row.labels == labels]
        if at_home:
            found[family, labels] = at_home
        else:
            del found[family, labels]


def _together(series_id: int, key: SeriesKey, rows: Sequence[SeriesRow]) -> SeriesRow:
    """Return one series in the place of *rows*, held at what was shown of them."""
    value = _sum([row.value for row in rows])
    shown = _sum([row.shown or row.value for row in rows])
    born_at = min(row.born_at for row in rows)
    return SeriesRow(series_id, key[0].name, key[1], rows[0].layout, value, born_at, shown)


def _sum(values: Sequence[Value]) -> Value:
    buckets = tuple(map(sum, zip(*(value.buckets for value in values), strict=True)))
    return Value(sum(value.total for value in values), buckets)


def _delta(row: SeriesRow) -> SeriesDelta:
    buckets = {place: count for place, count in enumerate(row.value.buckets) if count}
    total = row.value.total
    return SeriesDelta(
        row.id, row.family, row.labels, row.layout, row.born_at, row.shown, total, buckets
    )
