"""
Spans on their way to a collector, which may be slow, or gone.

A bounded queue and one thread of its own keep that from everybody else: what does not fit is
dropped, what is refused is lost, and either is counted. The log says when it begins to fail and
when it is well again, and nothing in between.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from opentelemetry.sdk.trace.export import SpanExportResult

from exporter.telemetry.log import get_logger
from exporter.telemetry.outcomes import DROPPED, EXPORTED, FAILED, SpanObserver
from exporter.telemetry.plan import masked
from exporter.telemetry.spans import LightSpan

log = get_logger(__name__)

_SDK = "opentelemetry"
_REASON_LENGTH = 500
"""Characters of the reason that the log shows."""

_AT_ONCE = 256
"""Spans that get their form in a row: a millisecond's work."""


class Target(Protocol):
    """An exporter of OpenTelemetry's; its spans are of whatever form it wants."""

    def export(self, spans: Sequence[Any], /) -> SpanExportResult:
        """Send them; may take long."""

    def shutdown(self) -> None:
        """Send no more."""


class Delivery:
    """
    Takes spans that have ended, and sees them off.

    It is to OpenTelemetry's `BatchSpanProcessor` what our spans are to its own: the same, for less.
    Spans get the form in which they are sent soon after they ended, for then the processor has them
    at hand; but some in a row, so that it has at hand what does it, too.

    Args:
        target: Sends them; its calls may take long.
        formed: Makes of a span what *target* sends; takes microseconds.
        place: Where it sends them, for the log.
        observer: Is told what became of them.
        queue_size: Spans that may wait, those under way included.
        batch_size: Spans that are sent at once, at most.
        delay_seconds: How long a span waits for others, at most.
        secrets: Words that the log must not show.
    """

    def __init__(
        self,
        target: Target,
        *,
        formed: Callable[[LightSpan], Any],
        place: str,
        observer: SpanObserver,
        queue_size: int,
        batch_size: int,
        delay_seconds: float,
        secrets: Sequence[str] = (),
    ) -> None:
        self._target = target
        self._formed = formed
        self._place = place
        self._observer = observer
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._delay_seconds = delay_seconds
        self._secrets = secrets
        self._at_once = min(_AT_ONCE, batch_size)
        self._ended: deque[LightSpan] = deque()
        self._queue: deque[Any] = deque()
        self._lock = threading.Lock()
        self._waiting = 0
        self._lost = 0
        self._closed = False
        self._given_up = threading.Event()
        self._awaken = threading.Event()
        _listen_to_the_sdk()
        self._thread = threading.Thread(target=self._run, name="export spans", daemon=True)
        self._thread.start()

    def take(self, span: LightSpan) -> None:
        """Take one; never waits."""
        with self._lock:
            room = self._waiting < self._queue_size and not self._closed
            self._waiting += room
        if not room:
            self._observer.spans_left(outcome=DROPPED, spans=1)
            return
        self._ended.append(span)
        if len(self._ended) >= self._at_once:
            self._form()
            if len(self._queue) >= self._batch_size:
                self._awaken.set()

    async def close(self, *, seconds: float) -> None:
        """Send what waits, within so many *seconds*; what is not sent by then is dropped."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._awaken.set()
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def flush() -> None:
            self._thread.join()
            self._target.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for us, and is closed
                loop.call_soon_threadsafe(done.set)

        # Not the loop's own threads: it would wait for them when it ends, however long they hang.
        threading.Thread(target=flush, name="flush spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await done.wait()
        with self._lock:
            self._given_up.set()
            lost, self._waiting = self._waiting, 0
        if lost:
            # Ends the call that hangs, if it can be ended.
            threading.Thread(target=self._target.shutdown, name="drop spans", daemon=True).start()
            self._observer.spans_left(outcome=DROPPED, spans=lost)
            log.warning("spans lost at exit", spans=lost, waited_seconds=seconds)

    def _form(self) -> None:
        """Give those that ended their form; from any thread."""
        while True:
            try:
                span = self._ended.popleft()
            except IndexError:
                return
            self._queue.append(self._formed(span))

    # In the thread

    def _run(self) -> None:
        """Send batches as they fill, or their time has come; at the end, all that is left."""
        while not self._closed:
            filled = self._awaken.wait(self._delay_seconds)
            self._awaken.clear()
            if not filled:
                self._form()
                self._send_batch()
            while len(self._queue) >= self._batch_size and not self._given_up.is_set():
                self._send_batch()
        self._form()
        while self._queue and not self._given_up.is_set():
            self._send_batch()

    def _send_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(self._batch_size, len(self._queue)))]
        if not batch:
            return
        _LAST_WORDS.forget()
        try:
            succeeded = self._target.export(batch) is SpanExportResult.SUCCESS
            reason = _LAST_WORDS.said()
        # The edge of somebody else's code: whatever goes wrong in it, the next batch may fare well.
        except Exception as error:  # noqa: BLE001
            succeeded, reason = False, f"{type(error).__name__}: {error}"
        with self._lock:
            if self._given_up.is_set():
                return  # they were counted as dropped, and this is no news to anybody
            self._waiting -= len(batch)
        if succeeded:
            self._succeeded()
        else:
            self._failed(reason, len(batch))
        outcome = EXPORTED if succeeded else FAILED
        self._observer.spans_left(outcome=outcome, spans=len(batch))

    def _succeeded(self) -> None:
        if self._lost:
            log.info("spans are exported again", to=self._place, lost=self._lost)
        self._lost = 0

    def _failed(self, reason: str, spans: int) -> None:
        if not self._lost:
            reason = masked(reason, self._secrets)[:_REASON_LENGTH]
            log.warning("spans are not exported", to=self._place, reason=reason)
        self._lost += spans


class _LastWords(logging.Handler):
    """What the SDK says while it exports, remembered per thread: it returns no reason."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = threading.local()

    def forget(self) -> None:
        """Begin anew."""
        self._memory.messages = []

    def said(self) -> str:
        """Return the first that was said since, which is the cause, and the last, the end of it."""
        messages: list[str] = self._memory.messages
        return " ".join(dict.fromkeys(messages[:1] + messages[-1:]))

    def emit(self, record: logging.LogRecord) -> None:
        messages: list[str] | None = getattr(self._memory, "messages", None)
        if messages is not None:
            messages.append(record.getMessage())


_LAST_WORDS = _LastWords()


def _listen_to_the_sdk() -> None:
    """Keep the SDK's own log off standard error: it writes a line whenever an export fails."""
    logger = logging.getLogger(_SDK)
    if _LAST_WORDS not in logger.handlers:
        logger.addHandler(_LAST_WORDS)
        logger.propagate = False
    for name in logging.root.manager.loggerDict:
        # Some leave out what they said in the last 20 s; but the reason now is wanted all the same.
        if name.startswith(f"{_SDK}."):
            logging.getLogger(name).filters.clear()
