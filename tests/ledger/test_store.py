"""What was committed is what is read back, all of it or nothing."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ledger.errors import LedgerError
from exporter.ledger.records import (
    Activity,
    Commit,
    DiscoveredRow,
    Discovery,
    SeriesDelta,
    SeriesRow,
    TargetRecord,
    Value,
)
from exporter.ledger.store import Ledger
from exporter.model.executions import (
    OVER,
    TERMINAL,
    VANISHED_AFTER,
    ExecutionId,
    Mode,
    Phase,
    Tracked,
)
from exporter.model.launch_plans import KEPT_FOR, Activation, ActivePlan, PlanState, Run
from exporter.model.progress import Progress
from exporter.model.schedules import Cron, Rate, ScheduledRun, ScheduleState, Span
from exporter.model.targets import Target
from exporter.model.tasks import Due
from exporter.model.time import Micros, micros
from exporter.scrape.memory import Memory
from tests.ledger.conftest import opened
from tests.rows import NOON, TARGET, after, instants, names, targets

_OTHER = Target("flytesnacks", "staging")

_counts = st.integers(0, 2**40)
_totals = _counts.map(float) | st.floats(0, 1e15, allow_nan=False)
_live = st.builds(
    Tracked,
    st.sampled_from([phase for phase in Phase if phase not in TERMINAL]),
    st.sampled_from(Mode),
    names,
    instants,
    st.booleans(),
    st.integers(0, VANISHED_AFTER),
    stepped_back=st.just(value=False),
)
_over = st.builds(
    lambda phase, back: OVER[phase]._replace(stepped_back=True) if back else OVER[phase],
    st.sampled_from(sorted(TERMINAL)),
    st.booleans(),
)
_rows = st.dictionaries(st.builds(ExecutionId, names, instants), _live | _over, max_size=6)
_lengths = st.integers(0, 10**12)
_runs = st.builds(Run, instants, _lengths)
_states = st.builds(
    PlanState,
    instants,
    st.none() | instants,
    st.none() | instants,
    st.none() | _runs,
    st.lists(instants, max_size=3).map(tuple),
    st.lists(_runs, max_size=3).map(tuple),
)
_schedules = st.builds(
    ScheduleState,
    st.none() | instants,
    st.text(max_size=5),
    st.booleans(),
    instants,
    instants,
    instants,
    st.none() | instants,
    st.lists(st.builds(ScheduledRun, instants, instants), max_size=3).map(tuple),
    st.lists(st.builds(Span, instants, instants), max_size=3).map(tuple),
)
_progress = st.builds(Progress, instants, instants, st.just(Micros(0)))


@st.composite
def _deltas(draw: st.DrawFn) -> list[SeriesDelta]:
    """Draw what is added to a few series, each of which stays what it is."""
    found = []
    for series in draw(st.lists(st.sampled_from([1, 2, 3]), unique=True)):
        histogram = series % 2 == 0
        buckets = (3,) * 3 if histogram else ()
        shown = Value(draw(_totals), buckets)
        found.append(
            SeriesDelta(
                id=series,
                family=f"family_{series}",
                labels=(f"label é {series}", '"\\\n'),
                layout="1.0,2.5" if histogram else "",
                born_at=NOON,
                shown=draw(st.none() | st.just(shown)),
                total=draw(_totals),
                buckets=draw(st.dictionaries(st.integers(0, 2), _counts)) if histogram else {},
            )
        )
    return found


def _summed(commits: list[list[SeriesDelta]]) -> dict[int, SeriesRow]:
    """Add up deltas the plain way."""
    found: dict[int, SeriesRow] = {}
    for delta in (delta for deltas in commits for delta in deltas):
        before = found.get(delta.id)
        size = delta.layout.count(",") + 2 if delta.layout else 0
        value = before.value if before else Value(0, (0,) * size)
        counts = [n + delta.buckets.get(place, 0) for place, n in enumerate(value.buckets)]
        found[delta.id] = SeriesRow(
            delta.id,
            delta.family,
            delta.labels,
            delta.layout,
            Value(value.total + delta.total, tuple(counts)),
            delta.born_at,
            delta.shown,
        )
    return found


@contextmanager
def _reread(*commits: Commit) -> Iterator[Ledger]:
    """Commit each in a transaction of its own, let go of the file, and open it again."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        with opened(path) as ledger:
            for commit in commits:
                ledger.commit([commit])
        with opened(path) as ledger:
            yield ledger


