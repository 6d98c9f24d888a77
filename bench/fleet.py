"""
A thousand targets on which nothing happens but that ten executions run.

The exporter is the real program with its default settings. It is watched from outside for exactly
one interval, in which each target has its turn once.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import settings
from bench.figures import Figure
from bench.observation import Usage, free_port, get, total, wait_until_ready
from bench.processes import COMMAND, program, serving
from bench.worlds import Crowd
from exporter.metrics import catalog

_TARGETS = 1000
_LIVE = 10
_INTERVAL_SECONDS = 30
_READY_SECONDS = 60.0
_SETTLING_SECONDS = 2.0
_BAR_CPU_SECONDS = 3.0
_BAR_CALLS = 2


def measure() -> Sequence[Figure]:
    """Watch one round."""
    idle = Crowd(project="idle", targets=_TARGETS - 1, plans=3, live=_LIVE)
    # The cursors of the others move with this one's executions, as they would with any fleet's.
    busy = Crowd(project="busy", rows=600, newest_seconds=-300, spacing_micros=1_000_000)
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        serving([idle, busy]) as address,
    ):
        config = settings.write(
            Path(directory),
            admin=address,
            port=port,
            scrape={"interval": f"{_INTERVAL_SECONDS}s"},
        )
        with program([COMMAND, "run", "--config", str(config)]) as process:
            wait_until_ready(port, seconds=_READY_SECONDS)
            time.sleep(_SETTLING_SECONDS)
            usage = Usage(process.pid)
            before, used, began = get(port, "/metrics").body, usage.cpu_seconds(), time.monotonic()
            time.sleep(max(0.0, began + _INTERVAL_SECONDS - time.monotonic()))
            cpu, after = usage.cpu_seconds() - used, get(port, "/metrics").body
    polls, lists, gets, rows = (
        total(after, family, *having) - total(before, family, *having)
        for family, *having in (
            (catalog.POLLS,),
            (catalog.ADMIN_RPCS, 'method="ListExecutions"'),
            (catalog.ADMIN_RPCS, 'method="GetExecution"'),
            (catalog.POLL_ROWS,),
        )
    )
    calls = lists + gets
    if abs(polls - _TARGETS) > _TARGETS // 50:
        raise RuntimeError(f"{polls} polls in an interval with {_TARGETS} targets")
    return [
        Figure(
            what=f"{_TARGETS:,} targets, {_LIVE} live each: one round",
            bar=f"<= {_BAR_CPU_SECONDS:.0f} s CPU; <= {_BAR_CALLS} calls a poll",
            measured=f"{cpu:.2f} s CPU; {calls / polls:.2f} calls and {rows / polls:.0f} rows each",
            beside=f"{cpu / _INTERVAL_SECONDS:.1%} of one core",
            met=cpu <= _BAR_CPU_SECONDS and round(calls / polls, 1) <= _BAR_CALLS,
        )
    ]
