"""A client tells somebody of its calls; here, the results say what became of them."""

from exporter.model.time import Micros


class Listener:
    """Takes no notes."""

    def call_finished(
        self, *, method: str, code: str, seconds: float, trace_id: str | None = None
    ) -> None:
        """Ignore a call."""

    def attempt_finished(self, *, code: str, seconds: float) -> None:
        """Ignore an attempt."""

    def retried(self, *, reason: str) -> None:
        """Ignore a retry."""

    def waited_for_rate(self, seconds: float) -> None:
        """Ignore a wait."""

    def breaker_is(self, *, open: bool) -> None:  # noqa: A002  # as the protocol has it
        """Ignore the breaker."""

    def token_refreshed(self, *, outcome: str) -> None:
        """Ignore a request for a token."""

    def token_expires(self, at: Micros | None) -> None:
        """Ignore an expiry."""
