"""
Reference cycles: who makes none need not stop for Python's collector of them.

What we hold is a million small objects, and what we make in a hurry is more of them. With Python's
own thresholds the collector goes over everything again and again: that takes a fifth of a poll,
and stops the event loop for 200 ms at a time. But none of it is ever part of a cycle, which
`tests/e2e/test_garbage.py` holds it to; a few objects are with each connection to the web port, and
with a reload.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from traceback import clear_frames
from typing import ParamSpec

P = ParamSpec("P")

_NEW_OBJECTS = 30_000
"""
Most rows of a backlog are gone before there are so many, and are never looked at. Looking at so
many takes 4 to 16 ms, and at those of the time before once more with them as much again.
"""
_NEVER = 2**31 - 1
_EVERY_SECONDS = 2.0


async def collect() -> None:
    """
    Have the collector look at what is new, often and briefly, until cancelled.

    Python counts how many objects there are *more*. Where old ones make room for as many new ones,
    as in a fleet that has come to its size, none is looked at until there are 100,000 of them, and
    then all in one pass. So they are looked at by the clock, too. What came through two passes at
    most is left alone: to look at all would take 200 ms.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 0, _NEVER)
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        gc.collect(1)


def let_go(error: BaseException) -> None:
    """
    Let go of what was on its way when *error*, and those that led to it, were raised.

    An error knows the calls that it ended, and these all that they were about. If among that is
    somebody who keeps the error, that is a cycle; while Admin is away it is one with each poll.
    """
    link: BaseException | None = error
    while link is not None:
        clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__


async def tidily(work: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
    """
    Do *work*, as a task that is cancelled some day, and have it let go of all that it was about.

    The task keeps the error that ended it. If that was raised under `asyncio.timeout`, this knows
    the task, and the error knows this: a cycle, and with it all that a poll was about.
    """
    doing = work(*args, **kwargs)
    # Who does it may keep the task.
    del work, args, kwargs
    try:
        await doing
    except BaseException as error:
        let_go(error)
        raise
