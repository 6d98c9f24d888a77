"""
Reading a list of executions in slices that nothing can shift.

Admin pages by row offset: a row that enters or leaves the list between two pages moves all behind
it, and one of them is never seen. So the next page is asked for by the creation time that the last
one ended with, and never by offset. The price is that a row may come twice, which costs nothing.

One instant may hold more rows than a page. Then, and only then, offsets are used: within that
instant, in order of insertion, where a new row can only come last.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from exporter.admin import query
from exporter.admin.columns import Page
from exporter.admin.errors import nonsense
from exporter.admin.query import Query
from exporter.model.executions import TERMINAL, Execution, ExecutionId
from exporter.model.time import EPOCH, Micros

_TURNS_TO_LEAVE = 3
_ID = itemgetter(Execution._fields.index("id"))
_CREATED_AT = itemgetter(ExecutionId._fields.index("created_at"))

Ask = Callable[[Query, str], Awaitable[Page]]
"""Asks Admin for one page of a query, from a token on."""


class Position(NamedTuple):
    """Where a list goes on."""

    instant: Micros
    inclusive: bool = True
    """Whether rows of that very instant are still wanted."""

    @property
    def earliest(self) -> Micros:
        """The earliest creation time of a row that is still wanted."""
        return self.instant if self.inclusive else Micros(self.instant + 1)


BEGINNING = Position(EPOCH)


class Slice(NamedTuple):
    """Part of a list that is complete up to `following`; that is None at the end of the list."""

    rows: list[Execution]
    following: Position | None
    newest: Micros | None = None
    """The newest creation time in it that is not in the future; None when there is none."""
    as_of: Micros = EPOCH
    """What Admin's clock showed at least when this was read."""


class Received(NamedTuple):
    """A slice as it arrived: not decoded yet, but where the list goes on is known."""

    position: Position
    pages: list[Page]
    following: Position | None
    live_only: bool
    asked_at: Micros = EPOCH
    """What Admin's clock showed at least when it was asked for."""


def newest(rows: Sequence[Execution], now: Micros) -> Micros | None:
    """Return the newest creation time in *rows*, which are in order, that is not after *now*."""
    return next((row.id.created_at for row in reversed(rows) if row.id.created_at <= now), None)


async def receive(
    ask: Ask, position: Position, *, subject: str, live_only: bool = False
) -> Received:
    """
    Ask for one slice.

    Args:
        ask: How to ask Admin.
        position: Where to begin.
        subject: Whose list it is, for errors.
        live_only: List only executions in a non-terminal phase.

    Raises:
        AdminError: Admin did not answer, or with what cannot be.
    """
    since = query.created_from if position.inclusive else query.created_after
    page = await ask(since(position.instant, live_only=live_only), "")
    if not page.token or not len(page):
        return Received(position, [page], None, live_only)
    if page.first_created != page.last_created:
        return Received(position, [page], Position(page.last_created), live_only)
    _insist_on_order(page.executions, position, subject)
    pages = await _drain(ask, page.last_created)
    return Received(position, pages, Position(page.last_created, inclusive=False), live_only)


def read(received: Received, *, subject: str) -> Slice:
    """
    Decode what was received.

    Raises:
        AdminError: A row is nonsense, or they are not in order.
    """
    rows = list(chain.from_iterable(page.executions for page in received.pages))
    _insist_on_order(rows, received.position, subject)
    if received.live_only:
        # Of an instant that had to be drained, all was listed.
        rows = [row for row in rows if row.phase not in TERMINAL]
    return Slice(rows, received.following, as_of=received.asked_at)


async def slices(
    receive: Callable[[Position], Awaitable[Received]],
    read: Callable[[Received], Slice],
    position: Position,
) -> AsyncGenerator[Slice, None]:
    """
    Yield a whole list, slice by slice.

    While one slice is decoded and the caller works on it, the next is on its way: where it begins
    is known without either.
    """
    received = await receive(position)
    while received.following is not None:
        ahead = asyncio.ensure_future(receive(received.following))
        try:
            # A few turns of the loop, so that the request leaves before we are busy: each task on
            # its way to the socket takes one.
            for _ in range(_TURNS_TO_LEAVE):
                await asyncio.sleep(0)
            yield read(received)
            received = await ahead
        finally:
            ahead.cancel()
            # Whether it failed concerns nobody any more where the caller has given up.
            await asyncio.wait([ahead])
            with suppress(asyncio.CancelledError):
                # A task lets go of the error that ended it when it is asked for it.
                ahead.exception()
    yield read(received)


async def _drain(ask: Ask, instant: Micros) -> list[Page]:
    """
    Read all that was created at *instant*, live or not.

    By offsets, so nothing may leave the list meanwhile; and from a list of live ones, rows do.
    """
    asked = query.created_at(instant)
    pages: list[Page] = []
    token = ""
    while True:
        page = await ask(asked, token)
        pages.append(page)
        token = page.token
        if not token or not len(page):
            return pages


def _insist_on_order(rows: list[Execution], position: Position, subject: str) -> None:
    # A server that ignores the sort would have us skip rows, or ask for the same ones for ever.
    created = [position.instant, *map(_CREATED_AT, map(_ID, rows))]
    if created != sorted(created):
        raise nonsense("ListExecutions", subject, "rows that are not in order of their creation")
