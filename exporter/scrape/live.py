"""What became of the executions of one target that were not over when last seen."""

from collections.abc import Awaitable, Callable

from exporter.admin import query
from exporter.admin.errors import RowTooLarge
from exporter.model.executions import Execution, ExecutionId
from exporter.scrape.inquiry import Inquiry

_MOST_ROWS_AT_ONCE = 5_000
"""Rows that gather before they are kept: to digest them takes some 10 ms."""


class Live:
    """Asks for the live set, and knows what it has asked for before."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry
        self._asked: dict[ExecutionId, int] = {}
        self._absent: set[ExecutionId] = set()
        self._too_large: dict[ExecutionId, RowTooLarge] = {}

    @property
    def problem(self) -> RowTooLarge | None:
        """What one of the executions that are too large to be received failed with."""
        return next(iter(self._too_large.values()), None)

    async def refresh(
        self,
        keys: list[ExecutionId],
        *,
        into: list[Execution],
        keep: Callable[[list[Execution]], Awaitable[object]],
        thorough: bool,
    ) -> list[ExecutionId]:
        """
        Ask what became of *keys*, and add the rows *into* those of the poll.

        Of a large live set the rows are given to *keep* as they come in, so that no step of it
        keeps the event loop for long.

        Returns:
            The executions that Admin answered NOT_FOUND for. They are asked for one by one only
            once, and again when *thorough*; those that are too large to be received, likewise.
        """
        if thorough:
            self._too_large.clear()
        keys = [key for key in keys if key not in self._too_large]
        # Those first that were asked about the longest ago: the last polls may have had no time.
        self._asked = {key: self._asked[key] for key in keys if key in self._asked}
        turn = max(self._asked.values(), default=0) + 1
        if self._asked:
            keys.sort(key=lambda key: self._asked.get(key, 0))
        missing = {key for key in keys if not query.is_speakable(key.name)}
        listed = [key for key in keys if key not in missing]
        missing.update(listed)
        start = 0
        while start < len(listed):
            try:
                count, rows = await self._inquiry.named([key.name for key in listed[start:]])
            except RowTooLarge as error:
                # Of this one alone: the others are owed an answer.
                count, rows = 1, ()
                self._too_large[listed[start]] = error
                missing.discard(listed[start])
            into += rows
            missing.difference_update(row.id for row in rows)
            self._asked.update(dict.fromkeys(listed[start : start + count], turn))
            start += count
            if len(into) > _MOST_ROWS_AT_ONCE:
                gathered = [*into]
                into.clear()
                await keep(gathered)
        self._asked.clear()
        return await self._look_for(missing, into=into, thorough=thorough)

    async def _look_for(
        self, missing: set[ExecutionId], *, into: list[Execution], thorough: bool
    ) -> list[ExecutionId]:
        """Ask one by one for executions that no list showed; see `refresh`."""
        self._absent.intersection_update(missing)
        absent: list[ExecutionId] = []
        for key in missing:
            if (key in self._absent and not thorough) or self._inquiry.is_over:
                continue
            try:
                row = await self._inquiry.get(key.name)
            except RowTooLarge as error:
                self._too_large[key] = error
                continue
            if row is not None:
                into.append(row)
            if row is None or row.id != key:
                absent.append(key)
        self._absent.update(absent)
        return absent
