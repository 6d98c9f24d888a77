"""The collector of cycles is busy briefly, and errors keep nothing alive."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from exporter import garbage


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    yield
    gc.enable()


@pytest.fixture
async def passes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Queue[int]]:
    """Have the collector busy in a hurry; returns which generations its passes look at."""
    monkeypatch.setattr(garbage, "_TURN_SECONDS", 0.01)
    monkeypatch.setattr(garbage, "_TURNS_UNTIL_SETTLED", garbage._TURNS_BETWEEN_PASSES)
    passes: asyncio.Queue[int] = asyncio.Queue()

    def watch(phase: str, about: dict[str, int]) -> None:
        if phase == "stop":
            passes.put_nowait(about["generation"])

    with garbage.taken_over():
        collecting = asyncio.create_task(garbage.collect())
        gc.callbacks.append(watch)
        yield passes
        gc.callbacks.remove(watch)
        collecting.cancel()
        await asyncio.wait([collecting])
    assert gc.isenabled()
    assert not gc.get_freeze_count()


def young() -> int:
    """Return how many objects the next pass will look at."""
    return sum(len(gc.get_objects(generation)) for generation in (0, 1))


async def test_what_is_replaced_is_looked_at(passes: asyncio.Queue[int]) -> None:
    """Python counts objects that there are more, and there are none; the clock sees to them."""
    held = [[n] for n in range(garbage._MANY - 1000)]
    assert await asyncio.wait_for(passes.get(), 10) == 1
    before = young()
    assert before < len(held) / 2
    for n in range(len(held)):
        held[n] = [n]
    assert young() >= before + len(held)
    assert await asyncio.wait_for(passes.get(), 10) == 1
    assert young() < len(held) / 2
    # What was there at the start is in no generation any more.
    assert gc.get_freeze_count() > len(held)


async def test_many_at_once_are_left_alone(passes: asyncio.Queue[int]) -> None:
    """What a start, a reload or a backlog brings is no garbage, and a pass would be long."""
    await asyncio.wait_for(passes.get(), 10)
    frozen = gc.get_freeze_count()
    held = [[n] for n in range(3 * garbage._MANY)]
    looked_at: list[int] = []
    gc.callbacks.append(lambda phase, _: looked_at.append(young()) if phase == "start" else None)
    try:
        assert await asyncio.wait_for(passes.get(), 10) == 1
    finally:
        gc.callbacks.pop()
    assert looked_at[0] < len(held) / 2
    assert gc.get_freeze_count() >= frozen + len(held)


async def test_much_in_the_place_of_as_much_is_left_alone_if_somebody_says_so(
    passes: asyncio.Queue[int],
) -> None:
    """A reload that renames all makes nothing more, and a pass over it would be long."""
    held = [[n] for n in range(3 * garbage._MANY)]
    await asyncio.wait_for(passes.get(), 10)
    for n in range(len(held)):
        held[n] = [n]
    assert young() >= len(held)
    garbage.leave_alone()
    assert young() < len(held) / 2


async def test_all_is_looked_at_where_memory_grows(passes: asyncio.Queue[int]) -> None:
    """Cycles that came through the passes are found after all, before they fill the memory."""
    await asyncio.wait_for(passes.get(), 10)
    gone = asyncio.Event()
    old = Keeper(gone.set)
    old.error = KeyError(old)
    gc.collect(1)
    del old
    gc.collect(1)
    await asyncio.wait_for(passes.get(), 10)
    assert not gone.is_set()
    grown = [[n] for n in range(sys.getallocatedblocks())]
    await asyncio.wait_for(gone.wait(), 10)
    assert grown


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


class Shared(Exception):
    """Is raised to several callers, as whoever failed for all of them keeps it."""


class Refused(Exception):
    """Knows what one of the callers was about."""

    def __init__(self, about: Keeper) -> None:
        super().__init__("planted")
        self.about = about


def ask(shared: Shared, about: Keeper) -> None:
    """Be refused for want of what all have to do without, twice."""
    try:
        try:
            raise shared
        except Shared as error:
            raise Refused(about) from error
    except Refused as first:
        try:
            raise shared
        except Shared as error:
            raise Refused(about) from error.with_traceback(first.__traceback__)


@pytest.mark.parametrize("ring", [False, True])
def test_an_error_that_several_have_keeps_nobodys_concerns(ring: bool) -> None:
    """Though it stands among what led to an error that it led to itself, which has no end."""
    gone: list[bool] = []
    gc.disable()
    shared = Shared("planted")
    try:
        ask(shared, Keeper(lambda: gone.append(True)))
    except Refused as error:
        assert shared.__context__ is not None
        if ring:
            shared.__cause__ = shared.__context__
        garbage.let_go(error)
    if not ring:
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
