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
from typing import NamedTuple, Self

from exporter.admin import query
from exporter.admin.client import Page
from exporter.admin.errors import nonsense
from exporter.admin.query import Query
from exporter.model.executions import TERMINAL, Execution
from exporter.model.time import EPOCH, Micros

_TURNS_TO_LEAVE = 4

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


class Frontier(NamedTuple):
    """
    How far a list of what is new has come, over as many polls as it takes.

    Rows come late, by up to the overlap. So there are two ends: what was listed, and what was
    listed when it was older than the overlap. Between them a row may still come; and when the list
    took longer than the overlap, no later list would begin there by itself.
    """

    position: Position | None
    """Where the list goes on; None when it is over."""
    settled: Micros
    """All that was created before this has been listed late enough."""
    again: bool = False
    """Whether the list, once at its end, goes back to what was not settled."""

    @classmethod
    def at(cls, instant: Micros) -> Self:
        """Begin a list at *instant*, before which nothing is awaited."""
        return cls(Position(instant), instant)

    def resumed(self) -> Self:
        """Return the frontier of a poll that goes on where an earlier one was cut off."""
        behind = self.position is not None and self.settled < self.position.earliest
        return self._replace(again=behind)

    def after(self, part: Slice, overlap: int) -> Self:
        """Return the frontier once *part* is read, which began at this one's position."""
        settled = self.settled
        if self.position is not None and self.position.earliest <= settled:
            old = max(settled, Micros(part.as_of - overlap))
            settled = old if part.following is None else min(old, part.following.earliest)
        if part.following is None and self.again:
            return self._replace(position=Position(settled), settled=settled, again=False)
        return self._replace(position=part.following, settled=settled)


def newest(rows: Sequence[Execution], now: Micros) -> Micros | None:
    """Return the newest creation time in *rows*, which are in order, that is not after *now*."""
    return next((row.id.created_at for row in reversed(rows) if row.id.created_at <= now), None)


async def read_slice(
    ask: Ask, position: Position, *, subject: str, live_only: bool = False
) -> Slice:
    """
    Read one slice.

    Args:
        ask: How to ask Admin.
        position: Where to begin.
        subject: Whose list it is, for errors.
        live_only: List only executions in a non-terminal phase.

    Raises:
        AdminError: Admin did not answer, or not in order.
    """
    since = query.created_from if position.inclusive else query.created_after
    page = await ask(since(position.instant, live_only=live_only), "")
    rows = page.executions
    _insist_on_order(rows, position, subject)
    if not page.token or not rows:
        return Slice(rows, None)
    last = rows[-1].id.created_at
    if rows[0].id.created_at != last:
        return Slice(rows, Position(last))
    rows = await _drain(ask, last)
    if live_only:
        rows = [row for row in rows if row.phase not in TERMINAL]
    return Slice(rows, Position(last, inclusive=False))


async def slices(
    read: Callable[[Position], Awaitable[Slice]], position: Position
) -> AsyncGenerator[Slice, None]:
    """
    Yield a whole list, slice by slice.

    While the caller works on one slice, the next is on its way: where it begins is known as soon as
    the last row of this one is.
    """
    part = await read(position)
    while part.following is not None:
        ahead = asyncio.ensure_future(read(part.following))
        try:
            # A few turns of the loop, so that the request leaves before the caller is busy: each
            # task on its way to the socket takes one.
            for _ in range(_TURNS_TO_LEAVE):
                await asyncio.sleep(0)
            yield part
            part = await ahead
        finally:
            ahead.cancel()
            # Whether it failed concerns nobody any more where the caller has given up.
            await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()
    yield part


async def _drain(ask: Ask, instant: Micros) -> list[Execution]:
    """
    Read all that was created at *instant*, live or not.

    By offsets, so nothing may leave the list meanwhile; and from a list of live ones, rows do.
    """
    asked = query.created_at(instant)
    rows: list[Execution] = []
    token = ""
    while True:
        page = await ask(asked, token)
        rows += page.executions
        token = page.token
        if not token or not page.executions:
            return rows


def _insist_on_order(rows: list[Execution], position: Position, subject: str) -> None:
    # A server that ignores the sort would have us skip rows, or ask for the same ones for ever.
    created = [position.instant, *(row.id.created_at for row in rows)]
    if created != sorted(created):
        raise nonsense("ListExecutions", subject, "rows that are not in order of their creation")
