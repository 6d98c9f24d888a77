"""
One target's questions to Admin: how many rows at once, and how long to wait for them.

Every question of a poll is asked here, so here is what holds for all of them: none outlasts the
poll, a page that is too large is asked for again with fewer rows, and what rows tell of Admin's
clock is passed on to the fleet.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.columns import Page
from exporter.admin.errors import AdminError, MessageTooLarge, NotFound, RowTooLarge
from exporter.admin.paging import PageSize
from exporter.admin.query import Query
from exporter.config.settings import ScrapeSettings
from exporter.metrics.process import Process
from exporter.model.clock import Clock
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.model.time import EPOCH, rfc3339
from exporter.scrape.fleet import Fleet
from exporter.scrape.listing import Position, Received, Slice, newest, read, receive
from exporter.telemetry.log import get_logger

LEAST_TIMEOUT = timedelta(milliseconds=50).total_seconds()
"""A call that has less time than this is not worth beginning."""

log = get_logger(__name__)


class PollTimeout(Exception):
    """The poll used up its time; what was committed until then stays, the next poll goes on."""


class Inquiry:
    """
    Asks about one target.

    Attributes:
        heard_at: When Admin last answered, by the monotonic clock.
    """

    def __init__(
        self,
        target: Target,
        *,
        admin: AdminClient,
        fleet: Fleet,
        clock: Clock,
        process: Process,
        settings: ScrapeSettings,
    ) -> None:
        self.heard_at = float("-inf")
        self._target = target
        self._admin = admin
        self._fleet = fleet
        self._clock = clock
        self._process = process
        self._budget = settings.poll_timeout
        self._deadline = float("inf")
        self._pages = Counter[str]()
        # Each step its own: one huge row among the new ones must not have the live set asked for
        # one by one.
        self._sizes = defaultdict[str, PageSize](lambda: PageSize(settings.page_size))

    def begin(self, *, hurry: bool = True) -> None:
        """Give the poll that begins now its time; all the time that it takes when in no *hurry*."""
        seconds = self._budget.total_seconds() if hurry else float("inf")
        self._deadline = self._clock.monotonic() + seconds
        self._pages.clear()

    @property
    def remaining(self) -> float:
        """Part of the poll's time that is left, from 1 down to 0 and below."""
        return self._remaining() / self._budget.total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether there is no time for another question."""
        return self._remaining() < LEAST_TIMEOUT

    def late(self) -> PollTimeout:
        """Return the error for a poll that has no time left."""
        return PollTimeout(
            f"Poll of {self._target} took longer than scrape.poll_timeout ({self._budget}); the"
            " next one goes on where it ended."
        )

    async def receive(self, position: Position, *, step: str, live_only: bool = False) -> Received:
        """Ask for one slice of the list that *step* reads; `read` decodes it."""
        asked_at = self._fleet.clock(self._clock.now(), self._clock.monotonic())
        try:
            received = await receive(
                partial(self._page, step=step),
                position,
                subject=str(self._target),
                live_only=live_only,
            )
        except MessageTooLarge as error:
            raise RowTooLarge(
                method="ListExecutions",
                subject=str(self._target),
                which=f"the first execution created at or after {rfc3339(position.instant)}",
            ) from error
        return received._replace(asked_at=asked_at or EPOCH)

    def read(self, received: Received) -> Slice:
        """Decode a slice, and learn from it how far Admin's clock has come."""
        part = read(received, subject=str(self._target))
        latest = newest(part.rows, self._clock.now())
        if latest is None:
            return part
        self._fleet.note(latest, self._clock.monotonic())
        # That this row was there already dates the answer, too.
        return part._replace(newest=latest, as_of=max(part.as_of, latest))

    async def slice(self, position: Position, *, step: str, live_only: bool = False) -> Slice:
        """Ask for one slice and decode it."""
        return self.read(await self.receive(position, step=step, live_only=live_only))

    async def named(self, names: Sequence[str]) -> tuple[int, Sequence[Execution]]:
        """
        Ask for executions by their names, for as many of the first of *names* as fit one page.

        Returns:
            How many of the names were asked for, and the rows that there are of them.
        """
        size = self._sizes["live"]
        while True:
            chunk = names[: size.rows]
            try:
                page = await self._list(query.named(chunk), "", "live", limit=len(chunk))
            except MessageTooLarge as error:
                if len(chunk) == 1:
                    raise self._row_too_large("ListExecutions", chunk[0]) from error
                self._halve(size, len(chunk))
                continue
            if len(chunk) == size.rows:
                size.fitted()
            return len(chunk), page.executions

    async def get(self, name: str) -> Execution | None:
        """Ask for one execution; None when Admin has none of that name."""
        try:
            row = await self._admin.get_execution(self._target, name, timeout=self._timeout())
        except NotFound:
            row = None
        except MessageTooLarge as error:
            raise self._row_too_large("GetExecution", name) from error
        except AdminError as error:
            self._insist_on_time(error)
            raise
        else:
            self._process.rows_read(step="live", rows=1)
        self.heard_at = self._clock.monotonic()
        return row

    async def _page(self, asked: Query, token: str, *, step: str) -> Page:
        """Ask for one page, a smaller one where a page is more than we can receive."""
        size = self._sizes[step]
        while True:
            try:
                page = await self._list(asked, token, step, limit=size.rows)
            except MessageTooLarge:
                if size.rows == 1:
                    raise
                self._halve(size, size.rows)
                continue
            if page.token:
                size.fitted()
            return page

    async def _list(self, asked: Query, token: str, step: str, *, limit: int) -> Page:
        self._pages[step] += 1
        try:
            page = await self._admin.list_executions(
                self._target,
                asked,
                limit=limit,
                timeout=self._timeout(),
                token=token,
                page=self._pages[step],
            )
        except AdminError as error:
            self._insist_on_time(error)
            raise
        self._process.rows_read(step=step, rows=len(page))
        self.heard_at = self._clock.monotonic()
        return page

    def _halve(self, size: PageSize, rows: int) -> None:
        size.too_large(rows)
        log.info("page too large, halved", **self._target._asdict(), page_size=size.rows)

    def _row_too_large(self, method: str, name: str) -> RowTooLarge:
        return RowTooLarge(
            method=method, subject=str(self._target), which=f"the execution {name!r}"
        )

    # Time

    def _remaining(self) -> float:
        return self._deadline - self._clock.monotonic()

    def _timeout(self) -> float:
        remaining = self._remaining()
        if remaining < LEAST_TIMEOUT:
            raise self.late()
        return min(remaining, self._budget.total_seconds())

    def _insist_on_time(self, error: AdminError) -> None:
        """Say so where a call ended because the poll's time did."""
        if error.code == "DEADLINE_EXCEEDED" and self.is_over:
            raise self.late() from error