def everything(ledger: Ledger) -> tuple[object, ...]:
    """Return all that a ledger has, to compare."""
    return (
        ledger.target(TARGET),
        ledger.target(_OTHER),
        ledger.series(),
        sorted(ledger.activity()),
        ledger.discovery(),
    )


@settings(max_examples=25, deadline=None)
@given(_rows, _progress, targets)
def test_rows_come_back_as_they_were(
    rows: Mapping[ExecutionId, Tracked], progress: Progress, target: Target
) -> None:
    """Every word and every microsecond of what is known survives the process."""
    with _reread(Commit(target=target, rows=rows, progress=progress)) as ledger:
        assert ledger.target(target) == TargetRecord(progress, dict(rows), {}, {})


@settings(max_examples=25, deadline=None)
@given(st.lists(_deltas(), max_size=4))
def test_series_come_back_as_the_sum_of_what_was_added(commits: list[list[SeriesDelta]]) -> None:
    """Counts and sums are those of adding up in memory, to the last bit, and `shown` the newest."""
    with _reread(*(Commit(deltas=deltas) for deltas in commits)) as ledger:
        assert {row.id: row for row in ledger.series()} == _summed(commits)


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(st.tuples(targets, names | st.just("")), instants, max_size=5))
def test_activity_comes_back_and_never_moves_back(
    active: dict[tuple[Target, str], Micros],
) -> None:
    """The newest time wins, whatever the order of the commits."""
    rows = [Activity(target, plan, at) for (target, plan), at in active.items()]
    older = [row._replace(last_at=Micros(row.last_at - 1)) for row in rows]
    with _reread(Commit(activity=rows), Commit(activity=older)) as ledger:
        assert sorted(ledger.activity()) == sorted(rows)


@settings(max_examples=12, deadline=None)
@given(
    instants,
    st.lists(
        st.dictionaries(targets, st.builds(DiscoveredRow, st.booleans(), st.integers(0, 9))),
        min_size=1,
        max_size=3,
    ),
)
def test_the_last_discovery_comes_back(
    at: Micros, found: list[dict[Target, DiscoveredRow]]
) -> None:
    """Each complete discovery replaces the one before, in whole."""
    with _reread(*(Commit(discovery=Discovery(at, rows)) for rows in found)) as ledger:
        assert ledger.discovery() == Discovery(at, found[-1])


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(names, _states, max_size=4), st.data())
def test_states_of_launch_plans_come_back_as_they_were(
    states: dict[str, PlanState], data: st.DataObject
) -> None:
    """The newest of each, of its own target, without those that were forgotten."""
    before = {plan: data.draw(_states) for plan in states}
    forgotten = data.draw(st.lists(st.sampled_from([*states, "another"]), unique=True))
    commits = (
        Commit(target=TARGET, plans=before),
        Commit(target=TARGET, plans=states),
        Commit(target=_OTHER, plans=before),
        Commit(target=TARGET, forgotten_plans=forgotten),
    )
    with _reread(*commits) as ledger:
        kept = {plan: state for plan, state in states.items() if plan not in forgotten}
        assert ledger.target(TARGET).plans == kept
        assert ledger.target(_OTHER).plans == before


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(names, _schedules, max_size=4), st.data())
def test_schedules_come_back_as_they_were(
    states: dict[str, ScheduleState], data: st.DataObject
) -> None:
    """The newest of each, of its own target, without those that were forgotten."""
    before = {plan: data.draw(_schedules) for plan in states}
    forgotten = data.draw(st.lists(st.sampled_from([*states, "another"]), unique=True))
    commits = (
        Commit(target=TARGET, schedules=before),
        Commit(target=TARGET, schedules=states),
        Commit(target=_OTHER, schedules=before),
        Commit(target=TARGET, forgotten_schedules=forgotten),
    )
    with _reread(*commits) as ledger:
        kept = {plan: state for plan, state in states.items() if plan not in forgotten}
        assert ledger.target(TARGET).schedules == kept
        assert ledger.target(_OTHER).schedules == before


