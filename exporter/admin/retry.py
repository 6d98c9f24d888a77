"""
Which failures are worth another attempt, when, and how often before it does harm.

All our calls only read, so each may be repeated. What is worth it is what may be gone in a moment:
a connection that broke, a database that was busy, a quota that refills. What Admin says about the
question itself (INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED) will be said again.

Source: flyteadmin's statuses: every database fault is UNKNOWN or INTERNAL, so those two are
    retried although other servers mean a bug by them.
"""

from exporter.admin.errors import AdminError, CircuitOpen, Nonsense, NoToken, NotSent, Throttled

ATTEMPTS = 6
"""Of one call: with the pauses below they span about 4 s, enough for a restarted Admin."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
"""
Seconds. The n-th pause is anything from 0 to 0.25 * 2^n: full jitter.

Callers whom an outage has brought into step do not come back in step.
"""

# CANCELLED is how a server ends calls that it has no time for any more; our own cancellation is no
# error of Admin's.
TRANSIENT = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED"})
REASONS = (*sorted(TRANSIENT), "RESOURCE_EXHAUSTED", "UNAUTHENTICATED")
"""Statuses that may lead to another attempt, as `flyte_admin_rpc_retries_total` has them."""

_MOST_HANGS = 1
"""
Attempts of one call that may end at their deadline and be followed by another.

A database that is overloaded is not helped by being asked the same again and again.
"""


def is_worth_retrying(error: AdminError, *, hangs: int) -> bool:
    """
    Whether the same question may be answered in a moment.

    Args:
        error: How the last attempt ended.
        hangs: How many attempts of this call ended at their deadline, this one included.
    """
    match error:
        case Throttled():
            return True
        case CircuitOpen():
            return error.wait is not None
        case NoToken():
            return not error.lasting
        case NotSent() | Nonsense():
            return False
        case _ if error.code == "DEADLINE_EXCEEDED":
            return hangs <= _MOST_HANGS
        case _:
            return error.code in TRANSIENT


class RetryBudget:
    """
    A purse for all calls together, so that an outage is not multiplied by everybody's retries.

    Every failure takes one coin; every success brings back a tenth, and every second a half. Below
    half of a full purse nobody retries. In good times each call may retry as it likes; when most
    calls fail, calls are soon made once each: an outage of any length costs Admin fifty retries at
    once, and one more in two seconds, however many calls there are. Time counts because of
    installations that make few calls: their successes would need hours to make up for an outage.

    Pure: it is told the time, in seconds that never step back.

    Source: gRPC's retry throttling (proposal A6), with its usual figures, but for the time.
    """

    _FULL = 100.0
    _GAIN = 0.1
    _GAIN_PER_SECOND = 0.5

    def __init__(self) -> None:
        self._coins = self._FULL
        self._counted_at = 0.0

    def succeeded(self, now: float) -> None:
        """Take note of an attempt that was answered at *now*."""
        self._count(now, self._GAIN)

    def failed(self, now: float) -> None:
        """Take note of an attempt that failed at *now* in a way that is worth retrying."""
        self._count(now, -1)

    def allows_retry(self, now: float) -> bool:
        """Tell whether anybody may retry at *now*."""
        self._count(now, 0)
        return self._coins > self._FULL / 2

    def _count(self, now: float, coins: float) -> None:
        saved = min(self._FULL, self._coins + (now - self._counted_at) * self._GAIN_PER_SECOND)
        self._coins = min(self._FULL, max(0.0, saved + coins))
        self._counted_at = now
