"""Tracing as the application has it, with a collector that listens."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from exporter.config.settings import TracingSettings
from exporter.telemetry.tracing import Tracing, start_tracing

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
"""A span waits for others no longer than a test does."""

_PATIENCE_SECONDS = 20


class Tally:
    """Counts what became of spans, and lets a test wait for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def spans_left(self, *, outcome: str, spans: int) -> None:
        """Count, in whatever thread this is."""
        with self._lock:
            self._counts[outcome] += spans
        self._loop.call_soon_threadsafe(self._changed.set)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the numbers by outcome."""
        with self._lock:
            return dict(self._counts)

    async def until(self, **counts: int) -> None:
        """Wait until these are all the counts."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.counts != counts:
                await self._changed.wait()
                self._changed.clear()


@pytest.fixture
async def tally() -> Tally:
    """Return a fresh one."""
    return Tally()


@asynccontextmanager
async def tracing_of(
    tally: Tally, environ: Mapping[str, str] | None = None, **settings: object
) -> AsyncIterator[Tracing]:
    """Trace while the block runs; *settings* are those that were set."""
    tracing = start_tracing(
        TracingSettings.model_validate(settings), {**QUICK, **(environ or {})}, observer=tally
    )
    try:
        yield tracing
    finally:
        await tracing.shutdown(seconds=1)
