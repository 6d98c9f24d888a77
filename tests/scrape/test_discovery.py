"""Which targets there are, and from when on each counts."""

from datetime import timedelta

from exporter.config.settings import DiscoverySettings
from exporter.ledger.records import DiscoveredRow, Discovery
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.model.time import Micros
from exporter.scrape.discovery import Decision, decide, moment, wanted

A, B, C = Target("a", "production"), Target("b", "production"), Target("c", "staging")
BEFORE, NOW = Micros(1_000_000), Micros(2_000_000)


def decided(before: dict[Target, DiscoveredRow] | None, *found: Target) -> Decision:
    """Decide on *found*, with everything wanted but staging."""
    known = None if before is None else Discovery(BEFORE, before)
    return decide(known, found, want=lambda t: t.domain != "staging", at=NOW)


def test_everything_is_primed_at_a_cold_start() -> None:
    """Without an earlier discovery nobody can tell old from new: all is primed."""
    decision = decided(None, A, C)
    assert decision.targets == (A,)
    assert decision.begun == {A: None}
    assert decision.discovery == Discovery(
        NOW, {A: DiscoveredRow(included=True, misses=0), C: DiscoveredRow(included=False, misses=0)}
    )


def test_new_target_counts_from_the_last_discovery() -> None:
    """What was not there last time was created since: all that it has counts."""
    decision = decided({A: DiscoveredRow(included=True, misses=0)}, A, B)
    assert decision.begun == {B: Progress(BEFORE, BEFORE, BEFORE)}


def test_newly_wanted_target_is_primed() -> None:
    """What was there and not wanted has a past that is nobody's business."""
    decision = decided({A: DiscoveredRow(included=False, misses=0)}, A)
    assert decision.begun == {A: None}


def test_known_target_goes_on() -> None:
    """A restart is no reason to begin anything."""
    assert decided({A: DiscoveredRow(included=True, misses=0)}, A).begun == {}


def test_one_miss_is_a_hiccup_and_two_are_not() -> None:
    """A target goes when two complete discoveries in a row miss it."""
    once = decided({A: DiscoveredRow(included=True, misses=0)})
    assert once.targets == (A,)
    twice = decide(once.discovery, (), want=lambda _: True, at=NOW)
    assert twice.targets == ()
    assert twice.discovery.rows == {}


def test_target_that_is_seen_again_has_no_misses() -> None:
    """Misses count only in a row."""
    back = decided({A: DiscoveredRow(included=True, misses=1)}, A)
    assert back.discovery.rows[A].misses == 0
    assert back.begun == {}


def test_globs_choose_projects_and_domains() -> None:
    """Patterns match both halves, in the right case; exclude wins."""
    settings = DiscoverySettings(include=("*/production", "ml*/*"), exclude=("mlops/*",))
    assert wanted(Target("etl", "production"), settings)
    assert wanted(Target("ml", "staging"), settings)
    assert not wanted(Target("etl", "staging"), settings)
    assert not wanted(Target("mlops", "production"), settings)
    assert not wanted(Target("ML", "staging"), settings)


def test_moment_trusts_admins_clock_before_ours() -> None:
    """Where nothing was seen yet, our own clock is taken with a margin."""
    assert moment(Micros(5), Micros(9), timedelta(seconds=1)) == 5
    assert moment(Micros(9), Micros(5), timedelta(seconds=1)) == 5
    assert moment(None, NOW, timedelta(seconds=1)) == NOW - 1_000_000
