"""
Reference cycles: who makes none need not stop for Python's collector of them.

What we hold is a million small objects, and what we make in a hurry is more of them. Left to
itself the collector goes over everything again and again: that takes a fifth of a poll, and stops
the event loop for 200 ms at a time. So it looks at what is new alone, and what lives for longer
than that must not become part of a cycle: `tests/e2e/test_garbage.py` holds polls and reloads to
it, whatever becomes of them. What is left are some 2 kB of each connection to the web port that was
open during a pass; Python's own transports are cycles.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import ParamSpec

P = ParamSpec("P")

_TURN_SECONDS = 0.5
_TURNS_BETWEEN_PASSES = 4
_MANY = 10_000
"""A pass over so many takes 6 ms."""
_TURNS_UNTIL_SETTLED = 1200
_GROWTH = 1.5


@contextmanager
def taken_over() -> Iterator[None]:
    """
    Have the collector begin no pass by itself while the block runs; `collect` begins them.

    Afterwards Python goes over all once more when it ends, as it does by default: a connection to
    SQLite is a cycle, and closes the files of its log when that is found.
    """
    _go_over_all()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _go_over_all() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def leave_alone() -> None:
    """
    Have what there is now not count as new: it is much, and is here to stay.

    To be called by whoever puts much in the place of as much, which makes nothing *more*.
    """
    gc.freeze()


async def collect() -> None:
    """
    Have the collector look at what is new, often and briefly, until cancelled.

    By itself it begins a pass when there are so many objects *more*. Where old ones make room for
    as many new ones, as in a fleet that has come to its size, it waits until the new ones are many,
    and goes over all of them then: 109,000 after 40 s of a busy company, for 60 to 80 ms. So it is
    told when, by the clock. Where objects that are more are many all the same, they come with a
    start, a reload or a backlog, and are left alone.

    All is looked at only if there are half as many objects again as after ten minutes, or as when
    it was last looked at: 200 ms for a million, and little compared with running out of memory,
    were there cycles that nobody knows of.
    """
    most = float("inf")
    for turn in count(1):
        await asyncio.sleep(_TURN_SECONDS)
        if gc.get_count()[0] > _MANY:
            leave_alone()
        if turn % _TURNS_BETWEEN_PASSES:
            continue
        gc.collect(1)
        if sys.getallocatedblocks() > most:
            _go_over_all()
            most = _GROWTH * sys.getallocatedblocks()
        elif turn >= _TURNS_UNTIL_SETTLED and most == float("inf"):
            most = _GROWTH * sys.getallocatedblocks()


def let_go(error: BaseException) -> None:
    """
    Let go of what was on its way when *error*, and those that led to it, were raised.

    An error knows the calls that it ended, and these all that they were about. If among that is
    somebody who keeps the error, that is a cycle; while Admin is away it is one with each poll.
    Where it came from cannot be told any more: a bug is logged before.
    """
    links, known = [error], set[int]()
    while links:
        link = links.pop()
        if id(link) in known:
            continue
        known.add(id(link))
        links += [other for other in (link.__cause__, link.__context__) if other is not None]
        link.__traceback__ = None
        # Of an error that several callers got, this is whatever one of them was about.
        link.__context__ = None


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
    except asyncio.CancelledError as error:
        let_go(error)
        raise
