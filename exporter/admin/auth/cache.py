"""
What takes a while to get is got once for all who wait, early, and not too often.

    fresh       given at once
    ageing      given at once, and got anew in the background
    expired     got anew while everybody waits for the one request
    failing     what is still valid is given on; else everybody hears the failure, and nobody asks
                before a pause is over, which grows with every failure

Nothing happens by a timer: all of it begins when somebody asks for the value. Where nobody does, it
expires.

What it was made from may change at any time, such as a file with a secret. Then it is got anew at
once, whatever pause there was: somebody has just repaired it.
"""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from exporter.admin.auth.errors import CredentialsError, TokenUnavailable
from exporter.admin.auth.secret_file import Origin, Unseen
from exporter.model.clock import Clock
from exporter.model.time import SECOND, Micros

_AHEAD, _MOST_AHEAD = 0.2, 300.0
"""How long before its end a value is got anew at most: part of its life, and seconds."""

_LEEWAY, _MOST_LEEWAY = 0.05, 10.0
"""
How long before its end a value is not relied on any more: part of its life, and seconds.

The call that carries it takes time, and the clock that judges it is not ours.
"""

_SHORTEST_LIFE = 1.0
"""Seconds that a value must be good for: every call would ask for one that ends sooner."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds without a request after the first failure, and after many."""

LASTING_WAIT = 180.0
"""
Seconds without a request after a failure that somebody has to repair.

Short enough that nobody thinks of a restart, long enough to lock no account.
"""


class Expiring(Protocol):
    """Something that is good until an instant."""

    @property
    def expires_at(self) -> Micros | None:
        """When it ends; None when nobody knows."""


V = TypeVar("V", bound=Expiring)
V_contra = TypeVar("V_contra", bound=Expiring, contravariant=True)


class Listener(Protocol[V_contra]):
    """Is told how the requests go."""

    def renewed(self, value: V_contra) -> None:
        """Take note that *value* came, and differs from the one before."""

    def failed(self, error: CredentialsError, *, first: bool) -> None:
        """Take note that none came; *first* of its kind since one did, or since a repair."""


