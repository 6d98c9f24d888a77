"""Levels are shown of all whose part of the live set changed, however many they are."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.metrics.labelling import AS_THEY_ARE, Labelling, labelled
from exporter.metrics.measure import introduce
from exporter.model.executions import Phase
from exporter.model.launch_plans import ActivePlan
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from exporter.scrape.live_levels import LiveLevels
from exporter.scrape.memory import Memory
from tests import page
from tests.rig import Rig

T = Target("etl", "production")
MANY = 1_500
"""More than are shown in one go."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Return a process with room for the levels of many."""
    rig = Rig(tmp_path, limit=100_000)
    yield rig
    rig.die()


def activate(rig: Rig, *launch_plans: str) -> None:
    """Have the book keep places for *launch_plans*, as the inventory does."""
    found = introduce(T, [ActivePlan(name, "v1", "workflow", None) for name in launch_plans])
    now = rig.clock.now()
    rig.book.apply(rig.book.post(T, labelled(found, rig.book.labelling), now), now)


async def begun(rig: Rig) -> Memory:
    """Return what is known of a target with many active launch plans, none of which runs."""
    await rig.poll(T)
    activate(rig, *(f"plan-{number}" for number in range(MANY)))
    return Memory(rig.ledger.target(T))


def shown(rig: Rig) -> int:
    """Return of how many launch plans it is shown how many executions run."""
    active = f'flyte_executions_active{{project="{T.project}",domain="{T.domain}",launch_plan='
    running = (line for line in page.lines(rig.exposition) if 'phase="RUNNING"' in line)
    return sum(line.startswith(active) for line in running)


async def test_who_is_touched_while_others_are_shown_is_shown(rig: Rig) -> None:
    """The inventory comes upon a launch plan while the poll pauses on its way through many."""
    memory = await begun(rig)
    levels = LiveLevels(T, rig.book, rig.clock)

    async def look() -> None:
        assert 0 < shown(rig) < MANY
        activate(rig, "new")
        levels.touch(["new"])

    await asyncio.gather(levels.show(memory), look())
    assert shown(rig) == MANY + 1


async def test_who_is_not_shown_yet_is_shown_later(rig: Rig) -> None:
    """A poll that ends on its way through many has lost none of them."""
    memory = await begun(rig)
    levels = LiveLevels(T, rig.book, rig.clock)
    showing = asyncio.create_task(levels.show(memory))
    await asyncio.sleep(0)
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    assert 0 < shown(rig) < MANY
    await levels.show(memory)
    assert shown(rig) == MANY


@pytest.mark.parametrize("change", [Rig.restart, Rig.reload], ids=["restart", "reload"])
async def test_who_runs_is_shown_by_the_name_that_they_have_now(
    rig: Rig, change: Callable[[Rig], None]
) -> None:
    """An execution that runs for days is seen, also before anything else happens there."""

    def running(launch_plan: str) -> float | None:
        labels = f'project="{T.project}",domain="{T.domain}",launch_plan="{launch_plan}"'
        return rig.metric(f'flyte_executions_active{{{labels},phase="RUNNING"}}')

    rig.labelling = Labelling(rules=[Renaming("nightly", "before")])
    rig.restart()
    await rig.poll(T)
    key = rig.launch(T, "long", launch_plan="nightly")
    rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
    await rig.poll(T)
    assert running("before") == 1
    rig.labelling = AS_THEY_ARE
    change(rig)
    await rig.poll(T)
    assert (running("nightly"), running("before")) == (1, 0)
    overflowed = 'flyte_exporter_series_overflow_total{family="flyte_executions_active"}'
    assert rig.metric(overflowed) == 0
