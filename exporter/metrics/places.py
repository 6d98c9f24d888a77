"""
Who is known, which series they have, and when something last happened to them.

Whoever is not heard of for long goes with all they have, unless somebody says that they are in use.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from exporter.ledger.records import Activity
from exporter.metrics.owners import Owner, is_launch_plan
from exporter.metrics.series import Series
from exporter.model.targets import Target
from exporter.model.time import Micros, micros

RETENTION = timedelta(days=35)
"""How long a series outlives its launch plan's last execution: a monthly report, and some days."""


class Keep(Protocol):
    """Says whether a launch plan, or by an empty name a target, is still in use."""

    def __call__(self, target: Target, launch_plan: str, /) -> bool:
        """Return whether it is."""


@dataclass(slots=True, eq=False)
class Place:
    """What one owner has."""

    last_at: Micros
    """When something last happened to it."""
    series: list[Series] = field(default_factory=list)


class Places:
    """The place of every owner."""

    def __init__(self) -> None:
        self._places: dict[Owner, Place] = {}
        self._names: dict[Target, dict[str, None]] = {}

    def __contains__(self, owner: Owner) -> bool:
        """Whether *owner* has a place."""
        return owner in self._places

    def __iter__(self) -> Iterator[Owner]:
        """Yield every owner, who came first first."""
        return iter(self._places)

    def launch_plans(self, target: Target) -> list[str]:
        """Return the launch plans of *target* that have a place."""
        return [name for name in self._names.get(target, ()) if is_launch_plan(name)]

    def activity(self) -> list[Activity]:
        """Return when something last happened to whom, but for whom nothing was committed yet."""
        return [
            Activity(*owner, place.last_at)
            for owner, place in self._places.items()
            if not place.series or any(series.exposed for series in place.series)
        ]

    def open(self, owner: Owner, at: Micros) -> Place:
        """Return the place of *owner*; one that is new was last heard of then."""
        place = self._places.get(owner)
        if place is None:
            target, name = owner
            place = self._places[owner] = Place(at)
            self._names.setdefault(target, {})[name] = None
        return place

    def hear(self, owners: Iterable[Owner], now: Micros) -> list[Activity]:
        """Take note that something happened to *owners*; return it of those who have a place."""
        heard: list[Activity] = []
        for owner in owners:
            place = self._places.get(owner)
            if place is not None:
                place.last_at = now
                heard.append(Activity(*owner, now))
        return heard

    def forgotten(self, now: Micros, keep: Keep) -> list[Owner]:
        """Return those of whom nothing was heard for `RETENTION`, and whom nobody keeps."""
        limit = now - micros(RETENTION)
        return [
            owner
            for owner, place in self._places.items()
            if place.last_at < limit and not keep(*owner)
        ]

    def close(self, owner: Owner) -> list[Series]:
        """Have *owner* be nobody any more; return the series that it had."""
        target, name = owner
        self._names.get(target, {}).pop(name, None)
        return self._places.pop(owner).series