class Cache(Generic[V]):
    """
    Keeps one value, and knows when to get another.

    Args:
        fetch: Gets one; raises `CredentialsError`.
        origin: What the value is made from, as far as can be seen without getting it.
        longest_wait: Seconds without a request after many failures.
        jitter: Random numbers from 0 to 1, so that many of us do not ask in step.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[V]],
        *,
        clock: Clock,
        listener: Listener[V],
        origin: Origin | None = None,
        longest_wait: float = _LONGEST_WAIT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._listener = listener
        self._origin = origin or Unseen()
        self._longest_wait = longest_wait
        self._jitter = jitter
        self._value: V | None = None
        self._failure: CredentialsError | None = None
        self._failures = 0
        self._made_from: object = None
        self._failed_from: object = None
        self._got_at = Micros(0)
        self._ageing_at: Micros | None = None
        self._ask_at = 0.0
        self._request: asyncio.Task[None] | None = None

    @property
    def current(self) -> V | None:
        """What was got last, valid or not; nothing is asked."""
        return self._value

    async def get(self) -> V:
        """Return a value that is valid; raises the `CredentialsError` for which there is none."""
        changed = self.has_changed(await self.seen())
        request = self._requested() if changed or self._is_due() else self._request
        if request is not None and (changed or not self._is_usable()):
            await asyncio.shield(request)
        value = self._value
        if value is None or _has_expired(value, self._clock.now()):
            raise self._reason()
        return value

    async def renew(self, refused: V) -> None:
        """
        Get another than *refused*, unless somebody has since; raises when none comes.

        In a pause after a failure nobody is asked: the failure is raised again.
        """
        changed = self.has_changed(await self.seen())
        if self._value is not None and self._value != refused:
            return
        if self._request is None and self._is_pausing() and not changed:
            raise self._reason()
        await asyncio.shield(self._requested())
        if self._failure is not None:
            raise self._reason()

    def forget(self) -> None:
        """Have the next call get a value anew, whatever was known."""
        self._value = self._failure = None
        self._failures = 0

    async def close(self) -> None:
        """End a request that is under way."""
        if self._request is not None:
            self._request.cancel()
            await asyncio.wait([self._request])

    @property
    def made_from(self) -> object:
        """What was seen of the origin when a value was asked for the last time."""
        return self._made_from

    async def seen(self) -> object:
        """Return what is seen of the origin."""
        return await self._origin.seen()

    def has_changed(self, seen: object) -> bool:
        """Tell whether what the last answer was made from is not there any more, now *seen*."""
        asked = self._value is not None or self._failure is not None
        return asked and self._request is None and self._made_from != seen

    def _is_due(self) -> bool:
        """Tell whether another one should be asked for."""
        if self._failure is not None:
            return not self._is_pausing()
        return self._value is None or (
            self._ageing_at is not None and self._clock.now() >= self._ageing_at
        )

    def _is_pausing(self) -> bool:
        return self._failure is not None and self._clock.monotonic() < self._ask_at

    def _is_usable(self) -> bool:
        """Tell whether the value can be given while another one is got."""
        if self._value is None:
            return False
        expires_at = self._value.expires_at
        if expires_at is None:
            return True
        leeway = min(_LEEWAY * self._life_of(expires_at), _MOST_LEEWAY)
        return self._clock.now() < expires_at - leeway * SECOND

    def _life_of(self, expires_at: Micros) -> float:
        """Return for how many seconds a value was good when it came."""
        return max(expires_at - self._got_at, 0) / SECOND

    def _reason(self) -> CredentialsError:
        failure = self._failure or TokenUnavailable(_EXPIRED)
        # One error is raised for many calls: each would add to its traceback for ever.
        return failure.with_traceback(None)

    def _requested(self) -> "asyncio.Task[None]":
        """Return the request that is under way, or begin it."""
        if self._request is None:
            self._request = asyncio.create_task(self._ask(), name="credentials")
            # Behind a value that is still good nobody waits, and the listener has heard of it.
            self._request.add_done_callback(_note_outcome)
        return self._request

    async def _ask(self) -> None:
        try:
            # Before the request: what changes while it is under way is asked for again.
            self._made_from = await self._origin.look()
            value = await self._fetch()
        except CredentialsError as error:
            self._take_failure(error)
        except Exception as bug:
            # Whoever waits hears of it; whoever comes next finds a pause, as after any failure.
            self._take_failure(_failure_of(bug))
            raise
        else:
            if _has_expired(value, Micros(self._clock.now() + round(_SHORTEST_LIFE * SECOND) - 1)):
                self._take_failure(TokenUnavailable(_EXPIRED))
            else:
                self._take(value)
        finally:
            self._request = None

    def _take(self, value: V) -> None:
        is_new = self._value != value
        self._value, self._failure, self._failures = value, None, 0
        self._got_at = self._clock.now()
        self._ageing_at = None
        if value.expires_at is not None:
            ahead = min(_AHEAD * self._life_of(value.expires_at), _MOST_AHEAD)
            ahead *= 0.5 + 0.5 * self._jitter()
            self._ageing_at = Micros(value.expires_at - round(ahead * SECOND))
        if is_new:
            self._listener.renewed(value)

    def _take_failure(self, error: CredentialsError) -> None:
        # Whoever has just changed a file wants to hear what is wrong with it now.
        first = type(self._failure) is not type(error) or self._failed_from != self._made_from
        self._failure, self._failed_from = error, self._made_from
        self._failures += 1
        self._ask_at = self._clock.monotonic() + self._wait_after(error)
        self._listener.failed(error, first=first)

    def _wait_after(self, error: CredentialsError) -> float:
        """Return for how many seconds nobody is asked."""
        if error.lasting:
            return LASTING_WAIT
        wait = min(_FIRST_WAIT * 2.0 ** min(self._failures - 1, 10), self._longest_wait)
        wait *= 0.5 + 0.5 * self._jitter()
        told = error.wait if isinstance(error, TokenUnavailable) else None
        return max(wait, told or 0.0)


_EXPIRED = (
    "The token had expired when it came, or was about to; have its giver make tokens that last for"
    " minutes, and compare the clocks."
)


def _failure_of(bug: Exception) -> CredentialsError:
    """Return what is told of *bug*: without its text, which may repeat a secret."""
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    return TokenUnavailable(
        f"Asking for it ended in a bug of ours: {type(bug).__name__} at"
        f" {Path(frame.filename).name}:{frame.lineno}; please report it.",
        code="INTERNAL",
    )


def _note_outcome(request: "asyncio.Task[None]") -> None:
    if not request.cancelled():
        request.exception()


def _has_expired(value: Expiring, now: Micros) -> bool:
    return value.expires_at is not None and now >= value.expires_at
