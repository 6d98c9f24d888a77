"""
A thousand targets on which nothing happens but that ten executions run.

The exporter is the real program with its default settings. It is watched from outside for exactly
one interval, in which each target has its turn once.
"""

import time
from collections.abc import Sequence

from bench.figures import Figure
from bench.processes import serving
from bench.running import Work, running, watched
from bench.worlds import Crowd

_TARGETS = 1000
_LIVE = 10
_INTERVAL_SECONDS = 30
_SETTLING_SECONDS = 2.0
_BAR_CPU_SECONDS = 3.0
BAR_CALLS = 2


def measure() -> Sequence[Figure]:
    """Watch one round."""
    idle = Crowd(project="idle", targets=_TARGETS - 1, plans=3, live=_LIVE)
    # The cursors of the others move with this one's executions, as they would with any fleet's.
    busy = Crowd(project="busy", rows=600, newest_seconds=-300, spacing_micros=1_000_000)
    with (
        serving([idle, busy]) as address,
        running(address, interval_seconds=_INTERVAL_SECONDS) as program,
    ):
        time.sleep(_SETTLING_SECONDS)
        [[done]] = watched([program], _INTERVAL_SECONDS)
    what = f"{_TARGETS:,} targets, {_LIVE} live each: one round"
    return [figure(what, done, targets=_TARGETS, interval_seconds=_INTERVAL_SECONDS)]


def figure(what: str, done: Work, *, targets: int, interval_seconds: int) -> Figure:
    """
    Return what one round costs us and Admin.

    Raises:
        RuntimeError: What was *done* is not one round.
    """
    if abs(done.polls - targets) > targets // 50:
        raise RuntimeError(f"{done.polls} polls in an interval with {targets} targets")
    calls = done.calls / done.polls
    return Figure(
        what=what,
        bar=f"<= {_BAR_CPU_SECONDS:.0f} s CPU; <= {BAR_CALLS} calls a poll",
        measured=f"{done.cpu_seconds:.2f} s CPU; {calls:.2f} calls and "
        f"{done.rows / done.polls:.0f} rows each",
        beside=f"{done.cpu_seconds / interval_seconds:.1%} of one core",
        met=done.cpu_seconds <= _BAR_CPU_SECONDS and round(calls, 1) <= BAR_CALLS,
    )
