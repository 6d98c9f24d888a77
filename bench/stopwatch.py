"""How long an event loop keeps a task waiting that only wants its turn."""

import asyncio
import time
from dataclasses import dataclass

LONGEST_SECONDS = 0.05
_EVERY_SECONDS = 0.005


@dataclass(slots=True)
class Lag:
    """
    What a stopwatch saw.

    Attributes:
        worst_seconds: The longest wait by the clock, whoever the machine was busy with.
        worst_own_seconds: The longest that this process can be blamed for: no more than it
            computed meanwhile, in all its threads, since each of them may hold the interpreter.
        late: Waits beyond `LONGEST_SECONDS` that it can be blamed for.
        turns: All waits.
    """

    worst_seconds: float = 0
    worst_own_seconds: float = 0
    late: int = 0
    turns: int = 0

    def note(self, waited: float, computed: float) -> None:
        """Take note of one wait, and of what the process computed meanwhile."""
        own = min(waited, computed)
        self.turns += 1
        self.worst_seconds = max(self.worst_seconds, waited)
        self.worst_own_seconds = max(self.worst_own_seconds, own)
        self.late += own > LONGEST_SECONDS


class Stopwatch:
    """Wants a turn every few milliseconds."""

    def __init__(self) -> None:
        self.lag = Lag()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(_EVERY_SECONDS)
            waited = time.perf_counter() - began - _EVERY_SECONDS
            self.lag.note(waited, time.process_time() - used)
