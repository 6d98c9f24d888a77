"""In a project where nobody else does anything, what is counted is what was done."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config.settings import ScrapeSettings
from exporter.model.executions import Mode, Phase
from tests.live.deeds import Deeds, Run
from tests.live.flyte import HOURLY, Project
from tests.live.polling import BOUNDS, Exporter, exporter_for

pytestmark = [pytest.mark.live, pytest.mark.write]

_LIVES = 40
_POLLS = 3
_ENDS = (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT)


async def insist(exporter: Exporter, project: Project) -> None:
    """Poll, and compare what is counted and shown with what was done."""
    await exporter.poll(project.target)
    totals = await exporter.totals(project.target)
    assert totals == project.deeds.totals(project.target, BOUNDS)
    assert exporter.active(project.target) == project.live()
    assert exporter.corrections() == 0


@pytest.mark.parametrize(
    "settings",
    [
        ScrapeSettings(),
        ScrapeSettings(page_size=1),
        # So that the runs are followed by their names, and not seen again among what is new.
        ScrapeSettings(overlap=timedelta()),
        ScrapeSettings(overlap=timedelta(), page_size=2),
    ],
    ids=["as it comes", "tiny pages", "no overlap", "no overlap, tiny pages"],
)
async def test_each_stage_of_a_life_is_counted_when_it_is_seen(
    admin_address: str, project: Project, tmp_path: Path, settings: ScrapeSettings
) -> None:
    """Launches, starts and every end are in the totals after the next poll, with their lengths."""
    async with exporter_for(
        admin_address, tmp_path, settings=settings, reconciling=True
    ) as exporter:
        await insist(exporter, project)
        runs = [
            project.launch(),
            project.launch(mode=Mode.SCHEDULED),
            project.launch(HOURLY, Mode.CHILD_WORKFLOW),
            project.launch(HOURLY),
            project.launch_task(),
        ]
        await insist(exporter, project)
        for number, run in enumerate(runs[:4]):
            project.report(run, Phase.RUNNING, after=1.5 * number)
        await insist(exporter, project)
        project.report(runs[0], Phase.SUCCEEDING, after=60)
        project.report(runs[1], Phase.FAILING, after=10)
        project.terminate(runs[2])
        await insist(exporter, project)
        for run, phase in zip(runs, _ENDS, strict=False):
            project.report(run, phase, after=61.25)
        await insist(exporter, project)
        assert {key[2] for key in project.deeds.finished} == {phase.name for phase in _ENDS}
        project.report(runs[4], Phase.FAILED, after=3)
        await insist(exporter, project)
        await insist(exporter, project)


async def test_a_whole_life_between_two_polls_is_counted(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """Born and over, never seen alive, some archived at once: all of it is counted."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        await insist(exporter, project)
        for end in _ENDS:
            project.archive(project.whole_life(end=end))
            project.whole_life(HOURLY, Mode.SCHEDULED, end)
        await insist(exporter, project)


async def test_archiving_changes_no_count(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """A run that is hidden while it is followed is followed on, and one that is over stays over."""
    async with exporter_for(admin_address, tmp_path, reconciling=True) as exporter:
        await insist(exporter, project)
        over, under_way = project.whole_life(), project.launch()
        await insist(exporter, project)
        project.archive(over)
        project.archive(under_way)
        await insist(exporter, project)
        project.report(under_way, Phase.RUNNING, after=2)
        project.report(under_way, Phase.SUCCEEDED, after=42)
        await insist(exporter, project)


async def test_what_is_repeated_is_another_execution(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """A relaunch and a recovery count by themselves, under their own modes."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        await insist(exporter, project)
        failed = project.whole_life(end=Phase.FAILED)
        again = project.relaunch(failed)
        await insist(exporter, project)
        recovered = project.recover(failed)
        for run in (again, recovered):
            project.report(run, Phase.RUNNING, after=0.25)
            project.report(run, Phase.SUCCEEDED, after=100.25)
        await insist(exporter, project)
        assert {mode for _, mode in project.deeds.launched} == {"MANUAL", "RELAUNCH", "RECOVERED"}


async def test_clocks_that_disagree_give_no_negative_wait(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """Propeller's clock may be behind Admin's: the wait is 0, the run lasts as long as it did."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        await insist(exporter, project)
        run = project.launch()
        project.report(run, Phase.RUNNING, after=-3)
        project.report(run, Phase.SUCCEEDED, after=13)
        await insist(exporter, project)
        assert project.deeds.queued == [0]


async def test_what_began_before_us_is_counted_from_its_next_stage_on(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """What was over at the first poll stays uncounted; what was under way counts when it ends."""
    project.whole_life()
    waiting, running = project.launch(), project.launch(HOURLY)
    project.report(running, Phase.RUNNING, after=1)
    async with exporter_for(admin_address, tmp_path) as exporter:
        project.deeds = Deeds()
        await insist(exporter, project)
        project.report(waiting, Phase.RUNNING, after=2)
        project.report(running, Phase.SUCCEEDED, after=31)
        await insist(exporter, project)


async def test_a_restart_neither_forgets_nor_repeats(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """On the ledger of its predecessor an exporter counts what happened in between, once."""
    async with exporter_for(admin_address, tmp_path) as exporter:
        await insist(exporter, project)
        project.whole_life()
        under_way = project.launch(HOURLY)
        await insist(exporter, project)
    project.report(under_way, Phase.RUNNING, after=5)
    project.report(under_way, Phase.SUCCEEDED, after=25)
    project.whole_life(end=Phase.FAILED)
    async with exporter_for(admin_address, tmp_path, reconciling=True) as exporter:
        await insist(exporter, project)
        await insist(exporter, project)


async def test_nothing_is_lost_while_rows_come_and_go(
    admin_address: str, project: Project, tmp_path: Path
) -> None:
    """With polls of tiny pages going on all the while, each of many short lives is counted once."""
    settings = ScrapeSettings(page_size=3)
    async with exporter_for(
        admin_address, tmp_path, settings=settings, reconciling=True
    ) as exporter:
        await insist(exporter, project)
        polls = 0
        lives = asyncio.to_thread(live_through, project, until=lambda: polls >= _POLLS)
        living = asyncio.create_task(lives)
        while not living.done():
            await exporter.poll(project.target)
            polls += 1
        await living
        await insist(exporter, project)


def live_through(project: Project, *, until: Callable[[], bool]) -> None:
    """Have many lives of every kind, three of them at a time, and more of them *until* is true."""
    under_way: list[tuple[Run, Phase]] = []
    for number in itertools.count(1):
        run = project.launch(mode=Mode.SCHEDULED if number % 2 else Mode.MANUAL)
        project.report(run, Phase.RUNNING, after=0.5)
        under_way.append((run, _ENDS[number % len(_ENDS)]))
        if len(under_way) == 3:
            ended, phase = under_way.pop(0)
            project.report(ended, phase, after=40.5)
            project.archive(ended)
        if number >= _LIVES and until():
            return
