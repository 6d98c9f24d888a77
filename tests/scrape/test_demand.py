"""Whether the timetable fits the limit on calls is known before anything is late."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import AdminSettings, DiscoverySettings, ScrapeSettings
from exporter.model.time import parse_duration
from exporter.scrape.demand import demand, remedy, warning


def admin(rate: float) -> AdminSettings:
    """Return the settings of a client that makes *rate* calls in a second."""
    return AdminSettings(endpoint="flyteadmin:81", rate_limit=rate)


DISCOVERY = DiscoverySettings()


def test_an_idle_target_costs_two_calls_a_poll_and_two_a_reconcile() -> None:
    """600 targets at the defaults: 40 calls/s for polls, 2 for reconciles, 2 for launch plans."""
    assert demand(600, ScrapeSettings(), DISCOVERY) == pytest.approx(44)
    assert demand(0, ScrapeSettings(), DISCOVERY) == 0


def test_what_fits_is_no_news() -> None:
    """The defaults carry 600 targets, right up to the limit."""
    assert warning(600, ScrapeSettings(), DISCOVERY, admin(50.0)) == ""
    assert warning(600, ScrapeSettings(), DISCOVERY, admin(44.0)) == ""


def test_what_does_not_fit_says_by_how_much_and_what_to_set() -> None:
    """Both numbers, and the least value of either setting that makes room."""
    assert warning(1000, ScrapeSettings(), DISCOVERY, admin(50.0)) == (
        "1000 targets need 73.3 calls/s, but admin.rate_limit allows 50"
    )
    assert remedy(1000, ScrapeSettings(), DISCOVERY, admin(50.0)) == (
        'set admin.rate_limit: "74/s", or scrape.interval: "47s"'
    )
    assert warning(1, ScrapeSettings(), DISCOVERY, admin(0.02)).startswith(
        "1 target needs 0.0733 calls/s, but"
    )


@given(
    # So many that the rate they need is one that can be set.
    targets=st.integers(min_value=1, max_value=4_000),
    interval=st.integers(min_value=1, max_value=600),
    reconcile=st.integers(min_value=600, max_value=7_200),
    discovery=st.integers(min_value=60, max_value=7_200),
    rate=st.floats(min_value=1 / 60, max_value=1_000),
)
@settings(deadline=None)
def test_whoever_does_as_told_is_not_told_again(
    targets: int, interval: int, reconcile: int, discovery: int, rate: float
) -> None:
    """Each of the values that are named is enough by itself, and is one that can be set."""
    scrape = ScrapeSettings(
        interval=timedelta(seconds=interval), reconcile_interval=timedelta(seconds=reconcile)
    )
    inventory = DiscoverySettings(interval=timedelta(seconds=discovery))
    told = remedy(targets, scrape, inventory, admin(rate))
    raised = re.search(r'admin.rate_limit: "(\d+)/s"', told)
    assert raised
    assert warning(targets, scrape, inventory, admin(float(raised[1]))) == ""
    if longer := re.search(r'scrape.interval: "(\w+)"', told):
        slower = ScrapeSettings(
            interval=parse_duration(longer[1]), reconcile_interval=scrape.reconcile_interval
        )
        assert warning(targets, slower, inventory, admin(rate * (1 + 1e-9))) == ""
