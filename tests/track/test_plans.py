"""A state follows from the ends that were told, and from nothing else: not from their order."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.ends import ends_of
from exporter.model.executions import Execution, Mode, Phase
from exporter.model.launch_plans import Norms, PlanState, Run, Standing
from exporter.model.time import Micros
from exporter.track import plans
from exporter.track.plans import advance_all, expected_duration, merged, spare, standing
from tests.rows import after, execution

DAY = 24 * 3600
NOW = after(DAY)
OUTCOMES = {Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT}

ends = st.builds(
    execution,
    name=st.uuids().map(str),
    phase=st.sampled_from([Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT, Phase.ABORTED]),
    updated=st.integers(0, 40),
    lasted=st.none() | st.integers(0, 9),
    launch_plan=st.sampled_from(["nightly", "hourly"]),
    mode=st.sampled_from([Mode.SCHEDULED, Mode.MANUAL, Mode.CHILD_WORKFLOW]),
)


def told(*rows: Execution, before: PlanState | None = None) -> PlanState:
    """Return the state of the one launch plan of *rows* after them."""
    states = {"nightly": before} if before else {}
    return {**states, **advance_all(states, ends_of(rows), NOW)}.get("nightly", PlanState())


def end(at: float, phase: Phase = Phase.SUCCEEDED, **details: object) -> Execution:
    """Return a row that ended *at* seconds after noon."""
    return execution(f"at {at}", phase, updated=at, **details)  # type: ignore[arg-type]


@given(st.lists(ends, max_size=30), st.data())
def test_it_does_not_matter_in_which_order_ends_are_told(
    rows: list[Execution], data: st.DataObject
) -> None:
    """One by one, together or in any parts, the same ends give the same states."""
    states = advance_all({}, ends_of(rows), NOW)
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    by_part: dict[str, PlanState] = {}
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        by_part |= advance_all(by_part, ends_of(shuffled[start:stop]), NOW)
    assert by_part == states


@given(st.lists(ends, max_size=30), st.data())
def test_bounds_do_not_make_the_order_matter(rows: list[Execution], data: st.DataObject) -> None:
    """Also where there are more failures and successes than are kept."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plans, "MOST_FAILURES", 2)
        patched.setattr(plans, "MOST_SUCCESSES", 3)
        states = advance_all({}, ends_of(rows), NOW)
        one_by_one: dict[str, PlanState] = {}
        for row in data.draw(st.permutations(rows)):
            one_by_one |= advance_all(one_by_one, ends_of([row]), NOW)
    assert one_by_one == states


@given(st.lists(ends, max_size=30))
def test_a_state_is_what_a_person_would_work_out(rows: list[Execution]) -> None:
    """Compared with the definition, spelled out over all rows at once."""
    states = advance_all({}, ends_of(rows), NOW)
    for name in ("nightly", "hourly"):
        own = [
            row for row in rows if row.launch_plan == name and row.mode is not Mode.CHILD_WORKFLOW
        ]
        assert (name in states) is bool(own)
        if not own:
            continue
        good = [row for row in own if row.phase is Phase.SUCCEEDED]
        bad = [row for row in own if row.phase in OUTCOMES and row not in good]
        succeeded_at = max((row.updated_at for row in good), default=None)
        runs = [(r.updated_at, r.duration, r in good) for r in good + bad if r.duration]
        assert states[name] == PlanState(
            ended_at=max(row.updated_at for row in own),
            succeeded_at=succeeded_at,
            failed_at=max((row.updated_at for row in bad), default=None),
            newest=max((Run(at, lasted) for at, lasted, _ in runs), default=None),
            failures=tuple(
                sorted(r.updated_at for r in bad if r.updated_at > (succeeded_at or Micros(-1)))
            ),
            successes=tuple(sorted(Run(at, lasted) for at, lasted, won in runs if won)),
        )


