"""How far a list has come, and how far back it will have to look again."""

from typing import NamedTuple, Self

from exporter.model.progress import Progress
from exporter.model.time import Micros
from exporter.scrape.listing import Position, Slice


class Frontier(NamedTuple):
    """
    How far a list of what is new has come, over as many polls as it takes.

    Rows come late, by up to the overlap. So there are two ends: what was listed, and what was
    listed when it was older than the overlap. Between them a row may still come; and when the list
    took longer than the overlap, no later list would begin there by itself.
    """

    position: Position | None
    """Where the list goes on; None when it is over."""
    settled: Micros
    """All that was created before this has been listed late enough."""
    again: bool = False
    """Whether the list, once at its end, goes back to what was not settled."""

    @classmethod
    def at(cls, instant: Micros) -> Self:
        """Begin a list at *instant*, before which nothing is awaited."""
        return cls(Position(instant), instant)

    def resumed(self) -> Self:
        """Return the frontier of a poll that goes on where an earlier one was cut off."""
        behind = self.position is not None and self.settled < self.position.earliest
        return self._replace(again=behind)

    def after(self, part: Slice, overlap: int) -> Self:
        """Return the frontier once *part* is read, which began at this one's position."""
        settled = self.settled
        if self.position is not None and self.position.earliest <= settled:
            old = max(settled, Micros(part.as_of - overlap))
            settled = old if part.following is None else min(old, part.following.earliest)
        if part.following is None and self.again:
            return self._replace(position=Position(settled), settled=settled, again=False)
        return self._replace(position=part.following, settled=settled)

    def advance(self, progress: Progress, upto: Micros | None, overlap: int) -> Progress:
        """
        Return *progress* once all that was created *upto* then is listed.

        No further than that the next list, which begins an overlap before the cursor, begins where
        nothing is awaited any more: also in another process, which knows no frontier.
        """
        if upto is None:
            return progress
        cursor = min(upto, Micros(self.settled + overlap))
        return progress._replace(cursor=max(progress.cursor, cursor))
