"""What becomes of spans that have ended."""

from typing import Protocol

EXPORTED = "exported"
"""The collector has it."""
DROPPED = "dropped"
"""There was no room, or no time, to send it."""
FAILED = "failed"
"""It was sent, and the collector refused it or was not there."""

SPAN_OUTCOMES = (EXPORTED, DROPPED, FAILED)


class SpanObserver(Protocol):
    """Is told of them; from any thread."""

    def spans_left(self, *, outcome: str, spans: int) -> None:
        """Take note that so many *spans* came to one of `SPAN_OUTCOMES`."""