def test_outcomes_and_schedules_are_forgotten_each_by_itself(ledger: Ledger) -> None:
    """That the one is over says nothing about the other; a target that begins anew has neither."""
    plans = {name: PlanState(ended_at=NOON) for name in ("ran", "scheduled")}
    kept = {name: ScheduleState(last_run=NOON) for name in ("ran", "scheduled")}
    for target in (TARGET, _OTHER):
        ledger.commit([Commit(target=target, plans=plans, schedules=kept)])
    ledger.commit(
        [Commit(target=TARGET, forgotten_plans=["scheduled"], forgotten_schedules=["ran"])]
    )
    assert ledger.target(TARGET).plans == {"ran": plans["ran"]}
    assert ledger.target(TARGET).schedules == {"scheduled": kept["scheduled"]}
    assert ledger.target(_OTHER).plans == plans
    assert ledger.target(_OTHER).schedules == kept
    ledger.commit([Commit(begun={TARGET: None})])
    assert ledger.target(TARGET).schedules == {}


def test_a_target_that_begins_anew_knows_nothing_of_its_launch_plans(ledger: Ledger) -> None:
    """What it would be told again at the next cold start must not be told twice."""
    state = PlanState(ended_at=NOON, failed_at=NOON, failures=(NOON,))
    ledger.commit([Commit(target=TARGET, plans={"nightly": state})])
    ledger.commit([Commit(target=_OTHER, plans={"nightly": state})])
    ledger.commit([Commit(begun={TARGET: None})])
    assert ledger.target(TARGET).plans == {}
    assert ledger.target(_OTHER).plans == {"nightly": state}


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    """Nothing is known of any target, and no discovery was completed."""
    assert everything(ledger) == (
        TargetRecord(None, {}, {}, {}),
        TargetRecord(None, {}, {}, {}),
        [],
        [],
        None,
    )


def test_the_newest_row_of_an_execution_stays(ledger: Ledger) -> None:
    """A later commit replaces what was known of the same execution, finished or not."""
    key = ExecutionId("a", NOON)
    live = Tracked(Phase.RUNNING, Mode.MANUAL, "nightly", NOON, started=True)
    for row in (live, live._replace(absences=1), OVER[Phase.FAILED]):
        ledger.commit([Commit(target=TARGET, rows={key: row})])
        assert ledger.target(TARGET).rows == {key: row}


def test_the_same_name_in_two_targets_is_two_executions(ledger: Ledger) -> None:
    """One target's rows are never another's."""
    key = ExecutionId("a", NOON)
    ledger.commit([Commit(target=TARGET, rows={key: OVER[Phase.FAILED]})])
    ledger.commit([Commit(target=_OTHER, rows={key: OVER[Phase.SUCCEEDED]})])
    assert ledger.target(TARGET).rows == {key: OVER[Phase.FAILED]}
    assert ledger.target(_OTHER).rows == {key: OVER[Phase.SUCCEEDED]}


def counter(number: int, *, labels: tuple[str, ...] = ("x",), total: float = 1) -> SeriesDelta:
    """Return an addition to a counter."""
    return SeriesDelta(number, "family", labels, "", NOON, None, total, {})


