"""
Polls of an Admin that lives its own life.

It does not stand still while it is looked at. So what an exporter knows or counts is held between
two looks: one taken before its poll and one after it.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.config.settings import ScrapeSettings
from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.model.executions import Execution, ExecutionId, Tracked
from exporter.model.targets import Target
from exporter.model.time import EPOCH, Micros
from tests.live.deeds import Totals
from tests.live.polling import Exporter, exporter_for
from tests.live.samples import SECONDS, Sample, read

pytestmark = pytest.mark.live

_PATIENCE = 3.0  # seconds in which something should happen on an Admin that is in use
_PAUSE = 0.2


async def look(
    client: AdminClient, target: Target, since: Micros, names: list[str]
) -> dict[ExecutionId, Execution]:
    """Return the rows from *since* on, and those called *names*."""
    rows = await read(client, target, since=since)
    for start in range(0, len(names), 500):
        asked = query.named(names[start : start + 500])
        page = await client.list_executions(target, asked, limit=500, timeout=SECONDS)
        rows += page.executions
    return {row.id: row for row in rows}


def counted(totals: Totals, family: Family) -> Counter[tuple[str, ...]]:
    """Return a counter's totals by the labels that follow the target."""
    return Counter(
        {key[3:]: int(value.total) for key, value in totals.items() if key[0] == family.name}
    )


def launches(
    rows: dict[ExecutionId, Execution], primed: dict[ExecutionId, Tracked]
) -> Counter[tuple[str, ...]]:
    """Count what was launched since *primed*, by launch plan and mode."""
    return Counter(
        (row.launch_plan, row.mode.name) for key, row in rows.items() if key not in primed
    )


def ends(
    rows: dict[ExecutionId, Execution], primed: dict[ExecutionId, Tracked]
) -> Counter[tuple[str, ...]]:
    """Count what ended since *primed*, by launch plan, mode and phase."""
    return Counter(
        (row.launch_plan, row.mode.name, row.phase.name)
        for key, row in rows.items()
        if row.phase.is_terminal and (key not in primed or not primed[key].phase.is_terminal)
    )


async def test_the_first_poll_counts_nothing(
    admin_address: str, samples: list[Sample], tmp_path: Path
) -> None:
    """What was there before us is taken note of, and nothing of it is counted."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        for sample in samples:
            await exporter.poll(sample.target)
            assert (await exporter.record(sample.target)).progress is not None
            assert await exporter.totals(sample.target) == {}


async def test_a_poll_costs_two_lists_where_little_happens(
    admin_address: str, samples: list[Sample], tmp_path: Path
) -> None:
    """One list of what is new and one of what is live; more only where one page is not enough."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        for sample in samples:
            await exporter.poll(sample.target)
            exporter.calls.finished.clear()
            read_before = rows_read(exporter)
            await exporter.poll(sample.target)
            pages = int(rows_read(exporter) - read_before) // 500
            assert set(exporter.calls.finished) == {("ListExecutions", "OK")}
            assert len(exporter.calls.finished) <= 2 + pages


def rows_read(exporter: Exporter) -> float:
    """Return how many rows all polls together were sent."""
    return sum(sample.value for sample in exporter.samples(catalog.POLL_ROWS))


@pytest.mark.parametrize("polls", [1, 3])
async def test_what_is_known_is_what_admin_lists(
    client: AdminClient, admin_address: str, samples: list[Sample], tmp_path: Path, polls: int
) -> None:
    """Every row that later lists may show is known, in the phase that Admin has it in."""
    async with exporter_for(admin_address, tmp_path, reconciling=True) as exporter:
        for sample in samples:
            for _ in range(polls - 1):
                await exporter.poll(sample.target)
            before = await look(client, sample.target, sample.since, [])
            await exporter.poll(sample.target)
            after = await look(client, sample.target, sample.since, [])
            record = await exporter.record(sample.target)
            assert record.progress is not None
            wanted = {key for key in before if key.created_at >= record.progress.retained_from}
            assert wanted <= record.rows.keys()
            assert {key for key in record.rows if key.created_at >= sample.since} <= after.keys()
            unmoved = [key for key in wanted if before[key].phase is after[key].phase]
            assert {key: record.rows[key].phase for key in unmoved} == {
                key: after[key].phase for key in unmoved
            }


async def test_the_live_set_is_what_the_gauges_show(
    client: AdminClient, admin_address: str, samples: list[Sample], tmp_path: Path
) -> None:
    """Gauges count the live set, which lies between what was live before and after the poll."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        for sample in samples:
            before = {row.id for row in await read(client, sample.target, live_only=True)}
            await exporter.poll(sample.target)
            after = {row.id for row in await read(client, sample.target, live_only=True)}
            rows = (await exporter.record(sample.target)).rows
            live = {key: row for key, row in rows.items() if row.is_live}
            assert before & after <= live.keys()
            assert exporter.active(sample.target) == Counter(
                (row.launch_plan, row.phase.name) for row in live.values()
            )


async def test_what_happens_while_we_look_is_counted_once(
    client: AdminClient, admin_address: str, samples: list[Sample], tmp_path: Path
) -> None:
    """After any number of polls the totals are those of what was launched and what ended."""
    target = samples[0].target
    # Not far back: all of it is read twice for every look that we take.
    settings = ScrapeSettings(reconcile_window=timedelta(minutes=2))
    async with exporter_for(admin_address, tmp_path, settings=settings) as exporter:
        await exporter.poll(target)
        record = await exporter.record(target)
        assert record.progress is not None
        primed, since = record.rows, record.progress.retained_from
        names = [key.name for key, row in primed.items() if row.is_live and key.created_at < since]
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            before = await look(client, target, since, names)
            await exporter.poll(target)
            await exporter.poll(target)
            after = await look(client, target, since, names)
            totals = await exporter.totals(target)
            launched = counted(totals, catalog.EXECUTIONS_LAUNCHED)
            finished = counted(totals, catalog.EXECUTIONS_FINISHED)
            assert launches(before, primed) <= launched <= launches(after, primed)
            assert ends(before, primed) <= finished <= ends(after, primed)
            if (launched and finished) or asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(_PAUSE)


async def test_a_reconcile_finds_nothing_to_put_right(
    admin_address: str, samples: list[Sample], tmp_path: Path
) -> None:
    """What the polls have seen is all there is: the wider look corrects nothing."""
    async with exporter_for(admin_address, tmp_path, reconciling=True) as exporter:
        for sample in samples:
            await exporter.poll(sample.target)
            exporter.calls.finished.clear()
            await exporter.poll(sample.target)
            assert len(exporter.calls.finished) >= 3
        assert exporter.corrections() == 0


async def test_an_unknown_project_is_polled_in_peace(admin_address: str, tmp_path: Path) -> None:
    """A target that is gone, or not there yet, is empty and no error."""
    target = Target("no-such-project", "nowhere")
    async with exporter_for(admin_address, tmp_path) as exporter:
        await exporter.poll(target)
        await exporter.poll(target)
        record = await exporter.record(target)
    assert record.rows == {}
    assert record.progress is not None
    assert record.progress.cursor > EPOCH
