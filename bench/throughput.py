"""
How fast a backlog is worked off: listed, tracked, measured and made durable.

Beside it a loop that only lists and decodes the same pages from the same server, and one that reads
the fields of each row as well, which no client can do without. All take turns, target by target, so
that a busy machine slows them alike.
"""

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

from flyteidl.admin import common_pb2
from flyteidl.service import admin_pb2_grpc

from bench.figures import Figure, median, spread
from bench.parts import PAGE_SIZE, Parts, parts
from bench.processes import serving
from bench.worlds import DOMAIN, Crowd, projects
from exporter.admin import convert, query
from exporter.model.time import Micros

_ROWS = 50_000
_ROUNDS = 7
_BAR_PER_SECOND = 50_000
_BAR_SHARE = 1 / 4
_BACKLOG = Crowd(
    project="backlog", targets=_ROUNDS + 1, rows=_ROWS, newest_seconds=60, curtain=True
)


def measure() -> Sequence[Figure]:
    """Work off one backlog after the other."""
    return asyncio.run(_measured())


async def _measured() -> Sequence[Figure]:
    ours: list[float] = []
    cpu: list[float] = []
    bare: list[float] = []
    reading: list[float] = []
    with serving([_BACKLOG]) as address:
        async with parts(address) as tools:
            for project in projects(_BACKLOG):
                poller = tools.poller(project)
                await poller.poll()
                await tools.reveal(project, _ROWS)
                bare.append(await _bare(tools, project, read=False))
                reading.append(await _bare(tools, project, read=True))
                gc.collect()
                before, began, used = tools.asked(), time.perf_counter(), time.process_time()
                await poller.poll()
                ours.append(time.perf_counter() - began)
                cpu.append(time.process_time() - used)
                rows = tools.asked().since(before).rows
                if rows < _ROWS:
                    raise RuntimeError(f"{rows} of {_ROWS} rows arrived")
    # The first of each warms up caches, connection and file.
    rates = [_ROWS / seconds for seconds in ours[1:]]
    bare_rates = [_ROWS / seconds for seconds in bare[1:]]
    reading_rate = _ROWS / median(reading[1:])
    share = median(rate / other for rate, other in zip(rates, bare_rates, strict=True))
    return [
        Figure(
            what="backlog: listed, tracked, committed",
            bar=f">= {_BAR_PER_SECOND:,} executions/s",
            measured=f"{median(rates):,.0f}/s ({spread(rates, '{:,.0f}')}); "
            f"CPU {median(cpu[1:]) / _ROWS * 1e6:.1f} us each",
            beside="",
            met=median(rates) >= _BAR_PER_SECOND,
        ),
        Figure(
            what="the same, beside a bare loop",
            bar=">= 1/4",
            measured=f"{share:.2f}",
            beside=f"list and decode {median(bare_rates):,.0f}/s; "
            f"and read the fields {reading_rate:,.0f}/s",
            met=share >= _BAR_SHARE,
        ),
    ]


async def _bare(tools: Parts, project: str, *, read: bool) -> float:
    """Return the seconds that listing and decoding takes, by the same keyset; or *read*, too."""
    stub = admin_pb2_grpc.AdminServiceStub(tools.channel)
    began, instant, rows = time.perf_counter(), Micros(0), 0
    while True:
        asked = query.created_from(instant)
        page: Any = await stub.ListExecutions(
            common_pb2.ResourceListRequest(
                id=common_pb2.NamedEntityIdentifier(project=project, domain=DOMAIN),
                limit=PAGE_SIZE,
                filters=asked.filters,
                sort_by=common_pb2.Sort(key=asked.sort_key, direction=common_pb2.Sort.ASCENDING),
            )
        )
        rows += len(
            [convert.execution(row) for row in page.executions] if read else page.executions
        )
        if not page.token:
            break
        created = page.executions[-1].closure.created_at
        instant = Micros(created.seconds * 1_000_000 + created.nanos // 1000)
    if rows < _ROWS:
        raise RuntimeError(f"{rows} of {_ROWS} rows arrived")
    return time.perf_counter() - began
