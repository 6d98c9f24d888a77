"""
What /metrics shows of each series, which is not always what it stands at.

Prometheus sees an increment only between two samples. So a new series shows 0 for a while, whatever
it stands at, and after a start every series shows what it stood at before. The end of a hold is
made durable before it is acted upon: otherwise a crash between the two could make a counter step
back.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from exporter.metrics.buckets import Buckets
from exporter.metrics.exposition import Exposition
from exporter.metrics.series import Series
from exporter.model.time import Micros, micros


class Showing:
    """
    Renders series, and knows which are held back, and until when.

    Args:
        exposition: Where the series are shown.
        buckets: Of the histograms among them.
        hold: How long what is new is held back.
    """

    def __init__(self, exposition: Exposition, *, buckets: Buckets, hold: timedelta) -> None:
        self._buckets = buckets
        self._exposition = exposition
        self._hold = micros(hold)
        self._held: deque[tuple[Micros, Series]] = deque()

    @property
    def holds_back(self) -> bool:
        """Whether a new series is held back."""
        return self._hold > 0

    def set_hold(self, hold: timedelta) -> None:
        """Hold back for so long what is exposed from now on."""
        self._hold = micros(hold)

    def expose(self, series: Series, now: Micros) -> None:
        """Show a series that was not shown; its hold begins now, when Prometheus can first see."""
        if series.shown is not None:
            self._held.append((Micros(now + self._hold), series))
        self.show(series)

    def show(self, series: Series) -> None:
        """Show what *series* is at now, or what it is held at."""
        piece, named = series.rendered(self._buckets.edges.get(series.family, ()))
        series.exposed = True
        self._exposition.put(series.family, series.id, piece, with_exemplars=named)

    def drop(self, series: Collection[Series]) -> None:
        """Show nothing of *series* any more."""
        for one in series:
            self._exposition.drop(one.family, one.id)
        gone = frozenset(series)
        self._held = deque(hold for hold in self._held if hold[1] not in gone)

    def due(self, now: Micros) -> list[Series]:
        """
        Return the series whose hold is over.

        `held_in_ledger` of them is to be committed as `released`; then `release` shows them. If
        that commit fails, `retry` has them come back.
        """
        found: list[Series] = []
        if self._held and self._held[0][0] > now + self._hold:
            # The clock was ahead and is not any more; nobody waits longer than a hold from now.
            latest = Micros(now + self._hold)
            self._held = deque((min(at, latest), series) for at, series in self._held)
        while self._held and self._held[0][0] <= now:
            series = self._held.popleft()[1]
            series.releasing = True
            found.append(series)
        return found

    def release(self, series: Iterable[Series]) -> None:
        """Show what *series* stand at."""
        for one in series:
            shown, one.shown = one.shown, None
            one.releasing = one.hold_stored = False
            if one.exposed and (shown != one.value or one.exemplars):
                self.show(one)

    def retry(self, series: Sequence[Series]) -> None:
        """Have *series* come back as due."""
        self._held.extendleft((one.born_at, one) for one in reversed(series))
