"""What time alone brings about, also where somebody is told to stop in the middle of it."""

import asyncio

from exporter.model.executions import Phase
from exporter.model.targets import Target
from tests.rig import HOLD, Rig

_TARGET = Target("a", "development")
_LAUNCHED = (
    'flyte_executions_launched_total{project="a",domain="development",launch_plan="plan",'
    'mode="MANUAL"}'
)


async def test_a_release_that_is_cut_off_is_gone_on_with(rig: Rig) -> None:
    """Whoever keeps the book next shows what the one before had begun to show."""
    await rig.poll(_TARGET)
    key = rig.launch(_TARGET, "one")
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
    rig.clock.advance(1)
    await rig.poll(_TARGET)
    rig.clock.advance(HOLD.total_seconds())
    assert rig.metric(_LAUNCHED) == 0

    async def cut_off(_: str) -> None:
        raise asyncio.CancelledError

    rig.at_await = cut_off
    release = asyncio.ensure_future(rig.upkeep.release())
    await asyncio.wait([release])
    assert release.cancelled()
    rig.at_await = rig.nothing_happens
    rig.relieve()
    assert rig.metric(_LAUNCHED) == 0
    await rig.upkeep.release()
    assert rig.metric(_LAUNCHED) == 1
