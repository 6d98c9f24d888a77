"""The observer of a client: what it was told, for tests to look at."""

from dataclasses import dataclass, field

from exporter.model.time import Micros


@dataclass(slots=True)
class Calls:
    """
    Everything that a client told of its calls, in order.

    Attributes:
        finished: Method and gRPC status of each call.
        seconds: How long each call took.
        traces: The trace of each call; None where it has none.
        attempts: gRPC status of each attempt that was sent.
        retries: Why attempts followed others.
        waits: Seconds that calls waited for the rate limit.
        breaker: What the circuit breaker was said to be; True is open.
        refreshes: Outcomes of asking for tokens.
        expiries: When tokens were said to expire.
    """

    finished: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    breaker: list[bool] = field(default_factory=list)
    refreshes: list[str] = field(default_factory=list)
    expiries: list[Micros | None] = field(default_factory=list)

    def call_finished(
        self, *, method: str, code: str, seconds: float, trace_id: str | None = None
    ) -> None:
        """Take note of one call."""
        assert seconds >= 0
        self.finished.append((method, code))
        self.seconds.append(seconds)
        self.traces.append(trace_id)

    def attempt_finished(self, *, code: str, seconds: float) -> None:
        """Take note of one attempt."""
        assert seconds >= 0
        self.attempts.append(code)

    def retried(self, *, reason: str) -> None:
        """Take note of one retry."""
        self.retries.append(reason)

    def waited_for_rate(self, seconds: float) -> None:
        """Take note of one wait."""
        self.waits.append(seconds)

    def breaker_is(self, *, open: bool) -> None:  # noqa: A002  # as the protocol has it
        """Take note of the breaker."""
        self.breaker.append(open)

    def token_refreshed(self, *, outcome: str) -> None:
        """Take note of one request for a token."""
        self.refreshes.append(outcome)

    def token_expires(self, at: Micros | None) -> None:
        """Take note of when a token expires."""
        self.expiries.append(at)
