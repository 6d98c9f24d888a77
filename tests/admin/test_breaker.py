"""The breaker opens when nobody is there, lets probes through, and closes on an answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.admin.breaker import Breaker, Change


def opened(now: float = 0.0) -> Breaker:
    """Return a breaker that has just opened at *now*."""
    breaker = Breaker()
    for _ in range(4):
        assert breaker.ended(reached=False, now=now) is Change.NONE
    assert breaker.ended(reached=False, now=now) is Change.OPENED
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    """Four are bad luck; and an answer in between begins the count anew."""
    breaker = Breaker()
    for reached in (False, False, False, False, True, False, False, False, False):
        assert breaker.ended(reached=reached, now=0) is Change.NONE
        assert breaker.admits(0)
    assert breaker.ended(reached=False, now=0) is Change.OPENED
    assert breaker.is_open


def test_one_probe_at_a_time() -> None:
    """After the pause one call leaves; the others wait for what becomes of it."""
    breaker = opened()
    assert not breaker.admits(0.99)
    assert breaker.admits(1.0)
    assert not breaker.admits(1.0)


def test_an_answered_probe_closes_it() -> None:
    """Admin is back: everybody may call."""
    breaker = opened()
    breaker.admits(1.0)
    assert breaker.ended(reached=True, now=1.1) is Change.CLOSED
    assert breaker.admits(1.1)
    assert breaker.admits(1.1)


def test_pauses_double_up_to_ten_seconds() -> None:
    """A long outage is asked about ever more seldom, but often enough for the next poll."""
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        began = now
        while not breaker.admits(now):
            now += 0.5
        pauses.append(now - began)
        assert breaker.ended(reached=False, now=now) is Change.NONE
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_probe_that_was_given_up_leaves_room_for_another() -> None:
    """A cancelled call must not keep the breaker open for ever."""
    breaker = opened()
    assert breaker.admits(1.0)
    breaker.abandoned()
    assert breaker.admits(1.0)


def test_a_call_waits_for_the_next_probe_only_while_the_outage_is_young() -> None:
    """A restart takes seconds; what lasts longer is not waited for by anybody."""
    breaker = opened(now=100.0)
    assert breaker.wait(100.2) == pytest.approx(0.8)
    assert breaker.admits(101.0)
    assert breaker.wait(101.0) == 0
    breaker.ended(reached=False, now=101.0)
    assert breaker.wait(101.0) == pytest.approx(2)
    assert breaker.wait(105.1) is None


def test_calls_that_left_before_it_opened_do_not_prolong_it() -> None:
    """Eight calls that fail together are one outage."""
    breaker = opened(now=0.0)
    for _ in range(3):
        assert breaker.ended(reached=False, now=0.1) is Change.NONE
    assert breaker.admits(1.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["reached", "failed", "abandoned"]), st.floats(0, 20))))
def test_it_never_locks_itself_out(steps: list[tuple[str, float]]) -> None:
    """Whatever happened, a call is let through at the latest ten seconds after the last ended."""
    breaker, now = Breaker(), 0.0
    for how, later in steps:
        now += later
        if not breaker.admits(now):
            continue
        if how == "abandoned":
            breaker.abandoned()
        else:
            breaker.ended(reached=how == "reached", now=now)
    assert breaker.admits(now + 10)
