"""How many rows to ask for at once: as many as configured, fewer while pages are too large."""

from collections.abc import Awaitable, Callable
from typing import Any

from exporter.admin.errors import MessageTooLarge
from exporter.admin.question import Question

_PATIENCE = 8
"""Full pages that fit, one after the other, before a larger one is tried."""
_MOST_PATIENCE = 512


class PageSize:
    """
    The rows of a page; remembered from one list to the next.

    Halved where a page is over the receive limit. It grows back by doubling, after a number of full
    pages that doubles with every time that this was wrong: a page that does not fit is paid for and
    thrown away, so where all rows are large, they are seldom asked for in vain.

    Attributes:
        rows: How many to ask for now.
    """

    def __init__(self, most: int) -> None:
        """Begin with the *most* that will ever be asked for."""
        self.rows = most
        self._most = most
        self._fitted = 0
        self._patience = _PATIENCE
        self._trying = False

    def fitted(self) -> None:
        """Take note of a full page that could be received."""
        if self._trying:
            self._trying, self._patience = False, _PATIENCE
        self._fitted += 1
        if self.rows < self._most and self._fitted >= self._patience:
            self.rows = min(self._most, self.rows * 2)
            self._fitted = 0
            self._trying = True

    def too_large(self, rows: int) -> None:
        """Take note that a page of *rows*, which is more than one, could not be received."""
        if self._trying:
            self._patience = min(_MOST_PATIENCE, self._patience * 2)
        self.rows = max(1, rows // 2)
        self._fitted = 0
        self._trying = False


async def page_that_fits(
    ask: Callable[[Question], Awaitable[Any]],
    size: PageSize,
    question: Callable[[int], Question],
) -> Any:
    """
    Ask the *question* about so many rows as can be received together; return the answer.

    Raises:
        MessageTooLarge: A single row is too large.
        AdminError: Admin did not answer.
    """
    while True:
        rows = size.rows
        asked = question(rows)
        try:
            answer = await ask(asked)
        except MessageTooLarge:
            if rows == 1:
                raise
            size.too_large(rows)
            continue
        if asked.rows is not None and asked.rows(answer) >= rows:
            size.fitted()
        return answer
