"""
The ledger as the event loop sees it: commits wait for the disk in a thread, and share it.

While one transaction is being made durable, the commits that arrive gather; they become the next
one together. So a slow disk makes transactions larger instead of a queue longer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, Self, TypeVar

from exporter.garbage import let_go
from exporter.ledger.errors import LedgerError
from exporter.ledger.records import Commit
from exporter.ledger.store import Ledger
from exporter.model.clock import Clock
from exporter.model.time import Micros

T = TypeVar("T")


class CommitObserver(Protocol):
    """Is told of every durable transaction."""

    def committed(self, *, at: Micros, seconds: float) -> None:
        """Take note of one transaction that was durable at *at* and took *seconds*."""


class _Waiting(NamedTuple):
    commit: Commit
    then: Callable[[], None]
    otherwise: Callable[[], None] | None
    done: "asyncio.Future[None]"


class Journal:
    """
    Writes to a ledger from an event loop, in the order of the calls.

    An asynchronous context manager: leaving it waits for what was begun.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock, observer: CommitObserver) -> None:
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._waiting: deque[_Waiting] = deque()
        # One thread: whatever is asked of it happens in order, so a read sees the writes before it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    async def commit(
        self,
        commit: Commit,
        *,
        then: Callable[[], None],
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        """
        Make *commit* durable, and *then* true in memory; where it fails, *otherwise*.

        Once called both happen, in the order of the calls and even when the caller is cancelled
        while it waits: what is shown follows the file, whoever is still there to see it.

        Raises:
            LedgerError: Nothing of it was written, and *then* was not called.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        # A caller that was cancelled is not there to hear of a failure.
        done.add_done_callback(lambda over: over.cancelled() or over.exception())
        self._waiting.append(_Waiting(commit, then, otherwise, done))
        self._thread.submit(self._write_all, loop)
        try:
            await asyncio.shield(done)
        finally:
            # It has the error, which knows this call.
            del done

    async def settle(self) -> None:
        """Wait until all that was begun before has come true, or has failed."""
        # What is written is settled on the event loop before this is: both take the same way.
        await self.read(lambda _: None)

    async def read(self, question: Callable[[Ledger], T]) -> T:
        """Ask the ledger something, after all that was committed before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, question, self._ledger)

    def _write_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what has gathered, in the thread; nothing, when an earlier turn took it along."""
        batch: list[_Waiting] = []
        while self._waiting:
            batch.append(self._waiting.popleft())
        if not batch:
            return
        began = time.perf_counter()
        outcomes = self._attempt(batch)
        elapsed = time.perf_counter() - began
        loop.call_soon_threadsafe(self._settle, outcomes, elapsed)

    def _attempt(self, batch: list[_Waiting]) -> list[tuple[_Waiting, Exception | None]]:
        try:
            self._ledger.commit([waiting.commit for waiting in batch])
        except Exception as error:  # noqa: BLE001  # the edge of this thread: it is the callers'
            if len(batch) == 1:
                return [(batch[0], error)]
            # Together they failed; by itself, perhaps only one does.
            return [outcome for waiting in batch for outcome in self._attempt([waiting])]
        return [(waiting, None) for waiting in batch]

    def _settle(self, outcomes: list[tuple[_Waiting, Exception | None]], seconds: float) -> None:
        if any(error is None for _, error in outcomes):
            self._observer.committed(at=self._clock.now(), seconds=seconds)
        for waiting, error in outcomes:
            if error is not None:
                if waiting.otherwise is not None:
                    waiting.otherwise()
                if isinstance(error, LedgerError):
                    let_go(error)
                waiting.done.set_exception(error)
                continue
            try:
                waiting.then()
            except Exception as bug:  # noqa: BLE001  # it belongs to the caller, not to this loop
                waiting.done.set_exception(bug)
            else:
                waiting.done.set_result(None)
