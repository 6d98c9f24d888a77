"""
Threads that nobody waits for.

A lookup of a name, or a read from a mount that is gone, cannot be interrupted. Whoever began it
gives it up in time; without this, the process would wait for its thread at the end.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """
    Runs each call in a thread of its own, which dies with the process.

    As an event loop's default it also keeps what hangs from taking the threads of what does not.
    """

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Begin a call."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                answer = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
                future.set_exception(error)
            else:
                future.set_result(answer)

        threading.Thread(target=run, daemon=True).start()
        return future


class Errand(Generic[T]):
    """
    A call that may hang: it is waited for again the next time, and not begun again.

    However often it is asked for, one thread hangs.
    """

    def __init__(self) -> None:
        self._under_way: asyncio.Future[T] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a call has begun and not ended."""
        return self._under_way is not None and not self._under_way.done()

    async def run(self, call: Callable[..., T], *args: Any, within: float) -> T:
        """
        Return what *call* does with *args* in a thread, or what the call does that is under way.

        Raises:
            StillRunning: It has not ended *within* so many seconds.
        """
        if not self.is_under_way:
            loop = asyncio.get_running_loop()
            self._under_way = loop.run_in_executor(None, call, *args)
            # Whoever began it may have lost patience, and nobody may ask again.
            self._under_way.add_done_callback(_note_outcome)
        under_way = self._under_way
        assert under_way is not None  # noqa: S101  # it was begun above
        await asyncio.wait([under_way], timeout=within)
        if not under_way.done():
            raise StillRunning
        return under_way.result()


class StillRunning(Exception):  # it is a state, and no fault of the call
    """A call has not ended yet."""


def _note_outcome(ended: "asyncio.Future[Any]") -> None:
    if not ended.cancelled():
        ended.exception()
