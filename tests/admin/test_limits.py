"""Calls begin no faster, and no more of them run together, than was allowed."""

import asyncio

import pytest

from exporter.admin.limits import Limits


def limits(*, rate: float = 1e4, burst: int = 10_000, concurrency: int = 64) -> Limits:
    """Return limits that tell nobody of waits."""
    return Limits(rate=rate, burst=burst, concurrency=concurrency, waited=lambda _: None)


async def test_no_more_run_together_than_allowed() -> None:
    """Of ten calls three are under way; one that ends makes room for one."""
    some, under_way, most = limits(concurrency=3), 0, 0
    go_on = asyncio.Event()

    async def call() -> None:
        nonlocal under_way, most
        async with some.room(within=10):
            under_way += 1
            most = max(most, under_way)
            await go_on.wait()
            under_way -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(call())
        for _ in range(10):
            await asyncio.sleep(0)
        assert under_way == 3
        go_on.set()
    assert most == 3


async def test_a_burst_leaves_at_once_and_the_rest_by_the_rate() -> None:
    """With 5 at once and 100 a second, the last of 15 leaves after a tenth of a second."""
    waits: list[float] = []
    some = Limits(rate=100, burst=5, concurrency=64, waited=waits.append)
    loop = asyncio.get_running_loop()
    began, left = loop.time(), []
    for _ in range(15):
        async with some.room(within=10):
            left.append(loop.time() - began)
    # However slow this machine is: ten that had to wait cannot leave any sooner.
    assert left[-1] - left[4] >= 0.09
    assert 0 < sum(waits) <= left[-1]


async def test_patience_ends() -> None:
    """Where there is no room in time, nothing is held afterwards."""
    some = limits(concurrency=1)
    async with some.room(within=1):
        with pytest.raises(TimeoutError):
            async with some.room(within=0.01):
                pass
    async with some.room(within=1):
        pass


async def test_what_happens_inside_is_not_limited_in_time() -> None:
    """Patience is for getting in; what is done inside has a deadline of its own."""
    async with limits().room(within=0.01):
        await asyncio.sleep(0.03)


async def test_a_failure_inside_gives_the_room_back() -> None:
    """A call that fails does not keep others out."""
    some = limits(concurrency=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with some.room(within=1):
                raise RuntimeError


async def test_no_time_is_no_room() -> None:
    """A call whose time is over is not made, even where there is room."""
    with pytest.raises(TimeoutError):
        async with limits().room(within=0):
            raise AssertionError("it was let in")
