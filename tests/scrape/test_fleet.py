"""How far Admin's clock has come, as far as rows can tell."""

from exporter.model.time import SECOND, Micros
from exporter.scrape.fleet import Fleet
from tests.rows import NOON, after

_FAR = after(10_000)


def test_nothing_is_known_before_the_first_row() -> None:
    """Our own clock is no answer: it may be ahead of Admin's."""
    assert Fleet().clock(NOON, 50.0) is None


def test_admins_clock_goes_on_between_two_rows() -> None:
    """A row tells the time when it was seen, and since then as much time has passed here."""
    fleet = Fleet()
    fleet.note(after(0), 100.0)
    assert fleet.clock(_FAR, 100.0) == NOON
    assert fleet.clock(_FAR, 107.5) == after(7.5)


def test_a_row_that_was_seen_late_does_not_put_it_back() -> None:
    """The clock shows at least what any row has ever told."""
    fleet = Fleet()
    fleet.note(after(0), 100.0)
    fleet.note(after(10), 160.0)
    assert fleet.clock(_FAR, 160.0) == after(60)
    fleet.note(after(90), 161.0)
    assert fleet.clock(_FAR, 161.0) == after(90)


def test_it_never_shows_more_than_our_own() -> None:
    """A cursor beyond our own clock would pass by what is yet to come."""
    fleet = Fleet()
    fleet.note(after(90), 100.0)
    assert fleet.clock(after(95), 110.0) == after(95)


def test_what_an_earlier_process_knew_counts_from_now_on() -> None:
    """How long ago it knew that, nobody can say."""
    fleet = Fleet(Micros(NOON))
    assert fleet.clock(_FAR, 100.0) == NOON
    assert fleet.clock(_FAR, 101.0) == NOON + SECOND
