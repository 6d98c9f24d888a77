"""
What a poll costs must follow what changed, and not how much there is.

Two targets on one server: one has 10,000 executions, the other 1,000,000. Each turn the same few
executions are launched on both, and both are polled; who goes first alternates.
"""

import asyncio
import gc
import time
from collections.abc import Sequence

from bench.figures import Figure, median
from bench.parts import Asked, Parts, parts
from bench.processes import serving
from bench.worlds import Crowd, projects
from exporter.scrape.poll import Poller

_HISTORIES = (10_000, 1_000_000)
_TURNS = 300
_NEW = 5
_LIVE = 50
_BAR_DIFFERENCE = 0.10


def _crowds() -> list[Crowd]:
    return [
        Crowd(
            project=f"history{rows}x",
            live=_LIVE,
            rows=rows,
            settled=True,
            # A launch every two seconds: sixty lie in the overlap, a million are three weeks.
            spacing_micros=2_000_000,
            curtain=True,
        )
        for rows in _HISTORIES
    ]


def measure() -> Sequence[Figure]:
    """Poll both, turn by turn."""
    return asyncio.run(_measured())


async def _measured() -> Sequence[Figure]:
    crowds = _crowds()
    names = [next(projects(crowd)) for crowd in crowds]
    costs: dict[str, list[Asked]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with serving(crowds) as address:
        async with parts(address, page_size=500) as tools:
            pollers = {name: tools.poller(name) for name in names}
            for name, rows in zip(names, _HISTORIES, strict=True):
                await tools.reveal(name, rows - _NEW * _TURNS)
                # The first primes, the second finds the size of a window that is settled.
                await pollers[name].poll()
                await pollers[name].poll()
            for turn in range(_TURNS):
                for name in names if turn % 2 else reversed(names):
                    await tools.reveal(name, _NEW)
                    asked, lasted = await _turn(tools, pollers[name])
                    costs[name].append(asked)
                    seconds[name].append(lasted)
    small, large = (seconds[name] for name in names)
    difference = median(b / a for a, b in zip(small, large, strict=True)) - 1
    same = costs[names[0]] == costs[names[1]]
    calls = median(asked.calls for asked in costs[names[1]])
    read = median(asked.rows for asked in costs[names[1]])
    return [
        Figure(
            what="a poll, history of 10 k and of 1 M executions",
            bar="same calls and rows; time within 10 %",
            measured=f"{'same' if same else 'DIFFERENT'}: {calls:.0f} calls, {read:.0f} rows; "
            f"{difference:+.1%}",
            beside=f"{median(small) * 1e3:.2f} ms with 10 k, {median(large) * 1e3:.2f} ms with 1 M",
            met=same and abs(difference) <= _BAR_DIFFERENCE,
        )
    ]


async def _turn(tools: Parts, poller: Poller) -> tuple[Asked, float]:
    gc.collect(0)
    before, began = tools.asked(), time.perf_counter()
    await poller.poll()
    lasted = time.perf_counter() - began
    return tools.asked().since(before), lasted
