"""Near the series limit who is shown stays shown: no alert may resolve for want of room."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.metrics import catalog
from exporter.metrics.catalog import FAMILIES
from exporter.metrics.gauges import ACTIVATION, NEEDED
from exporter.model.executions import Mode, Phase
from exporter.model.targets import Target
from tests import page
from tests.plans import HOURLY, activate
from tests.rig import Rig, register
from tests.stage import scheduled

A = Target("a", "development")
_FAILURES = catalog.PLAN_CONSECUTIVE_FAILURES
_LIMIT = 1000
_ROUND = 310
"""Seconds that hold a listing of every target."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Return a rig with room for a few dozen launch plans."""
    rig = Rig(tmp_path, limit=_LIMIT, hold=timedelta())
    register(rig, A.project)
    yield rig
    rig.die()


def fail(rig: Rig, name: str, launch_plan: str, mode: Mode = Mode.MANUAL) -> None:
    """Have an execution of *launch_plan* begin and fail now."""
    now = rig.clock.now()
    key = rig.launch(A, name, launch_plan=launch_plan, mode=mode, scheduled_at=now)
    for phase in (Phase.RUNNING, Phase.FAILED):
        rig.admin.executions.move(key, phase, at=now)


def shown(rig: Rig, launch_plan: str) -> dict[str, float]:
    """Return the gauges of launch plans whose names begin so, by what they say and of whom."""
    names = tuple(family.name for family in set(NEEDED))
    samples = (line.rpartition(" ") for line in page.lines(rig.exposition))
    return {
        sample: float(value)
        for sample, _, value in samples
        if sample.startswith(names) and f'launch_plan="{launch_plan}' in sample
    }


def used(rig: Rig) -> int:
    """Return how many series there are, as the budget has it."""
    return sum(map(rig.book.budget.used_by, FAMILIES))


async def fill(rig: Rig) -> None:
    """Have so many launch plans run once that the limit is reached, by `__overflow__` too."""
    for number in range(3):
        for each in range(60):
            fail(rig, f"x{number}-{each}", f"adhoc-{number}-{each}")
        rig.clock.advance(30)
        await rig.poll(A)
    assert used(rig) > _LIMIT * 0.9


async def test_who_fails_again_is_shown_when_others_have_filled_the_limit(rig: Rig) -> None:
    """What is news of a launch plan replaces what was shown of it."""
    await rig.poll(A)
    fail(rig, "n0", "nightly")
    await rig.poll(A)
    before = shown(rig, "nightly")
    await fill(rig)
    assert shown(rig, "nightly") == before
    fail(rig, "n1", "nightly")
    rig.clock.advance(30)
    await rig.poll(A)
    after = shown(rig, "nightly")
    assert after.keys() == before.keys()
    assert [value for name, value in after.items() if name.startswith(_FAILURES.name)] == [2]
    assert used(rig) <= _LIMIT + len(NEEDED) * len(rig.book.places.launch_plans(A))


async def test_a_restart_at_the_limit_shows_all_again(rig: Rig) -> None:
    """All series come in before any gauge, and whoever has some has room for their gauges."""
    await rig.poll(A)
    for number in range(5):
        fail(rig, f"n{number}", f"old-{number}")
    await rig.poll(A)
    await fill(rig)
    before = shown(rig, "")
    rig.restart()
    rig.clock.advance(30)
    await rig.poll(A)
    admitted = rig.book.places.launch_plans(A)
    assert {"old-0", "old-1", "old-2", "old-3", "old-4"} < {*admitted}
    for launch_plan in admitted:
        found = {name for name in before if f'"{launch_plan}"' in name}
        assert found
        assert found <= shown(rig, launch_plan).keys()


async def test_under_a_lower_limit_all_stay_listed_and_judged(rig: Rig) -> None:
    """Listings and slots come and go, and nothing that was shown is missing after one."""
    async with scheduled(rig) as stage:
        await stage.clock.advance(5)
        plans = [f"p{number}" for number in range(10)]
        for plan in plans:
            activate(rig, A, plan, schedule=HOURLY)
        await stage.clock.advance(_ROUND)
        for plan in plans:
            fail(rig, f"x-{plan}", plan, Mode.SCHEDULED)
        await stage.clock.advance(40)
        before = shown(rig, "p").keys()
        rig.book.set_limits(limit=100, varieties=rig.varieties, hold=rig.hold)
        for wait in (5, _ROUND, 4000):
            await stage.clock.advance(wait)
            assert shown(rig, "p").keys() >= before
        for family in (_FAILURES, *ACTIVATION, catalog.SCHEDULE_NEXT_DUE):
            assert sum(name.startswith(family.name) for name in before) == len(plans)
