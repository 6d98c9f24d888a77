"""A list of what is new: how far it has come, and what may still come behind."""

import pytest

from exporter.model.time import Micros
from exporter.scrape.frontier import Frontier
from exporter.scrape.listing import Position, Slice, newest
from tests.rows import after, execution

_OVERLAP = 100


def part(following: int | None, *, as_of: int, inclusive: bool = True) -> Slice:
    """Return a slice up to *following*, read when Admin's clock showed *as_of*."""
    ahead = None if following is None else Position(Micros(following), inclusive)
    return Slice([], ahead, as_of=Micros(as_of))


def run(begin: int, *parts: Slice) -> Frontier:
    """Return the frontier after *parts* of a list from *begin* on."""
    frontier = Frontier.at(Micros(begin))
    for one in parts:
        frontier = frontier.after(one, _OVERLAP)
    return frontier


@pytest.mark.parametrize(
    ("parts", "settled"),
    [
        pytest.param([part(None, as_of=1000)], 900, id="one-slice-an-overlap-before-it-was-read"),
        pytest.param([part(700, as_of=1000)], 700, id="old-rows-up-to-where-they-end"),
        pytest.param([part(950, as_of=1000)], 900, id="young-rows-an-overlap-before"),
        pytest.param(
            [part(700, as_of=1000), part(980, as_of=1020), part(None, as_of=5000)],
            920,
            id="the-first-young-slice-holds-back-all-that-follow",
        ),
        pytest.param(
            [part(700, as_of=1000, inclusive=False), part(None, as_of=1050)],
            950,
            id="a-drained-instant-leaves-no-gap",
        ),
        pytest.param([part(None, as_of=550)], 500, id="never-before-where-it-began"),
        pytest.param([part(None, as_of=0)], 500, id="nothing-is-known-of-the-clock"),
    ],
)
def test_what_is_settled(parts: list[Slice], settled: int) -> None:
    """All before it was listed when it was older than the overlap, and no gap was left."""
    frontier = run(500, *parts)
    assert frontier.settled == settled


def test_a_list_that_was_not_cut_off_ends_at_its_end() -> None:
    """What is not settled is the next list's, which begins an overlap back anyway."""
    assert run(500, part(950, as_of=1000), part(None, as_of=1000)).position is None


def test_a_list_that_was_cut_off_goes_back_once() -> None:
    """At its end it begins again with what was young when it was passed by; and then it is over."""
    cut_off = run(500, part(950, as_of=1000))
    frontier = cut_off.resumed().after(part(None, as_of=2000), _OVERLAP)
    assert frontier == Frontier(Position(Micros(900)), Micros(900))
    assert frontier.after(part(None, as_of=2010), _OVERLAP) == Frontier(None, Micros(1910))


def test_a_list_that_left_nothing_behind_does_not_go_back() -> None:
    """Cut off among old rows, or before its first, it just goes on."""
    for cut_off in (run(500), run(500, part(700, as_of=1000))):
        assert cut_off.resumed().after(part(None, as_of=2000), _OVERLAP) == Frontier(
            None, Micros(1900)
        )


def test_a_list_that_is_cut_off_again_remembers_the_first_time() -> None:
    """However many polls it takes, it goes back to where the first of them left something."""
    first = run(500, part(950, as_of=1000))
    second = first.resumed().after(part(1200, as_of=1250), _OVERLAP)
    last = second.resumed().after(part(None, as_of=1500), _OVERLAP)
    assert last.position == Position(Micros(900))


def test_the_newest_row_is_not_one_of_the_future() -> None:
    """A row dated later than our clock tells nothing of Admin's."""
    rows = [execution(created=seconds) for seconds in (1, 5, 5, 900)]
    assert newest(rows, after(10)) == after(5)
    assert newest(rows, after(5)) == after(5)
    assert newest(rows[3:], after(10)) is None
    assert newest([], after(10)) is None