@given(st.lists(ends, max_size=30), st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_states_merged_are_the_state_of_all_their_ends(
    rows: list[Execution], parts: list[int]
) -> None:
    """Launch plans that are shown as one are shown as if they had always been one."""
    rows = [row._replace(launch_plan="daily") for row in rows]
    named = [row._replace(launch_plan=f"daily_{n}") for row, n in zip(rows, parts, strict=False)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plans, "MOST_FAILURES", 2)
        patched.setattr(plans, "MOST_SUCCESSES", 3)
        states = advance_all({}, ends_of(named), NOW)
        together = advance_all({}, ends_of(rows), NOW).get("daily")
        assert merged(states.values()) == together
        needed = {name: state for name, state in states.items() if name not in spare(states)}
        assert merged(needed.values()) == together


def test_what_is_shown_as_one_stays_small() -> None:
    """Of a name that changes with every run, only as many states are kept as say something."""
    rows = [end(at, launch_plan=f"daily_{at}", lasted=1) for at in range(500)]
    states = advance_all({}, ends_of(rows), NOW)
    assert len(states) - len(spare(states)) == plans.MOST_SUCCESSES


def test_a_child_tells_nothing_of_its_launch_plan() -> None:
    """Its failure is its parent's affair: no state comes of it, so none need be written."""
    assert advance_all({}, ends_of([end(1, Phase.FAILED, mode=Mode.CHILD_WORKFLOW)]), NOW) == {}


def test_an_abort_is_neither_success_nor_failure() -> None:
    """It neither adds to the failures in a row nor ends them; but the launch plan did run."""
    state = told(end(1, Phase.FAILED), end(2, Phase.TIMED_OUT), end(3, Phase.ABORTED, lasted=9))
    assert plans.consecutive_failures(state) == 2
    assert state.ended_at == after(3)
    assert state.newest is None


def test_a_success_that_becomes_known_late_ends_the_failures_before_it() -> None:
    """And not those after it, although they were told before."""
    failed = told(*(end(at, Phase.FAILED) for at in (10, 20, 30)))
    assert plans.consecutive_failures(told(end(15), before=failed)) == 2
    assert plans.consecutive_failures(told(end(30), before=failed)) == 0


def test_an_end_ahead_of_our_clock_is_taken_as_now() -> None:
    """Whatever some clock said, the failures after it count, and the next success is newer."""
    ahead = told(end(3 * DAY))
    assert (ahead.succeeded_at, ahead.ended_at) == (NOW, NOW)
    later = Micros(NOW + 60_000_000)
    new = ends_of([end(DAY + 30, Phase.FAILED)])
    failed = advance_all({"nightly": ahead}, new, later)
    assert plans.consecutive_failures(failed["nightly"]) == 1
    # A few seconds are what clocks differ by: the order of ends is told by them.
    assert told(end(DAY + 2)).succeeded_at == after(DAY + 2)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.sampled_from(sorted(OUTCOMES)))
def test_of_many_ends_alike_the_newest_are_kept(seconds: list[int], phase: Phase) -> None:
    """A backlog of one launch plan, in any order, leaves what its ends leave one by one."""
    rows = [
        execution(f"x{number}", phase, updated=at, lasted=number)
        for number, at in enumerate(seconds, start=1)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plans, "MOST_FAILURES", 2)
        patched.setattr(plans, "MOST_SUCCESSES", 3)
        state = PlanState()
        for row in rows:
            state = told(row, before=state)
        assert told(*rows) == state


def test_failures_are_counted_up_to_a_bound() -> None:
    """However long a launch plan fails, its state stays small."""
    state = told(*(end(at, Phase.FAILED) for at in range(500)))
    assert plans.consecutive_failures(state) == len(state.failures) == plans.MOST_FAILURES
    assert state.failures[-1] == after(499)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1, 2, 3, 4], None),
        ([5, 1, 2, 3, 4], 5),
        (range(1, 21), 19),
        (range(1, 41), 38),
        # Of 200, the newest 64 are 137 to 200: the 61st of those.
        (range(1, 201), 197),
    ],
)
def test_the_expected_duration_is_the_95th_percentile(
    seconds: list[int], expected: float | None
) -> None:
    """Of the newest 64 successes, from five on; by the nearest rank, which is one of them."""
    state = told(*(end(at, lasted=lasted) for at, lasted in enumerate(seconds)))
    assert expected_duration(state) == (None if expected is None else timedelta(seconds=expected))


def test_failures_and_unknown_durations_are_not_expected() -> None:
    """What failed early or never ran says nothing about how long success takes."""
    rows = [end(at, Phase.FAILED, lasted=9) for at in range(9)]
    rows += [end(at, lasted=0) for at in range(9)] + [end(at) for at in range(9)]
    assert expected_duration(told(*rows)) is None


def test_what_was_configured_wins() -> None:
    """Over what was observed, and over what the schedule says."""
    state = told(*(end(at, lasted=60) for at in range(5)))
    hour = timedelta(hours=1)
    assert standing(state, Norms()).expected_duration == timedelta(seconds=60)
    assert standing(state, Norms(expected_duration=hour)).expected_duration == hour
    norms = Norms(period=timedelta(days=1), freshness=hour)
    assert standing(state, norms).freshness_limit == hour


def test_freshness_follows_from_the_schedule() -> None:
    """Two periods and the expected duration; without a schedule there is no limit."""
    state = told(*(end(at, lasted=60) for at in range(5)))
    daily = Norms(period=timedelta(days=1))
    assert standing(state, daily).freshness_limit == timedelta(days=2, seconds=60)
    assert standing(PlanState(), daily).freshness_limit == timedelta(days=2)
    assert standing(state, Norms()).freshness_limit is None


def test_what_is_unknown_is_none() -> None:
    """A launch plan that never ran has no failures in a row: not none of them."""
    assert standing(None, Norms()) == Standing(None, None, None, None, None, None)
    assert standing(told(end(1, Phase.ABORTED)), Norms()).consecutive_failures is None
    assert standing(told(end(1)), Norms()).consecutive_failures == 0


@pytest.mark.parametrize(
    ("days", "shown", "kept"), [(14, True, True), (14.1, False, True), (35.1, False, False)]
)
def test_a_launch_plan_goes_a_while_after_its_last_run(
    days: float,
    shown: bool,
    kept: bool,
) -> None:
    """Unless it is in use, which it may be for years."""
    state, now = told(end(0)), after(days * DAY)
    assert plans.is_shown(state, now, stays=False) is shown
    assert plans.is_kept(state, now, stays=False) is kept
    assert plans.is_shown(state, now, stays=True)
    assert plans.is_kept(state, now, stays=True)
