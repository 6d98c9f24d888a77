"""
Checks, one after the other: each looks for a bounded time, and only where looking makes sense.

When a check fails, those that stand on it would fail as well, with a worse message. They are
skipped, and say which one to mend first.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from exporter.doctor.finding import Finding, Result, Status
from exporter.model.clock import Clock

LIMIT = 10.0
"""Seconds that a check may take: more than a healthy Admin needs, less than a person's patience."""

Look = Callable[[], Awaitable[Finding]]
"""Looks, and says what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One thing to look at.

    Attributes:
        name: As the report shows it; one word.
        look: What to do.
        needs: Names of checks that must not have failed before.
    """

    name: str
    look: Look
    needs: tuple[str, ...] = ()


async def examine(
    checks: Iterable[Check], *, clock: Clock, begins: Callable[[str], None], limit: float = LIMIT
) -> AsyncGenerator[Result, None]:
    """
    Yield the result of each of *checks*, in their order, as soon as it is known.

    Args:
        checks: What to look at; a check comes after those that it needs.
        clock: Measures how long each takes.
        begins: Is told the name of each check before it looks.
        limit: Seconds that each may take.
    """
    causes: dict[str, str] = {}
    for check in checks:
        cause = next((causes[name] for name in check.needs if name in causes), None)
        if cause is not None:
            causes[check.name] = cause
            yield Result(name=check.name, finding=not_tried(cause), seconds=0.0)
            continue
        begins(check.name)
        began = clock.monotonic()
        finding = await _within(limit, check)
        if finding.status is Status.FAIL:
            causes[check.name] = check.name
        yield Result(name=check.name, finding=finding, seconds=clock.monotonic() - began)


def not_tried(cause: str) -> Finding:
    """Return the finding of a check that stands on the failed one called *cause*."""
    return Finding.skip(f"not tried, because {cause} failed")


async def _within(limit: float, check: Check) -> Finding:
    try:
        async with asyncio.timeout(limit):
            return await check.look()
    except TimeoutError:
        return Finding.fail(
            f"no answer within {limit:g} s",
            fix="find out what hangs: a firewall that drops packets, a disk, or a busy server",
        )
