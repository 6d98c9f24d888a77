"""What the exporter measures of its own work, as /metrics has it when every duration is known."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from itertools import accumulate, chain, repeat
from pathlib import Path

import grpc
import pytest

from exporter.admin import transport
from exporter.config.settings import ScrapeSettings
from exporter.ledger import journal
from exporter.metrics import book, catalog, process
from exporter.metrics.catalog import Family, Kind
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.scrape.worker import Worker
from tests import page
from tests.rig import START, Rig, failure

T = Target("etl", "production")
ETL = 'project="etl",domain="production"'
_FAR_TOO_LONG = 1000.0


class Stopwatch:
    """Stands in for `time` where something is measured with two looks at a time: it took this."""

    def __init__(self, *lengths: float) -> None:
        each = ((1.0, length) for length in chain(lengths, repeat(_FAR_TOO_LONG)))
        self._looks: Iterator[float] = accumulate(chain.from_iterable(each))

    def perf_counter(self) -> float:
        """Return what it shows at the next look."""
        return next(self._looks)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """Return a process that measures calls by the clock of the test."""
    rig = Rig(tmp_path, hold=ScrapeSettings().overlap * 0)
    for module in (transport, process):
        monkeypatch.setattr(module, "time", rig.clock)
    async with journal.Journal(rig.ledger, clock=rig.clock, observer=rig.process) as writing:
        rig.services = dataclasses.replace(rig.services, journal=writing)
        yield rig
    rig.die()


def calls_take(rig: Rig, *lengths: float, fail: bool = False) -> None:
    """Have the next calls to Admin take so many seconds each, and *fail*, if they do."""
    left = chain(lengths, repeat(_FAR_TOO_LONG))

    async def at_await(_: str) -> None:
        rig.clock.advance(next(left))
        if fail:
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = at_await


def shown(rig: Rig, *families: Family) -> dict[str, float]:
    """Return the samples of *families*, but of counters and histograms only what has happened."""
    found: dict[str, float] = {}
    for sample, _, value in (line.rpartition(" ") for line in page.lines(rig.exposition)):
        for family in families:
            if sample.startswith(family.name) and (family.kind is Kind.GAUGE or float(value)):
                found[sample] = float(value)
    return found


def histogram(family: Family, *lengths: float, labels: str = "") -> dict[str, float]:
    """Return the samples that *family* is to have once such *lengths* were measured."""
    bounds = (*family.buckets, float("inf"))
    counts = {bound: sum(length <= bound for length in lengths) for bound in bounds}
    edges = {bound: "+Inf" if bound == bounds[-1] else str(bound) for bound in bounds}
    beside, alone = (f",{labels}", f"{{{labels}}}") if labels else ("", "")
    return {
        f"{family.name}_count{alone}": len(lengths),
        f"{family.name}_sum{alone}": sum(lengths),
        **{
            f'{family.name}_bucket{{le="{edges[bound]}"{beside}}}': count
            for bound, count in counts.items()
            if count
        },
    }


async def test_four_polls_of_which_every_duration_is_known(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that begins, two that each find an execution, and one that Admin does not answer."""
    commits, renderings = (0.0004, 0.007, 0.3), (0.0002, 0.0008, 0.2)
    monkeypatch.setattr(journal, "time", Stopwatch(*commits))
    monkeypatch.setattr(book, "time", Stopwatch(*renderings))
    worker = Worker(T, rig.services, rig.exposition, reconcile_at=rig.clock.monotonic() + 3600)
    # The list of what is new and that of what is not over, and then the first alone.
    calls_take(rig, 0.003, 0.04)
    await worker.turn()
    for number, length in enumerate((0.3, 0.06), start=1):
        rig.clock.instant = Micros(START + number * 30 * SECOND)
        rig.launch(T, f"run-{number}")
        calls_take(rig, length)
        await worker.turn()
    rig.clock.instant = Micros(START + 90 * SECOND)
    calls_take(rig, 7.0, fail=True)
    await worker.turn()

    assert shown(
        rig,
        catalog.ADMIN_UP,
        catalog.ADMIN_RPCS,
        catalog.ADMIN_RPC_DURATION,
        catalog.TARGET_LAST_SUCCESS,
        catalog.TARGET_POLL_DURATION,
        catalog.TARGET_INTERVAL,
        catalog.TARGET_UP,
        catalog.POLLS,
        catalog.POLL_ROWS,
        catalog.LEDGER_LAST_COMMIT,
        catalog.LEDGER_COMMIT_DURATION,
        catalog.RENDER_DURATION,
    ) == pytest.approx(
        {
            "flyte_admin_up": 0,
            'flyte_admin_rpcs_total{code="OK",method="ListExecutions"}': 4,
            'flyte_admin_rpcs_total{code="UNAVAILABLE",method="ListExecutions"}': 1,
            **histogram(
                catalog.ADMIN_RPC_DURATION,
                *(0.003, 0.04, 0.3, 0.06, 7.0),
                labels='method="ListExecutions"',
            ),
            f"flyte_exporter_target_last_success_timestamp_seconds{{{ETL}}}": START / SECOND + 60,
            f"flyte_exporter_target_poll_duration_seconds{{{ETL}}}": 7,
            f"flyte_exporter_target_interval_seconds{{{ETL}}}": 30,
            f"flyte_exporter_target_up{{{ETL}}}": 0,
            'flyte_exporter_polls_total{outcome="success"}': 3,
            'flyte_exporter_polls_total{outcome="admin_error"}': 1,
            # The second list shows the first run again.
            'flyte_exporter_poll_rows_total{step="new"}': 3,
            "flyte_exporter_ledger_last_commit_timestamp_seconds": START / SECOND + 60.06,
            **histogram(catalog.LEDGER_COMMIT_DURATION, *commits),
            **histogram(catalog.RENDER_DURATION, *renderings),
        },
        rel=1e-12,
        abs=1e-5,
    )
