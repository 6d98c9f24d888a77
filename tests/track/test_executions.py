"""Each row leaves as the events that it is owed, whatever the order and however often it comes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.events import Events, SteppedBack, Vanished
from exporter.model.executions import OVER, TERMINAL, Execution, ExecutionId, Mode, Phase, Tracked
from exporter.model.time import Micros
from exporter.track.executions import Observed, levels, miss, observe, prime
from tests.rows import NOON, after, execution

_NOW = after(1000)
_LIVE = [phase for phase in Phase if phase not in TERMINAL]


class Past(NamedTuple):
    """What became of one execution, moment by moment: what Admin could have shown of it."""

    rows: tuple[Execution, ...]


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """
    Draw an execution's life.

    What Admin guarantees holds: a start does not go away, and nothing follows a terminal phase.
    Dates need not make sense: clocks of Admin and of propeller disagree.
    """
    key = ExecutionId(draw(st.sampled_from("abc")), after(draw(st.integers(0, 2))))
    lived = draw(st.lists(st.sampled_from(_LIVE), max_size=4))
    end = draw(st.lists(st.sampled_from(sorted(TERMINAL)), max_size=1))
    phases = [*lived, *end] or [Phase.UNDEFINED]
    starts_at = draw(st.integers(0, len(phases)))
    started_at = after(draw(st.integers(-5, 5)))
    return Past(
        tuple(
            Execution(
                key,
                phase,
                Mode.MANUAL,
                "nightly",
                started_at if place >= starts_at else None,
                after(draw(st.integers(-9, 9))),
                None,
            )
            for place, phase in enumerate(phases)
        )
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[Execution]:
    """Draw rows of several lives, in any order and some of them twice."""
    lives = draw(st.lists(pasts(), max_size=5, unique_by=lambda past: past.rows[0].id))
    rows = [row for life in lives for row in life.rows]
    again = draw(st.lists(st.sampled_from(rows), max_size=4)) if rows else []
    return draw(st.permutations([*rows, *again]))


def counted(events: Events) -> Counter[tuple[str, ExecutionId]]:
    """Return how often what happened to whom, leaving out the steps back."""
    lists = {
        "primed": events.primed,
        "launched": events.launched,
        "started": events.started,
        "finished": events.finished,
    }
    return Counter((kind, row.id) for kind, rows in lists.items() for row in rows)


def missed(known: Mapping[ExecutionId, Tracked], absent: Collection[ExecutionId]) -> Observed:
    """Return what absence alone tells."""
    observed = Observed()
    miss(known, absent, observed)
    return observed


def applied(known: Mapping[ExecutionId, Tracked], observed: Observed) -> dict[ExecutionId, Tracked]:
    """Return what is known after a commit."""
    return {**known, **observed.rows}


def told(parts: Iterable[Sequence[Execution]]) -> Events:
    """Observe *parts* one after the other, each committed before the next."""
    known: dict[ExecutionId, Tracked] = {}
    events = Events()
    for part in parts:
        observed = observe(known, part, _NOW)
        for kind in fields(Events):
            getattr(events, kind.name).extend(getattr(observed.events, kind.name))
        known = applied(known, observed)
    return events


@given(worlds())
def test_the_same_rows_again_tell_nothing(rows: list[Execution]) -> None:
    """With what it returned applied, the same rows are neither events nor anything to store."""
    known = applied({}, observe({}, rows, _NOW))
    assert observe(known, rows, after(2000)) == Observed()


@given(worlds(), st.data())
def test_order_does_not_matter(rows: list[Execution], data: st.DataObject) -> None:
    """The same events come of the same rows, whatever their order in a batch."""
    shuffled = data.draw(st.permutations(rows))
    assert counted(told([rows])) == counted(told([shuffled]))
    assert observe({}, rows, _NOW).rows == observe({}, shuffled, _NOW).rows


@given(worlds(), st.integers(0, 20))
def test_how_rows_are_cut_into_batches_does_not_matter(rows: list[Execution], cut: int) -> None:
    """Seen together or one batch after the other, each execution is owed the same events."""
    together = counted(told([rows]))
    apart = counted(told([rows[:cut], rows[cut:]]))
    one_by_one = counted(told([row] for row in rows))
    assert together == apart == one_by_one


@given(worlds())
def test_each_kind_of_event_comes_at_most_once(rows: list[Execution]) -> None:
    """However the rows come, all are launched, and nothing befalls anybody twice."""
    events = told([row] for row in rows)
    assert all(times == 1 for times in counted(events).values())
    assert {row.id for row in events.launched} == {row.id for row in rows}
    over = {row.id for row in rows if row.phase in TERMINAL}
    assert {row.id for row in events.finished} == over


@given(worlds())
def test_a_step_back_is_told_once(rows: list[Execution]) -> None:
    """After its end, an execution that is seen unfinished is reported once, however often seen."""
    over = [row._replace(phase=Phase.SUCCEEDED) for row in rows]
    events = told([over, *([row] for row in rows), rows])
    back = Counter(event.execution.id for event in events.stepped_back)
    assert back == Counter({row.id for row in rows if row.phase not in TERMINAL})


def test_one_row_can_owe_everything() -> None:
    """What began and ended between two polls is launched, started and finished."""
    row = execution(phase=Phase.SUCCEEDED, started=1, updated=2)
    assert observe({}, [row], _NOW) == Observed(
        Events(launched=[row], started=[row], finished=[row]), {row.id: OVER[Phase.SUCCEEDED]}
    )


@pytest.mark.parametrize("turn", [1, -1])
def test_over_wins_in_a_batch_even_when_dated_earlier(turn: int) -> None:
    """A terminal row beats a running one of the same execution, whatever the clocks say."""
    over = execution(phase=Phase.FAILED, started=1, updated=2)
    running = execution(phase=Phase.RUNNING, started=1, updated=50)
    observed = observe({}, [over, running][::turn], _NOW)
    assert observed.rows == {over.id: OVER[Phase.FAILED]}
    assert observed.events.stepped_back == []


def test_a_step_back_keeps_the_verdict() -> None:
    """The row stays what it was, and an end that follows is not counted again."""
    key = execution().id
    back = observe({key: OVER[Phase.FAILED]}, [execution(phase=Phase.RUNNING)], _NOW)
    step = SteppedBack(execution(phase=Phase.RUNNING), Phase.FAILED)
    assert back.events == Events(stepped_back=[step])
    assert back.rows == {key: Tracked(Phase.FAILED, stepped_back=True)}
    assert observe(back.rows, [execution(phase=Phase.SUCCEEDED)], _NOW) == Observed()


def test_the_same_name_created_later_is_another_execution() -> None:
    """A deleted row may be followed by one of the same name, which counts for itself."""
    first, second = execution(phase=Phase.SUCCEEDED), execution(created=60)
    observed = observe({first.id: OVER[Phase.SUCCEEDED]}, [second], _NOW)
    assert observed.events == Events(launched=[second])


def test_failing_without_a_start_is_no_start() -> None:
    """An execution that never ran is launched and finished, and that is all."""
    row = execution(phase=Phase.FAILED)
    assert observe({}, [row], _NOW).events == Events(launched=[row], finished=[row])


def test_a_start_before_the_creation_is_a_start() -> None:
    """Propeller's clock may be behind Admin's."""
    row = execution(phase=Phase.RUNNING, created=10, started=3)
    assert observe({}, [row], _NOW).events == Events(launched=[row], started=[row])


def test_a_phase_that_we_do_not_know_is_not_over() -> None:
    """A number of a newer server keeps the execution live, first seen now, until it ends."""
    row = execution(phase=Phase.UNRECOGNIZED)
    observed = observe({}, [row], _NOW)
    assert observed.events == Events(launched=[row])
    assert observed.rows[row.id].is_live
    assert observed.rows[row.id].since == _NOW


@pytest.mark.parametrize(
    ("row", "since"),
    [
        (execution(phase=Phase.UNDEFINED, created=5, updated=9), after(5)),
        (execution(phase=Phase.QUEUED, created=5, updated=9), after(9)),
        (execution(phase=Phase.RUNNING, created=5, started=7, updated=9), after(7)),
        (execution(phase=Phase.RUNNING, created=5, updated=9), after(9)),
        (execution(phase=Phase.FAILING, created=5, started=7, updated=9), after(9)),
        (execution(phase=Phase.ABORTING, created=5, started=7, updated=9), _NOW),
    ],
)
def test_when_a_phase_was_entered(row: Execution, since: Micros) -> None:
    """Admin's own stamp where it sets one for the phase; first sight where it does not."""
    assert observe({}, [row], _NOW).rows[row.id].since == since


