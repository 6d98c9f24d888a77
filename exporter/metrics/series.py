"""One counter or histogram in memory: what it stands at, and what of that is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.ledger.records import SeriesRow, Value
from exporter.metrics import text
from exporter.metrics.catalog import Family, Kind
from exporter.metrics.exemplars import Exemplar
from exporter.model.time import Micros


class Written(NamedTuple):
    """An exemplar as it stands on /metrics, and when its execution ended."""

    at: Micros
    text: bytes


@dataclass(slots=True, eq=False)
class Series:
    """One counter or histogram."""

    id: int
    family: Family
    labels: tuple[str, ...]
    born_at: Micros
    value: Value
    shown: Value | None
    """What /metrics shows instead of the value, while the series is held back."""
    hold_stored: bool
    """Whether the ledger, too, has `shown` set."""
    releasing: bool = False
    """The hold is over and the ledger is being told."""
    exposed: bool = False
    exemplars: dict[int, Written] | None = None
    """By the line that they belong to: of a histogram, by bucket. Most series have none."""

    def row(self, layout: str) -> SeriesRow:
        """Return it as the ledger has it; *layout* is of its buckets."""
        return SeriesRow(
            self.id, self.family.name, self.labels, layout, self.value, self.born_at, self.shown
        )

    def remember(self, exemplars: Iterable[tuple[int, Exemplar]], trace_id: str | None) -> None:
        """Keep of each line the exemplar that ended last: Prometheus takes no older one later."""
        if self.exemplars is None:
            self.exemplars = {}
        for place, found in exemplars:
            other = self.exemplars.get(place)
            if other is None or other.at <= found.at:
                self.exemplars[place] = Written(found.at, text.exemplar(found, trace_id))

    def rendered(self, edges: Sequence[str]) -> tuple[bytes, bytes | None]:
        """
        Return its lines, and those for OpenMetrics where they differ.

        Args:
            edges: Of a histogram, its upper bounds as they stand in `le`.
        """
        value = self.value if self.shown is None else self.shown
        if self.family.kind is Kind.HISTOGRAM:
            piece = text.histogram(self.family, self.labels, edges, value.buckets, value.total)
        else:
            piece = text.sample(self.family, self.labels, value.total)
        if not self.exemplars or self.shown is not None:
            return piece, None
        lines = {place: written.text for place, written in self.exemplars.items()}
        return piece, text.with_exemplars(piece, lines)


def held_in_ledger(series: Iterable[Series]) -> list[int]:
    """Return the ids of *series* that the ledger, too, holds back."""
    return [one.id for one in series if one.hold_stored]
