"""What one target learns from the others: how far Admin's clock has come."""

from exporter.model.time import SECOND, Micros


class Fleet:
    """
    The newest creation time seen on any target.

    It stands for Admin's clock, which nobody tells us: an idle target's cursor moves with it. Rows
    dated later than our own clock are not for it (`listing.newest`), because one such row would
    carry every cursor past what is yet to come.
    """

    def __init__(self, newest: Micros | None = None) -> None:
        """Begin with the *newest* creation time that an earlier process has seen."""
        self._newest = newest
        self._lead: int | None = None

    @property
    def newest_seen(self) -> Micros | None:
        """The newest creation time seen so far; None when there was none."""
        return self._newest

    def newest(self, otherwise: Micros) -> Micros:
        """Return the newest creation time seen so far, or *otherwise* when there was none."""
        return otherwise if self._newest is None else self._newest

    def note(self, newest: Micros, monotonic: float) -> None:
        """Take note of a row created at *newest*, read when our clock showed *monotonic*."""
        self._newest = max(newest, self.newest(newest))
        self._set_clock(monotonic)

    def clock(self, now: Micros, monotonic: float) -> Micros | None:
        """
        Return what Admin's clock shows at least, when ours show *now* and *monotonic*.

        Whoever has a row knows that the clock had come so far, and how long ago that was. It may
        show more, by as long as rows take to be seen. None when there never was a row.
        """
        self._set_clock(monotonic)
        if self._lead is None:
            return None
        return min(now, Micros(self._lead + round(monotonic * SECOND)))

    def _set_clock(self, monotonic: float) -> None:
        if self._newest is not None:
            lead = self._newest - round(monotonic * SECOND)
            self._lead = lead if self._lead is None else max(self._lead, lead)
