"""How many calls the timetable asks of Admin, against how many we allow ourselves."""

import math
from datetime import timedelta

from exporter.config.settings import AdminSettings, ScrapeSettings
from exporter.model.time import format_duration

_CALLS = 2
"""
What an idle target costs in a poll (what is new, and the live set), and again in a reconcile (the
live ones, and the window). A busy one costs a call more for each page.
"""


def demand(targets: int, settings: ScrapeSettings) -> float:
    """Return the calls in a second that *targets* need while nothing happens in them."""
    return _in(settings.interval, targets) + _in(settings.reconcile_interval, targets)


def warning(targets: int, scrape: ScrapeSettings, admin: AdminSettings) -> str:
    """Return what is wrong when *targets* need more calls than we allow; empty when they do not."""
    needed = demand(targets, scrape)
    if needed <= admin.rate_limit:
        return ""
    noun = "target needs" if targets == 1 else "targets need"
    return (
        f"{targets} {noun} {needed:.3g} calls/s, but admin.rate_limit allows {admin.rate_limit:.3g}"
    )


def remedy(targets: int, scrape: ScrapeSettings, admin: AdminSettings) -> str:
    """Return which setting makes room for *targets*, with its least value."""
    more = f'set admin.rate_limit: "{math.ceil(demand(targets, scrape))}/s"'
    left = admin.rate_limit - _in(scrape.reconcile_interval, targets)
    if left <= 0:
        return more
    longer = timedelta(seconds=math.ceil(targets * _CALLS / left))
    # A poll less often than a reconcile is not allowed.
    if longer > scrape.reconcile_interval:
        return more
    return f'{more}, or scrape.interval: "{format_duration(longer)}"'


def _in(interval: timedelta, targets: int) -> float:
    return targets * _CALLS / interval.total_seconds()
