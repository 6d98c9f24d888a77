"""
Stretches of history that no longer change, on whatever Admin this is.

Rows may appear late, but hardly later than Admin waits for Kubernetes; so what was created some
minutes ago is complete. Executions in it may still change their phase, and be archived.
"""

from datetime import timedelta
from typing import NamedTuple

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.columns import Page
from exporter.admin.query import Query
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.model.time import Micros, micros, rfc3339
from exporter.scrape import listing
from exporter.scrape.listing import BEGINNING, Position

SECONDS = 10.0
"""Deadline of every call."""

_REACHES = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How far back to look, one after the other. Beyond a day a list costs Admin seconds."""
_SETTLED = timedelta(minutes=2)
_TARGETS = 60
"""How many targets are looked at; an Admin may have hundreds."""
_WANTED = 3
_ROWS = 100
"""Of one sample at most; some tests ask for each row by itself."""


class Sample(NamedTuple):
    """What was created in a target from *since* on and before *until*."""

    target: Target
    since: Micros
    until: Micros

    @property
    def all_at_once(self) -> Query:
        """The filter for it that needs no paging, in order of insertion."""
        return Query(
            f"gte(execution_created_at,{rfc3339(self.since)})"
            f"+lt(execution_created_at,{rfc3339(self.until)})+value_in(state,0;1)",
            sort_key="id",
        )


async def find_samples(client: AdminClient, *, now: Micros) -> list[Sample]:
    """Return samples of a few targets, the busiest first; none where nothing was launched."""
    targets = (await client.list_targets(timeout=SECONDS))[:_TARGETS]
    found: list[tuple[float, Sample]] = []
    for reach in _REACHES:
        since = Micros(now - micros(reach))
        looks = [await _look(client, target, since, now) for target in targets]
        found = [look for look in looks if look is not None]
        if len(found) >= _WANTED:
            break
    found.sort(reverse=True)
    return [sample for _, sample in found[:_WANTED]]


async def _look(
    client: AdminClient, target: Target, since: Micros, now: Micros
) -> tuple[float, Sample] | None:
    """Return how busy *target* was, and a sample of it; None where there are no rows."""
    page = await client.list_executions(
        target, query.created_from(since), limit=_ROWS + 1, timeout=SECONDS
    )
    until = Micros(now - micros(_SETTLED))
    if len(page.executions) > _ROWS:
        until = min(until, page.executions[-1].id.created_at)
    count = sum(row.id.created_at < until for row in page.executions)
    return (count / (until - since), Sample(target, since, until)) if count else None


async def read(
    client: AdminClient,
    target: Target,
    *,
    since: Micros | None = None,
    until: Micros | None = None,
    limit: int = 500,
    live_only: bool = False,
) -> list[Execution]:
    """Read a list slice by slice, with pages of *limit*; rows may come twice."""

    async def ask(asked: Query, token: str) -> Page:
        return await client.list_executions(
            target, asked, limit=limit, timeout=SECONDS, token=token
        )

    rows: list[Execution] = []
    following: Position | None = BEGINNING if since is None else Position(since)
    while following is not None and (until is None or following.instant < until):
        received = await listing.receive(ask, following, subject=str(target), live_only=live_only)
        part = listing.read(received, subject=str(target))
        rows += part.rows
        following = part.following
    return [row for row in rows if until is None or row.id.created_at < until]
