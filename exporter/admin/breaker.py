"""
A circuit breaker: while Admin cannot be reached, one call at a time finds out whether it is back.

Rules:
1. It opens when `_FAILURES` calls in a row could not reach Admin. Only UNAVAILABLE counts: any
   other status was answered by somebody, and a call that hung says that Admin is slow, which a
   deadline and the limit on calls under way deal with already.
2. While it is open, calls are not sent, but for one probe when the pause is over.
3. A probe that reaches Admin closes it; one that does not doubles the pause, to `_LONGEST_PAUSE` at
   most.
4. Calls that left before it opened may come back late. An answer closes it; that they failed, hung
   or were given up says nothing of the probe, and nothing that was not known.
5. In its first seconds a call may wait for the next probe: a restart of Admin is over by then, and
   nobody's poll need fail for it. After that, calls fail at once.
6. Calls about tasks heed it and have no say in it: a proxy may fail them alone, and whether Admin
   is back is for the others to find out. Whoever makes them pauses by itself when they fail.

Pure: it is told the time, in seconds that never step back.
"""

from dataclasses import dataclass, replace
from enum import Enum

_FAILURES = 5
"""One unlucky connection is no outage; a restart of Admin fails every call at once."""

_FIRST_PAUSE = 1.0  # seconds: about what a restarted Admin needs
_LONGEST_PAUSE = 10.0
"""Seconds; well below any scrape interval, so an Admin that is back is noticed by the next poll."""


_YOUNG = 5.0  # seconds


class Change(Enum):
    """What became of the breaker."""

    NONE = "none"
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    failures: int = 0
    """Calls in a row that did not reach Admin."""
    pause: float = 0.0
    """Seconds between two probes; 0 while closed."""
    probe_at: float = 0.0
    """When the next probe may leave, while open."""
    opened_at: float = 0.0
    """When it opened, while open."""


class Leave:
    """What a call is let through with, and comes back with."""

    __slots__ = ()


_ORDINARY = Leave()
"""Of all that leave while it is closed."""


class Breaker:
    """
    The breaker of one endpoint.

    Attributes:
        why: What was said of the last call that did not reach Admin.
    """

    def __init__(self) -> None:
        self.why = ""
        self._state = _State()
        self._probe: Leave | None = None
        """That of the probe that is under way."""

    @property
    def is_open(self) -> bool:
        """Whether calls are held off."""
        return self._state.pause > 0

    def admit(self, now: float) -> Leave | None:
        """
        Let a call leave at *now*; None when it may not.

        One that is let through must come back by `ended` or `abandoned`.
        """
        if not self.is_open:
            return _ORDINARY
        if self._probe is not None or now < self._state.probe_at:
            return None
        self._probe = Leave()
        return self._probe

    def heeded(self) -> Leave | None:
        """Let a call leave that has no say, and need not come back; None when it may not."""
        return None if self.is_open else _ORDINARY

    def wait(self, now: float) -> float | None:
        """Return how long a call that was not admitted at *now* should wait; None: not at all."""
        if now - self._state.opened_at > _YOUNG:
            return None
        return max(0.0, self._state.probe_at - now)

    def ended(self, leave: Leave, *, reached: bool, now: float, why: str = "") -> Change:
        """Take note of a call that ended at *now*, whether it *reached* Admin, or *why* not."""
        was_open, was_probe = self.is_open, self._comes_back(leave)
        if reached:
            self._state, self._probe = _State(), None
            return Change.CLOSED if was_open else Change.NONE
        if was_open and not was_probe:
            return Change.NONE
        self.why = why
        state = replace(self._state, failures=self._state.failures + 1)
        if state.failures < _FAILURES:
            self._state = state
            return Change.NONE
        if was_open:
            pause = min(state.pause * 2, _LONGEST_PAUSE)
        else:
            pause, state = _FIRST_PAUSE, replace(state, opened_at=now)
        self._state = replace(state, pause=pause, probe_at=now + pause)
        return Change.NONE if was_open else Change.OPENED

    def hung(self, leave: Leave, *, now: float) -> Change:
        """Take note of a call that waited at Admin until its time was over."""
        if self.is_open and leave is not self._probe:
            return Change.NONE
        return self.ended(leave, reached=True, now=now)

    def abandoned(self, leave: Leave) -> None:
        """Take note of a call that was given up, which says nothing about Admin."""
        self._comes_back(leave)

    def _comes_back(self, leave: Leave) -> bool:
        """Tell whether *leave* is that of the probe, and make room for another one."""
        if leave is not self._probe:
            return False
        self._probe = None
        return True
