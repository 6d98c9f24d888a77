"""
Which targets there are, and from when on each one counts.

A target that was not there at the last complete discovery counts from that one on: all it has was
launched since. One that was there but not wanted, because the configuration has changed, is primed
like everything at a cold start. One that is missing may be a hiccup; two misses in a row and it
goes, keeping its counters and its place, should it come back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from exporter.config.settings import DiscoverySettings
from exporter.ledger.records import DiscoveredRow, Discovery
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.model.time import Micros, micros
from exporter.scrape.patterns import names_target

_GONE_AFTER = 2
"""Complete discoveries in a row that miss a target before it goes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What a complete discovery comes to.

    Attributes:
        targets: Those to scrape, in the order in which Admin named them, then those missed once.
        discovery: What to remember.
        begun: Targets that are new to us and where they count from; None has them primed.
    """

    targets: tuple[Target, ...]
    discovery: Discovery
    begun: Mapping[Target, Progress | None]


def wanted(target: Target, settings: DiscoverySettings) -> bool:
    """Whether the configuration's globs have *target* scraped."""

    def matches(patterns: Iterable[str]) -> bool:
        return any(names_target(pattern, target) for pattern in patterns)

    return matches(settings.include) and not matches(settings.exclude)


def known(before: Discovery | None, settings: DiscoverySettings) -> list[Target]:
    """Return the targets to scrape until the next discovery, as far as *before* knew of them."""
    return [
        target
        for target, row in (before.rows.items() if before else ())
        if row.included and wanted(target, settings)
    ]


def decide(
    before: Discovery | None,
    found: Iterable[Target],
    *,
    want: Callable[[Target], bool],
    at: Micros,
) -> Decision:
    """
    Work out what *found* means.

    Args:
        before: The last complete discovery; None when there was none.
        found: Every target that Admin named.
        want: Says whether a target is to be scraped.
        at: A moment, by Admin's clock, not after this discovery.
    """
    rows = {target: DiscoveredRow(want(target), 0) for target in found}
    begun: dict[Target, Progress | None] = {}
    for target, row in rows.items():
        if not row.included:
            continue
        prior = before.rows.get(target) if before else None
        if before is None or (prior is not None and not prior.included):
            begun[target] = None
        elif prior is None:
            begun[target] = Progress(before.at, before.at, before.at)
    for target, prior in before.rows.items() if before else ():
        if target not in rows and prior.misses + 1 < _GONE_AFTER:
            rows[target] = DiscoveredRow(prior.included and want(target), prior.misses + 1)
    return Decision(
        targets=tuple(target for target, row in rows.items() if row.included),
        discovery=Discovery(at, rows),
        begun=begun,
    )


def moment(newest: Micros | None, now: Micros, margin: timedelta) -> Micros:
    """
    Return a moment that Admin's clock has certainly passed.

    Args:
        newest: Newest creation time seen; None when nothing was seen yet.
        now: Our clock, which may be ahead by up to *margin*.
        margin: How far back to go when there is nothing better.
    """
    return Micros(now - micros(margin)) if newest is None else min(newest, now)
