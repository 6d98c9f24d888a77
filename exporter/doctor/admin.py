"""Admin is asked what an exporter will ask it, and only little of that."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError, MessageTooLarge
from exporter.admin.query import Query
from exporter.config.settings import Settings
from exporter.doctor import judgement
from exporter.doctor.finding import Finding
from exporter.doctor.judgement import Asked
from exporter.model.clock import Clock
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.model.time import EPOCH, Micros, micros
from exporter.scrape import demand
from exporter.scrape.discovery import wanted

_REACHES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""
How far back the newest execution is looked for, one after the other.

Rows come oldest first, and a page at a time: the shorter the window, the nearer its last row.
"""

_NEWEST_ROWS = 100
"""Rows of a page in which the newest is looked for: small enough for any message limit."""

_DOMAINS_SHARE = 0.3
"""Part of a check's time that may go to the names of domains, which can be had otherwise."""

_UNTOLD = {"PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"}
"""How an old Admin, or a proxy, refuses a call that it does not know."""


class _Seen(NamedTuple):
    """The newest execution of a target."""

    created_at: Micros
    execution: Execution
    target: Target


class AdminChecks:
    """
    Checks that ask Admin; the later ones use what the earlier ones have learned.

    Args:
        patience: Seconds for each call: less than a check has, so that it can tell what came of it.
    """

    def __init__(
        self, client: AdminClient, settings: Settings, *, clock: Clock, patience: float
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._patience = patience
        self._included: Sequence[Target] = ()
        self._listed: Sequence[Target] = ()
        """One target of each domain that could be listed."""

    async def version(self) -> Finding:
        """Check that somebody answers who speaks Admin's language."""
        began = self._clock.monotonic()
        try:
            answer = await self._client.get_version(timeout=self._patience)
        except AdminError as error:
            if error.code in _UNTOLD:
                return judgement.version_untold(error.code)
            return self._refused("GetVersion", began, error)
        return judgement.version(answer)

    async def projects(self) -> Finding:
        """Check that projects can be listed, and that there is something to scrape."""
        began = self._clock.monotonic()
        try:
            found = await self._client.list_targets(timeout=self._patience)
        except AdminError as error:
            return self._refused("ListProjects", began, error)
        discovery = self._settings.discovery
        self._included = [target for target in found if wanted(target, discovery)]
        return judgement.projects(found, discovery)

    async def executions(self) -> Finding:
        """Check that executions can be listed, in one target of each domain."""
        if not self._included:
            return Finding.skip("no target is included by discovery")
        window = micros(self._settings.scrape.reconcile_window)
        asked = query.created_from(Micros(self._clock.now() - window))
        answers = await self._each(await self._samples(), asked, limit=1)
        self._listed = [one.target for one in answers if one.error is None]
        return judgement.executions(answers)

    async def clocks(self) -> Finding:
        """Check our clock against the dates that Admin gave to executions."""
        if not self._listed:
            return Finding.skip("no target could be listed")
        began = self._clock.monotonic()
        try:
            newest = await self._newest()
        except AdminError as error:
            return self._refused("ListExecutions", began, error)
        return judgement.clocks(
            newest.execution if newest else None,
            of=newest.target if newest else None,
            now=self._clock.now(),
            reach=_REACHES[-1].total_seconds(),
        )

    async def phase_index(self) -> Finding:
        """Check how quickly Admin finds the live executions among all."""
        if not self._listed:
            return Finding.skip("no target could be listed")
        asked = query.created_from(EPOCH, live_only=True)
        limit = self._settings.scrape.page_size
        answers = await self._each(self._listed, asked, limit=limit)
        return judgement.phase_index(answers)

    async def demand(self) -> Finding:
        """Check that the timetable fits the limit on calls."""
        settings, targets = self._settings, len(self._included)
        scrape, discovery, admin = settings.scrape, settings.discovery, settings.admin
        if problem := demand.warning(targets, scrape, discovery, admin):
            fix = demand.remedy(targets, scrape, discovery, admin)
            return Finding.warn(f"{problem}: polls will be late", fix=fix)
        return Finding.ok(
            f"{demand.demand(targets, scrape, discovery):.3g} calls/s while nothing happens, of"
            f" {admin.rate_limit:.3g} that admin.rate_limit allows"
        )

    async def _samples(self) -> Sequence[Target]:
        """Return the first included target of each domain."""
        order: Sequence[str] = ()
        # Where Admin does not tell, the targets do: every one has a domain.
        with suppress(AdminError):
            order = await self._client.list_domains(timeout=self._patience * _DOMAINS_SHARE)
        first: dict[str, Target] = {}
        for target in self._included:
            first.setdefault(target.domain, target)
        domains = [domain for domain in order if domain in first]
        return [first[domain] for domain in dict.fromkeys([*domains, *first])]

    async def _each(self, targets: Sequence[Target], asked: Query, *, limit: int) -> list[Asked]:
        """Ask about all *targets* at once; a page that is too large has been served, too."""

        async def ask(target: Target) -> Asked:
            began = self._clock.monotonic()
            error: AdminError | None = None
            try:
                with suppress(MessageTooLarge):
                    await self._list(target, asked, limit=limit)
            except AdminError as refusal:
                error = refusal
            return Asked(target, self._clock.monotonic() - began, error)

        return await asyncio.gather(*map(ask, targets))

    async def _newest(self) -> _Seen | None:
        """Return the newest execution that can be found in a few calls."""
        tolerance = micros(timedelta(seconds=1))
        ahead = query.created_after(Micros(self._clock.now() + tolerance))
        if newest := await self._last(ahead):
            return newest
        for reach in _REACHES:
            since = Micros(self._clock.now() - micros(reach))
            if newest := await self._last(query.created_from(since)):
                return newest
        return None

    async def _last(self, asked: Query) -> _Seen | None:
        pages = await asyncio.gather(
            *(self._list(target, asked, limit=_NEWEST_ROWS) for target in self._listed)
        )
        seen = [
            _Seen(rows[-1].id.created_at, rows[-1], target)
            for target, rows in zip(self._listed, pages, strict=True)
            if rows
        ]
        return max(seen, default=None, key=lambda one: one.created_at)

    async def _list(self, target: Target, asked: Query, *, limit: int) -> Sequence[Execution]:
        page = await self._client.list_executions(
            target, asked, limit=limit, timeout=self._patience
        )
        return page.executions

    def _refused(self, method: str, began: float, error: AdminError) -> Finding:
        return judgement.refused(
            method,
            self._clock.monotonic() - began,
            error,
            insecure=self._settings.admin.insecure,
        )