def test_a_phase_is_entered_once() -> None:
    """While the phase stays, so does its beginning, although updates go on."""
    row = execution(phase=Phase.ABORTING, updated=1)
    known = observe({}, [row], _NOW).rows
    assert observe(known, [row._replace(updated_at=after(500))], after(2000)) == Observed()


def test_priming_counts_nothing_and_remembers_all() -> None:
    """What is there at a cold start is known, uncounted; what is not over will be counted then."""
    over = execution("a", Phase.FAILED, started=1)
    running = execution("b", Phase.RUNNING, started=1)
    waiting = execution("c", Phase.QUEUED)
    primed = prime([over, running, waiting], _NOW)
    assert primed.events == Events(primed=[over, running, waiting])
    later = [
        over,
        running._replace(phase=Phase.SUCCEEDED),
        waiting._replace(phase=Phase.SUCCEEDED, started_at=after(2)),
    ]
    assert counted(observe(primed.rows, later, _NOW).events) == Counter(
        {("finished", running.id): 1, ("started", waiting.id): 1, ("finished", waiting.id): 1}
    )


@given(worlds())
def test_priming_is_as_blind_to_order(rows: list[Execution]) -> None:
    """One event and one row for each execution, the furthest, whatever the order."""
    primed = prime(rows, _NOW)
    assert counted(primed.events) == Counter(("primed", key) for key in {row.id for row in rows})
    assert primed.rows == prime(rows[::-1], _NOW).rows


