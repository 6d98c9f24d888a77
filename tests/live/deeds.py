"""The books of what was done on the Admin under test, and what an exporter must come to."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.ledger.records import Value
from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.model.executions import Mode
from exporter.model.targets import Target

Totals = dict[tuple[str, ...], Value]
"""By family and label values; without what stands at 0."""

_WHY = {"FAILED": ("USER", "USER:Error"), "TIMED_OUT": ("UNKNOWN", "none")}
"""Kind and code of what goes wrong here, by the phase in which it ends."""


class Run(NamedTuple):
    """One execution."""

    name: str
    launch_plan: str
    mode: Mode
    created_ns: int
    """Nanoseconds since the epoch, by Admin's clock."""


@dataclass(slots=True)
class Deeds:
    """What was done, counted as it was done."""

    launched: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By launch plan and mode."""
    finished: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By launch plan, mode and phase."""
    queued: list[float] = field(default_factory=list)
    """Seconds from creation to start, one for each start."""
    lasted: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from start to end of what succeeded, by launch plan."""

    def totals(self, target: Target, bounds: Mapping[Family, Sequence[float]]) -> Totals:
        """Return the totals that an exporter must come to, which has seen all of it."""
        found: Totals = {}
        for launched, count in self.launched.items():
            found[catalog.EXECUTIONS_LAUNCHED.name, *target, *launched] = Value(count)
        for finished, count in self.finished.items():
            found[catalog.EXECUTIONS_FINISHED.name, *target, *finished] = Value(count)
        errors: Counter[tuple[str, ...]] = Counter()
        for (launch_plan, mode, phase), count in self.finished.items():
            if phase in _WHY:
                kind, code = _WHY[phase]
                errors[catalog.EXECUTION_ERRORS.name, *target, launch_plan, mode, kind] += count
                errors[catalog.EXECUTION_ERROR_CODES.name, *target, kind, code] += count
        found |= {key: Value(count) for key, count in errors.items()}
        if self.queued:
            queue = catalog.EXECUTION_QUEUE_DURATION
            found[catalog.EXECUTIONS_STARTED.name, *target] = Value(len(self.queued))
            found[queue.name, *target] = _histogram(self.queued, bounds[queue])
        for launch_plan, lengths in self.lasted.items():
            duration = catalog.EXECUTION_DURATION
            found[duration.name, *target, launch_plan] = _histogram(lengths, bounds[duration])
        return found


def _histogram(values: Sequence[float], bounds: Sequence[float]) -> Value:
    buckets = Counter(bisect_left(bounds, value) for value in values)
    return Value(sum(values), tuple(buckets[place] for place in range(len(bounds) + 1)))