def _full_commit(number: int) -> Commit:
    """Return a commit that has every part."""
    return Commit(
        target=TARGET,
        rows={ExecutionId(f"e{number}", after(number)): OVER[Phase.SUCCEEDED]},
        progress=Progress(after(number), after(number), NOON),
        deltas=[counter(number, labels=(str(number),))],
        activity=[Activity(TARGET, "nightly", after(number))],
        discovery=Discovery(after(number), {TARGET: DiscoveredRow(included=True, misses=0)}),
        begun={_OTHER: Progress(NOON, NOON, NOON)},
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_several_commits_all_or_none_is_true(ledger: Ledger, path: Path, place: int) -> None:
    """One that cannot be written takes those before and after it along: nothing was changed."""
    ledger.commit([_full_commit(1)])
    before = everything(ledger)
    commits = [_full_commit(2), _full_commit(3)]
    # A label set that another series has: a constraint that only this commit breaks.
    commits.insert(place, Commit(deltas=[counter(9, labels=("1",))]))
    with pytest.raises(LedgerError):
        ledger.commit(commits)
    assert everything(ledger) == before
    ledger.commit([_full_commit(2)])
    assert len(ledger.target(TARGET).rows) == 2
    assert path.exists()


def test_a_bug_in_the_middle_changes_nothing(ledger: Ledger) -> None:
    """Also what is no fault of SQLite's leaves the file as it was, and the ledger usable."""
    beyond = Progress(Micros(2**70), NOON, NOON)
    with pytest.raises(OverflowError):
        ledger.commit([_full_commit(1), Commit(target=TARGET, progress=beyond)])
    assert everything(ledger) == (
        TargetRecord(None, {}, {}, {}),
        TargetRecord(None, {}, {}, {}),
        [],
        [],
        None,
    )
    ledger.commit([_full_commit(1)])
    assert ledger.target(TARGET).progress == Progress(after(1), after(1), NOON)


def test_only_what_no_list_can_show_again_is_forgotten(ledger: Ledger) -> None:
    """Below the bound the finished and the vanished go; the live stay, and all at or above it."""
    live = Tracked(Phase.RUNNING, Mode.MANUAL, "nightly", NOON)
    states = {
        "over": OVER[Phase.ABORTED],
        "back": OVER[Phase.ABORTED]._replace(stepped_back=True),
        "gone": live._replace(absences=VANISHED_AFTER),
        "live": live,
        "missed": live._replace(absences=VANISHED_AFTER - 1),
    }
    times = (-1e-6, 0, 1e-6)
    rows = {
        ExecutionId(name, after(seconds)): row for name, row in states.items() for seconds in times
    }
    elsewhere = {ExecutionId("over", after(-99)): OVER[Phase.FAILED]}
    ledger.commit([Commit(target=TARGET, rows=rows), Commit(target=_OTHER, rows=elsewhere)])
    ledger.commit([Commit(target=TARGET, progress=Progress(NOON, NOON, retained_from=NOON))])
    kept = {key for key in rows if key.created_at >= NOON or key.name in {"live", "missed"}}
    assert set(ledger.target(TARGET).rows) == kept
    assert ledger.target(_OTHER).rows == elsewhere


def test_rows_that_come_with_a_raised_bound_are_forgotten_with_it(ledger: Ledger) -> None:
    """The bound holds for the commit that raises it, too."""
    old = ExecutionId("a", after(-1))
    progress = Progress(NOON, NOON, retained_from=NOON)
    ledger.commit([Commit(target=TARGET, rows={old: OVER[Phase.FAILED]}, progress=progress)])
    assert ledger.target(TARGET) == TargetRecord(progress, {}, {}, {})


def test_a_released_series_is_held_no_more(ledger: Ledger) -> None:
    """Only the named ones; their totals stay."""
    held = [counter(n, labels=(str(n),))._replace(shown=Value(0)) for n in (1, 2)]
    ledger.commit([Commit(deltas=held)])
    ledger.commit([Commit(released=[2])])
    assert [(row.id, row.value, row.shown) for row in ledger.series()] == [
        (1, Value(1), Value(0)),
        (2, Value(1), None),
    ]


def test_a_removed_series_leaves_nothing(ledger: Ledger) -> None:
    """Neither its total nor its buckets come back under the same labels."""
    delta = SeriesDelta(1, "f", ("a",), "1.0", NOON, None, 5.0, {0: 2, 1: 1})
    ledger.commit([Commit(deltas=[delta])])
    ledger.commit([Commit(removed=[1])])
    assert ledger.series() == []
    ledger.commit([Commit(deltas=[delta._replace(id=1, total=0.0, buckets={})])])
    assert [row.value for row in ledger.series()] == [Value(0, (0, 0))]


def test_a_series_may_be_replaced_in_one_commit(ledger: Ledger) -> None:
    """Removed under one number and begun under another: the labels are free again in between."""
    ledger.commit([Commit(deltas=[counter(1)])])
    ledger.commit([Commit(removed=[1], deltas=[counter(2, total=0)])])
    assert [(row.id, row.value) for row in ledger.series()] == [(2, Value(0))]


def test_an_inactive_launch_plan_is_forgotten(ledger: Ledger) -> None:
    """It alone: others of the target, and the target itself, stay."""
    rows = [Activity(TARGET, name, NOON) for name in ("", "nightly", "adhoc")]
    ledger.commit([Commit(activity=rows)])
    ledger.commit([Commit(inactive=[(TARGET, "nightly")])])
    assert {row.launch_plan for row in ledger.activity()} == {"", "adhoc"}


def test_a_target_of_which_nothing_was_heard_begins_anew(ledger: Ledger) -> None:
    """With its last activity goes all that was known of it; another target keeps all."""
    ledger.commit([_full_commit(1), Commit(activity=[Activity(TARGET, "", NOON)])])
    ledger.commit([Commit(inactive=[(TARGET, "")])])
    assert ledger.target(TARGET) == TargetRecord(None, {}, {}, {})
    assert ledger.target(_OTHER).progress is not None
    assert [row.launch_plan for row in ledger.activity()] == ["nightly"]


def test_the_newest_cursor_is_of_any_target(ledger: Ledger) -> None:
    """Admin's clock is one: the furthest target says how late it is."""
    assert ledger.newest_cursor() is None
    for target, cursor in ((TARGET, after(9)), (_OTHER, after(5))):
        ledger.commit([Commit(target=target, progress=Progress(cursor, NOON, NOON))])
    assert ledger.newest_cursor() == after(9)


def test_a_launch_plan_that_returns_in_the_commit_that_forgets_it_is_active(
    ledger: Ledger,
) -> None:
    """What happened now outweighs that nothing had happened for weeks."""
    ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
    again = Activity(TARGET, "nightly", after(1))
    ledger.commit([Commit(inactive=[(TARGET, "nightly")], activity=[again])])
    assert ledger.activity() == [again]


def test_a_target_that_begins_counts_from_where_it_is_told(ledger: Ledger) -> None:
    """Unless it is counted already: then it goes on where it stopped."""
    start, progress = Progress(NOON, NOON, NOON), Progress(after(9), after(9), after(9))
    ledger.commit([Commit(begun={TARGET: start})])
    assert ledger.target(TARGET).progress == start
    ledger.commit([Commit(target=TARGET, progress=progress)])
    ledger.commit([Commit(begun={TARGET: start})])
    assert ledger.target(TARGET).progress == progress


def test_a_target_that_is_to_be_primed_begins_anew(ledger: Ledger) -> None:
    """Nothing that was known of it stays; another target keeps all."""
    ledger.commit([_full_commit(1), Commit(begun={_OTHER: Progress(NOON, NOON, NOON)})])
    ledger.commit([Commit(begun={TARGET: None})])
    assert ledger.target(TARGET) == TargetRecord(None, {}, {}, {})
    assert ledger.target(_OTHER).progress is not None


def test_active_launch_plans_come_back_until_they_are_deactivated(ledger: Ledger) -> None:
    """Each with its history; a newer version takes the place of an older one."""
    cron = Activation(ActivePlan("etl", "v1", "wf", Cron("0 3 * * *"), 3), NOON)
    rate = Activation(ActivePlan("report", "v1", "wf", Rate(timedelta(hours=36))), after(1))
    frozen = Activation(ActivePlan("frozen", "v1", "wf", Cron("@hourly"), 0), NOON)
    ledger.commit([Commit(target=TARGET, activations=[cron, rate])])
    ledger.commit([Commit(target=_OTHER, activations=[rate])])
    ledger.commit([Commit(target=TARGET, activations=[frozen])])
    assert ledger.active_plans() == {
        TARGET: {"etl": cron, "report": rate, "frozen": frozen},
        _OTHER: {"report": rate},
    }
    newer = Activation(ActivePlan("etl", "v2", "other", None), NOON)
    ledger.commit(
        [Commit(target=TARGET, activations=[newer], deactivated={"report": NOON, "unknown": NOON})]
    )
    ledger.commit([Commit(target=TARGET, deactivated={"frozen": NOON})])
    assert ledger.active_plans() == {TARGET: {"etl": newer}, _OTHER: {"report": rate}}


def test_what_was_switched_off_is_known_until_it_is_active_again(ledger: Ledger) -> None:
    """Of its target alone; and gone with all that was known of that."""
    plan = Activation(ActivePlan("etl", "v1", "wf", None), NOON)
    off = {"etl": NOON, "report": after(1)}
    ledger.commit(
        [Commit(target=TARGET, deactivated=off), Commit(target=_OTHER, activations=[plan])]
    )
    assert ledger.target(TARGET).deactivated == off
    assert ledger.target(_OTHER).deactivated == {}
    ledger.commit([Commit(target=TARGET, activations=[plan])])
    assert ledger.target(TARGET).deactivated == {"report": after(1)}
    ledger.commit([Commit(begun={TARGET: None})])
    assert ledger.target(TARGET).deactivated == {}


def test_what_was_switched_off_is_forgotten_when_no_state_of_it_is_left(ledger: Ledger) -> None:
    """After 35 days, by the next deactivation: only by these do they become more."""
    long_ago, recent = Micros(NOON - micros(KEPT_FOR) - 1), Micros(NOON - micros(KEPT_FOR))
    states = {"old": PlanState(ended_at=NOON)}
    gone = {"old": long_ago, "older": long_ago, "recent": recent}
    ledger.commit([Commit(target=TARGET, plans=states, deactivated=gone)])
    ledger.commit([Commit(target=_OTHER, deactivated={"older": long_ago})])
    ledger.commit([Commit(target=TARGET, deactivated={"etl": NOON})])
    known = {"old": long_ago, "recent": recent, "etl": NOON}
    assert ledger.target(TARGET).deactivated == known
    assert ledger.target(_OTHER).deactivated == {"older": long_ago}
    ledger.commit([Commit(target=TARGET, forgotten_plans=["old"])])
    ledger.commit([Commit(target=TARGET, deactivated={"etl": NOON})])
    assert ledger.target(TARGET).deactivated == {"recent": recent, "etl": NOON}


def test_the_memory_forgets_what_was_switched_off_as_the_ledger_does(ledger: Ledger) -> None:
    """Whoever restarts knows as much as whoever did not."""
    names = ("running", "idle", "active", "etl")
    ledger.commit([Commit(target=TARGET, plans={"running": PlanState(ended_at=NOON)})])
    memory = Memory(ledger.target(TARGET))
    later = Micros(NOON + micros(KEPT_FOR) + 1)
    known = []
    for now, on, off in (
        (NOON, [], ["running", "idle", "active"]),
        (later, ["active"], []),
        (later, [], ["etl"]),
    ):
        plans = [Activation(ActivePlan(name, "v1", "wf", None), now) for name in on]
        commit = Commit(target=TARGET, activations=plans, deactivated=dict.fromkeys(off, now))
        ledger.commit([commit])
        memory.remember_activations(on, off, now)
        again = Memory(ledger.target(TARGET))
        known.append([name for name in names if memory.was_switched_off(name)])
        assert known[-1] == [name for name in names if again.was_switched_off(name)]
    assert known == [["running", "idle", "active"], ["running", "idle"], ["running", "etl"]]


def test_a_target_that_is_gone_takes_its_active_launch_plans_along(ledger: Ledger) -> None:
    """In the transaction of the discovery that decides it; one that was missed once keeps them."""
    plan = Activation(ActivePlan("etl", "v1", "wf", None), NOON)
    third = Target("flytesnacks", "development")
    for target in (TARGET, _OTHER, third):
        ledger.commit([Commit(target=target, activations=[plan])])
    rows = {TARGET: DiscoveredRow(included=True, misses=1), _OTHER: DiscoveredRow(False, 0)}
    ledger.commit([Commit(discovery=Discovery(NOON, rows))])
    assert ledger.active_plans() == {TARGET: {"etl": plan}}


def test_who_waits_for_their_tasks_to_be_counted_waits_in_order(ledger: Ledger) -> None:
    """Until they are done; who is named twice waits once, and who does not wait is not missed."""
    dues = [
        Due(target, ExecutionId(name, after(number)), "plan")
        for number, (target, name) in enumerate([(_OTHER, "b"), (TARGET, "a"), (TARGET, "c")])
    ]
    ledger.commit([Commit(tasks_due=dues[:2])])
    ledger.commit([Commit(target=TARGET, tasks_due=[dues[0], dues[2]])])
    assert ledger.tasks_due() == dues
    stranger = dues[1]._replace(id=ExecutionId("a", NOON))
    ledger.commit([Commit(tasks_done=[dues[0], stranger])])
    assert ledger.tasks_due() == dues[1:]


def test_parts_left_out_stay_as_they_are(ledger: Ledger) -> None:
    """An empty commit changes nothing."""
    ledger.commit([_full_commit(1)])
    before = everything(ledger)
    ledger.commit([Commit(target=TARGET), Commit()])
    assert everything(ledger) == before


def test_a_crash_loses_nothing_that_was_committed(ledger: Ledger, tmp_path: Path) -> None:
    """The files as they are on disk while the process lives are the whole truth."""
    ledger.commit([_full_commit(1)])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("ledger.db*"):
        (copy / file.name).write_bytes(file.read_bytes())
    with opened(copy / "ledger.db") as survivor:
        assert everything(survivor) == everything(ledger)


def test_a_commit_is_on_disk_when_it_returns(ledger: Ledger) -> None:
    """SQLite is told to wait for the disk, and to log ahead: `synchronous` FULL, `WAL`."""
    assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_size_is_that_of_the_files(ledger: Ledger, tmp_path: Path) -> None:
    """The write-ahead log counts, for it fills the disk as well."""
    ledger.commit([_full_commit(1)])
    files = ("ledger.db", "ledger.db-wal")
    assert ledger.size_bytes() == sum((tmp_path / name).stat().st_size for name in files)
    assert (tmp_path / "ledger.db-wal").stat().st_size > 0
