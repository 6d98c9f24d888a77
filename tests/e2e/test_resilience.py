"""
Whatever happens to the connection, for a moment or for seconds, no poll is lost.

The real command, a simulated Admin in another process, and the cable between them in the hands of
the test.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.model.executions import Phase
from tests.cable import REFUSED_STREAM, Cable, Cut
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import DOMAIN, Flyte, Simulator
from tests.e2e.programs import until

_POLLS = "flyte_exporter_polls_total"
_FAILURES = ("admin_error", "timeout", "ledger_error", "internal_error")
_REFUSAL_SECONDS = 0.7
"""How long nobody listens: longer than the interval, as long as a pod takes to be replaced."""


class Scene(NamedTuple):
    """An exporter of two targets at the end of a cable."""

    flyte: Flyte
    cable: Cable
    exporter: Exporter

    def polls(self) -> float:
        """Return how many polls succeeded."""
        return self.exporter.value(_POLLS, outcome="success") or 0

    def lost(self) -> dict[str, float]:
        """Return how many polls did not, by what became of them."""
        ends = {end: self.exporter.value(_POLLS, outcome=end) or 0 for end in _FAILURES}
        return {end: polls for end, polls in ends.items() if polls}

    def finished(self) -> float:
        """Return how many executions are shown as finished."""
        return self.exporter.counts("flyte_executions_finished_total", "project").total()

    async def ask(self, question: Callable[[], float]) -> float:
        """Ask the exporter something, without keeping the cable waiting."""
        return await asyncio.to_thread(question)

    async def go_on(self, polls: int = 6) -> None:
        """Wait until so many more polls succeeded."""
        goal = await self.ask(self.polls) + polls
        await asyncio.to_thread(
            until, lambda: self.polls() >= goal, within=30, what=f"{polls} more polls"
        )


@pytest.fixture
async def scene(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Scene]:
    """Return a scene in which polls succeed."""
    project = f"cut-{tmp_path.name[-8:].strip('_').replace('_', '-')}"
    async with Cable(int(simulator.address.rpartition(":")[2])) as cable:
        with Flyte(simulator.address) as flyte:
            await asyncio.to_thread(flyte.add_project, project)
            await asyncio.to_thread(flyte.add_launch_plan, project, "ingest")
            config = write_config(
                tmp_path,
                endpoint=cable.address,
                discovery={"include": [f"{project}/{DOMAIN}"]},
                scrape={"poll_timeout": "20s"},
            )
            with Exporter(config) as exporter:
                await asyncio.to_thread(exporter.wait_until_ready)
                scene = Scene(flyte, cable, exporter)
                yield scene
                # Whatever happened, what was launched meanwhile is counted once.
                await asyncio.to_thread(flyte.whole_life, project, "ingest", end=Phase.FAILED)
                await asyncio.to_thread(
                    until, lambda: scene.finished() == 1, within=10, what="the execution"
                )


async def _goaway(scene: Scene) -> None:
    """A load balancer, or a server with a maximum age of connections."""
    for _ in range(5):
        scene.cable.go_away()
        await scene.go_on(2)


async def _goaway_and_cut(scene: Scene) -> None:
    """A pod that is replaced in order: its calls end, its connection closes."""
    for _ in range(3):
        scene.cable.go_away()
        scene.cable.cut(Cut.FIN)
        await scene.go_on(2)


async def _reset(scene: Scene) -> None:
    """A pod that is killed, or a firewall that forgets."""
    for _ in range(5):
        scene.cable.cut(Cut.RST)
        await scene.go_on(2)


async def _truncated(scene: Scene) -> None:
    """An answer that ends in its middle."""
    for _ in range(3):
        scene.cable.truncate()
        await scene.go_on(2)


async def _reset_stream(scene: Scene) -> None:
    """A proxy that gives up one call."""
    for _ in range(3):
        scene.cable.reset_stream(REFUSED_STREAM)
        await scene.go_on(2)


async def _restart(scene: Scene) -> None:
    """Nobody listens for a moment, then another does."""
    for _ in range(2):
        scene.cable.go_away()
        await scene.cable.unplug()
        await asyncio.sleep(_REFUSAL_SECONDS)
        await scene.cable.plug_in()
        await scene.go_on(2)


async def _stalled(scene: Scene) -> None:
    """A connection on which nothing comes any more: a call hangs, and the next one does not."""
    scene.cable.stall()
    await asyncio.sleep(_REFUSAL_SECONDS)
    scene.cable.resume()
    await scene.go_on(2)


@pytest.mark.parametrize(
    "fault",
    [_goaway, _goaway_and_cut, _reset, _truncated, _reset_stream, _restart, _stalled],
    ids=lambda fault: fault.__name__.strip("_"),
)
async def test_no_poll_is_lost(scene: Scene, fault: Callable[[Scene], Awaitable[None]]) -> None:
    """Calls are made again on another connection, and every poll ends well."""
    await fault(scene)
    await scene.go_on()
    assert await asyncio.to_thread(scene.lost) == {}