def test_absence_in_two_reconciles_makes_it_vanish() -> None:
    """Once proves nothing; twice takes it out of the live set, and says so once."""
    row = execution()
    known = observe({}, [row], _NOW).rows
    once = missed(known, [row.id])
    assert once.events == Events()
    assert once.rows[row.id].is_live
    twice = missed(once.rows, [row.id])
    assert twice.events == Events(vanished=[Vanished(row.id, "nightly")])
    assert not twice.rows[row.id].is_live
    assert missed(twice.rows, [row.id]) == Observed()


def test_being_seen_forgives_an_absence() -> None:
    """Two absences with a sighting in between are not two in a row."""
    row = execution()
    known = missed(observe({}, [row], _NOW).rows, [row.id]).rows
    seen = observe(known, [row], _NOW)
    assert seen.events == Events()
    assert missed(seen.rows, [row.id]).events == Events()


def test_the_vanished_may_return_and_finish() -> None:
    """It was launched once, and its end is counted when it comes after all."""
    row = execution(started=1)
    known = observe({}, [row], _NOW).rows
    gone = missed(missed(known, [row.id]).rows, [row.id]).rows
    back = observe(gone, [row], _NOW)
    assert back.events == Events()
    assert back.rows[row.id].is_live
    over = row._replace(phase=Phase.SUCCEEDED)
    assert observe(gone, [over], _NOW).events == Events(finished=[over])


def test_missing_what_is_over_or_unknown_means_nothing() -> None:
    """Only the live set can be missed: Admin deletes what is over."""
    known = {ExecutionId("over", NOON): OVER[Phase.SUCCEEDED]}
    assert missed(known, [ExecutionId("over", NOON), ExecutionId("never", NOON)]) == Observed()


def test_being_seen_in_the_same_batch_beats_being_missed() -> None:
    """Asked for by name it was not there, yet a list shows it: it is not absent."""
    row = execution()
    known = observe({}, [row], _NOW).rows
    moved = row._replace(phase=Phase.SUCCEEDING)
    observed = observe(known, [moved], _NOW)
    miss(known, [row.id], observed)
    assert observed.rows[row.id].absences == 0


def test_levels_count_and_find_the_oldest() -> None:
    """Each phase has its number and the beginning of whoever is in it for the longest."""
    live = [
        Tracked(Phase.RUNNING, since=after(5)),
        Tracked(Phase.RUNNING, since=after(2)),
        Tracked(Phase.RUNNING, since=after(9)),
        Tracked(Phase.QUEUED, since=after(1)),
    ]
    assert levels(live) == {Phase.RUNNING: (3, after(2)), Phase.QUEUED: (1, after(1))}
    assert levels([]) == {}


def test_whatever_changes_about_a_live_execution_is_taken_note_of() -> None:
    """What is passed by as old news is no news in any respect."""
    live = [phase for phase in Phase if phase not in TERMINAL]
    modes, plans = (Mode.MANUAL, Mode.TRIGGER), ("nightly", "hourly")
    known = [
        Tracked(phase, mode, plan, NOON, begun, absences)
        for phase, mode, plan, begun, absences in product(live, modes, plans, (False, True), (0, 1))
    ]
    for phase, mode, plan, start in product(live, modes, plans, (None, 5)):
        row = execution("x", phase, started=start, launch_plan=plan, mode=mode)
        for before in known:
            found = observe({row.id: before}, [row], NOON).rows
            assert found.get(row.id, before)._replace(since=NOON) == Tracked(
                phase, mode, plan, NOON, before.started or start is not None
            )
