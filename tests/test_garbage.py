"""The collector of cycles is busy briefly, and errors keep nothing alive."""

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest

from exporter import garbage


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.enable()
    gc.unfreeze()


async def test_what_is_replaced_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python counts objects that there are more, and there are none; the clock sees to them."""
    monkeypatch.setattr(garbage, "_EVERY_SECONDS", 0.01)
    passes: list[int] = []
    passed = asyncio.Event()

    def watch(phase: str, about: dict[str, int]) -> None:
        if phase == "stop":
            passes.append(about["generation"])
            passed.set()

    def young() -> int:
        return sum(len(gc.get_objects(generation)) for generation in (0, 1))

    held = [[n] for n in range(10_000)]
    gc.collect()
    collecting = asyncio.create_task(garbage.collect())
    await asyncio.sleep(0)
    gc.callbacks.append(watch)
    try:
        for n in range(len(held)):
            held[n] = [n]
        assert young() >= len(held)
        await asyncio.wait_for(passed.wait(), 10)
        assert passes[0] == 1
        assert young() < len(held) / 2
    finally:
        gc.callbacks.remove(watch)
        collecting.cancel()
        await asyncio.wait([collecting])


class Keeper:
    """Keeps an error, as who tells of it later does."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._gone = gone

    def __del__(self) -> None:
        """Tell that it is no more."""
        self._gone()


def fail(keeper: Keeper) -> None:
    """Raise an error that *keeper* keeps, in a call that knows *keeper*."""
    try:
        int("planted")
    except ValueError as error:
        keeper.error = error
        raise


def fail_otherwise(keeper: Keeper) -> None:
    """Raise another error in its place."""
    try:
        fail(keeper)
    except ValueError:
        raise LookupError("planted, too") from None


@pytest.mark.parametrize("way", [fail, fail_otherwise])
def test_an_error_lets_go_of_what_it_interrupted(way: Callable[[Keeper], None]) -> None:
    """Also of what the error had that it took the place of."""
    gone: list[bool] = []
    gc.disable()
    try:
        way(Keeper(lambda: gone.append(True)))
    except (ValueError, LookupError) as error:
        assert not gone
        garbage.let_go(error)
    assert gone


async def test_a_task_lets_go_of_what_it_was_about() -> None:
    """Also one that was cancelled under a time limit, which knows the task."""
    gone: list[bool] = []

    async def wait(keeper: Keeper) -> None:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()
        assert keeper

    gc.disable()
    task = asyncio.create_task(garbage.tidily(wait, Keeper(lambda: gone.append(True))))
    await asyncio.sleep(0)
    assert not gone
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert gone
