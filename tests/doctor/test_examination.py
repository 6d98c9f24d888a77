"""Checks run in order, for a bounded time, and stand on each other."""

import asyncio
from collections.abc import Iterable

from exporter.doctor.examination import Check, examine
from exporter.doctor.finding import Finding, Status
from exporter.telemetry.clock import SystemClock

_FIX = "mend it"


def finds(finding: Finding, name: str, *needs: str) -> Check:
    """Return a check that finds *finding* at once."""

    async def look() -> Finding:
        return finding

    return Check(name=name, look=look, needs=needs)


async def outcome(checks: Iterable[Check], limit: float = 10.0) -> dict[str, tuple[Status, str]]:
    """Return what each of *checks* came to, in order."""
    results = examine(checks, clock=SystemClock(), begins=lambda _: None, limit=limit)
    return {r.name: (r.finding.status, r.finding.summary) async for r in results}


async def test_what_stands_on_a_failure_is_skipped_and_names_it() -> None:
    """The first one to mend is named, however long the chain; the rest is looked at."""
    checks = [
        finds(Finding.fail("no such name", fix=_FIX), "dns"),
        finds(Finding.ok("open"), "tcp", "dns"),
        finds(Finding.ok("trusted"), "tls", "tcp"),
        finds(Finding.ok("writable"), "ledger"),
    ]
    assert await outcome(checks) == {
        "dns": (Status.FAIL, "no such name"),
        "tcp": (Status.SKIP, "not tried, because dns failed"),
        "tls": (Status.SKIP, "not tried, because dns failed"),
        "ledger": (Status.OK, "writable"),
    }


async def test_only_a_failure_stops_what_stands_on_it() -> None:
    """A check that did not apply, or that warns, is no reason to look no further."""
    checks = [
        finds(Finding.skip("admin.insecure"), "tls"),
        finds(Finding.warn("expires soon", fix=_FIX), "token", "tls"),
        finds(Finding.ok("1.16"), "version", "token"),
    ]
    assert [status for status, _ in (await outcome(checks)).values()] == [
        Status.SKIP,
        Status.WARN,
        Status.OK,
    ]


async def test_a_check_that_hangs_fails_in_time() -> None:
    """It is given up after the limit, and the next one looks."""

    async def hang() -> Finding:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    checks = [Check(name="tcp", look=hang), finds(Finding.ok("free"), "web-port")]
    assert await outcome(checks, limit=0.05) == {
        "tcp": (Status.FAIL, "no answer within 0.05 s"),
        "web-port": (Status.OK, "free"),
    }


async def test_results_come_one_by_one() -> None:
    """Whoever watches is told what is being looked at, and what was found, as it happens."""
    seen: list[str] = []
    checks = [
        finds(Finding.fail("down", fix=_FIX), "dns"),
        finds(Finding.ok("open"), "tcp", "dns"),
        finds(Finding.ok("free"), "web-port"),
    ]
    async for result in examine(
        checks, clock=SystemClock(), begins=lambda name: seen.append(f"begins {name}")
    ):
        assert result.seconds >= 0
        seen.append(result.name)
    assert seen == ["begins dns", "dns", "tcp", "begins web-port", "web-port"]
