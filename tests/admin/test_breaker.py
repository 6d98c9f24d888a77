"""The breaker opens when nobody is there, lets probes through, and closes on an answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.admin.breaker import Breaker, Change, Leave


def leave(breaker: Breaker, now: float) -> Leave:
    """Have a call leave at *now*."""
    given = breaker.admit(now)
    assert given is not None
    return given


def opened(now: float = 0.0) -> tuple[Breaker, Leave]:
    """Return a breaker that has just opened at *now*, and the leave of a call that is still out."""
    breaker = Breaker()
    straggler = leave(breaker, now)
    for change in (Change.NONE, Change.NONE, Change.NONE, Change.NONE, Change.OPENED):
        assert breaker.ended(leave(breaker, now), reached=False, now=now) is change
    return breaker, straggler


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    """Four are bad luck; and an answer in between begins the count anew."""
    breaker = Breaker()
    for reached in (False, False, False, False, True, False, False, False, False):
        assert breaker.ended(leave(breaker, 0), reached=reached, now=0) is Change.NONE
    assert breaker.ended(leave(breaker, 0), reached=False, now=0) is Change.OPENED
    assert breaker.is_open


def test_one_probe_at_a_time() -> None:
    """After the pause one call leaves; the others wait for what becomes of it."""
    breaker, _ = opened()
    assert breaker.admit(0.99) is None
    assert breaker.admit(1.0)
    assert breaker.admit(1.0) is None


def test_who_has_no_say_is_no_probe() -> None:
    """Such a call waits until others have found out that Admin is back."""
    assert Breaker().heeded()
    breaker, _ = opened()
    assert breaker.heeded() is None
    assert breaker.heeded() is None, "however often it asks"
    probe = leave(breaker, 1.0)
    assert breaker.heeded() is None
    breaker.ended(probe, reached=True, now=1.1)
    assert breaker.heeded()


def test_an_answered_probe_closes_it() -> None:
    """Admin is back: everybody may call."""
    breaker, _ = opened()
    assert breaker.ended(leave(breaker, 1.0), reached=True, now=1.1) is Change.CLOSED
    assert breaker.admit(1.1)
    assert breaker.admit(1.1)


def test_a_probe_that_hangs_closes_it() -> None:
    """Somebody took the connection; that Admin is slow is no business of the breaker's."""
    breaker, _ = opened()
    assert breaker.hung(leave(breaker, 1.0), now=16.0) is Change.CLOSED


def test_pauses_double_up_to_ten_seconds() -> None:
    """A long outage is asked about ever more seldom, but often enough for the next poll."""
    (breaker, _), now, pauses = opened(), 0.0, []
    for _ in range(6):
        began = now
        while (probe := breaker.admit(now)) is None:
            now += 0.5
        pauses.append(now - began)
        assert breaker.ended(probe, reached=False, now=now) is Change.NONE
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_probe_that_was_given_up_leaves_room_for_another() -> None:
    """A cancelled call must not keep the breaker open for ever."""
    breaker, _ = opened()
    breaker.abandoned(leave(breaker, 1.0))
    assert breaker.admit(1.0)


def test_a_call_waits_for_the_next_probe_only_while_the_outage_is_young() -> None:
    """A restart takes seconds; what lasts longer is not waited for by anybody."""
    breaker, _ = opened(now=100.0)
    assert breaker.wait(100.2) == pytest.approx(0.8)
    probe = leave(breaker, 101.0)
    assert breaker.wait(101.0) == 0
    breaker.ended(probe, reached=False, now=101.0)
    assert breaker.wait(101.0) == pytest.approx(2)
    assert breaker.wait(105.1) is None


@pytest.mark.parametrize("how", ["failed", "hung", "abandoned"])
def test_stragglers_make_no_room_for_a_second_probe(how: str) -> None:
    """A call that left before the outage is no probe: it says nothing of the one that is out."""
    breaker, straggler = opened()
    probe = leave(breaker, 1.0)
    if how == "failed":
        assert breaker.ended(straggler, reached=False, now=1.1) is Change.NONE
    elif how == "hung":
        assert breaker.hung(straggler, now=1.1) is Change.NONE
    else:
        breaker.abandoned(straggler)
    assert breaker.is_open
    assert breaker.admit(1.2) is None
    breaker.ended(probe, reached=False, now=1.3)
    assert breaker.admit(3.2) is None
    assert breaker.admit(3.3)


def test_a_straggler_that_was_answered_closes_it() -> None:
    """Whoever answers is there."""
    breaker, straggler = opened()
    probe = leave(breaker, 1.0)
    assert breaker.ended(straggler, reached=True, now=1.1) is Change.CLOSED
    assert breaker.ended(probe, reached=False, now=1.2) is Change.NONE
    assert not breaker.is_open


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["leaves", "reached", "failed", "hung", "abandoned"]), st.floats(0, 20)
        )
    )
)
def test_it_never_locks_itself_out(steps: list[tuple[str, float]]) -> None:
    """Once every call has come back, one is let through at the latest ten seconds later."""
    breaker, now, out = Breaker(), 0.0, list[Leave]()

    def comes_back(how: str) -> None:
        given = out.pop()
        if how == "abandoned":
            breaker.abandoned(given)
        elif how == "hung":
            breaker.hung(given, now=now)
        else:
            breaker.ended(given, reached=how == "reached", now=now)

    for how, later in steps:
        now += later
        if how != "leaves" and out:
            comes_back(how)
        elif given := breaker.admit(now):
            out.append(given)
    while out:
        comes_back("failed")
    assert breaker.admit(now + 10)
