"""How many calls the timetable asks of Admin, against how many we allow ourselves."""

import math
from datetime import timedelta

from exporter.config.settings import AdminSettings, DiscoverySettings, ScrapeSettings
from exporter.model.time import format_duration

_CALLS = 2
"""
What an idle target costs in a poll (what is new, and the live set), and again in a reconcile (the
live ones, and the window). A busy one costs a call more for each page.
"""


_INVENTORY = 1
"""What its launch plans cost in a `discovery.interval`; a call more where there are many."""


def demand(targets: int, scrape: ScrapeSettings, discovery: DiscoverySettings) -> float:
    """Return the calls in a second that *targets* need while nothing happens in them."""
    return _in(scrape.interval, targets) + _beside_polls(targets, scrape, discovery)


def warning(
    targets: int, scrape: ScrapeSettings, discovery: DiscoverySettings, admin: AdminSettings
) -> str:
    """Return what is wrong when *targets* need more calls than we allow; empty when they do not."""
    needed = demand(targets, scrape, discovery)
    if needed <= admin.rate_limit:
        return ""
    noun = "target needs" if targets == 1 else "targets need"
    return (
        f"{targets} {noun} {needed:.3g} calls/s, but admin.rate_limit allows {admin.rate_limit:.3g}"
    )


def remedy(
    targets: int, scrape: ScrapeSettings, discovery: DiscoverySettings, admin: AdminSettings
) -> str:
    """Return which setting makes room for *targets*, with its least value."""
    more = f'set admin.rate_limit: "{math.ceil(demand(targets, scrape, discovery))}/s"'
    left = admin.rate_limit - _beside_polls(targets, scrape, discovery)
    if left <= 0:
        return more
    longer = timedelta(seconds=math.ceil(targets * _CALLS / left))
    # A poll less often than a reconcile is not allowed.
    if longer > scrape.reconcile_interval:
        return more
    return f'{more}, or scrape.interval: "{format_duration(longer)}"'


def _beside_polls(targets: int, scrape: ScrapeSettings, discovery: DiscoverySettings) -> float:
    return _in(scrape.reconcile_interval, targets) + _in(discovery.interval, targets, _INVENTORY)


def _in(interval: timedelta, targets: int, calls: int = _CALLS) -> float:
    return targets * calls / interval.total_seconds()
