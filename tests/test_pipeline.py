"""The laws of a digest: it adds nothing twice, and it does not matter how rows are cut up."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.measure import Increments, SeriesKey
from exporter.model.executions import OVER, Execution, ExecutionId, Mode, Phase, Tracked
from exporter.model.launch_plans import PlanState
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.pipeline import Batch, Correction, Digest, Step, digest

T = Target("p", "d")
NOW = Micros(1_000_000)


@st.composite
def histories(draw: st.DrawFn) -> list[Execution]:
    """Return rows as one Admin could have answered them over time, for a few executions."""
    rows: list[Execution] = []
    for number in range(draw(st.integers(1, 4))):
        key = ExecutionId(f"x{number}", Micros(number))
        plan = draw(st.sampled_from(["a", "b"]))
        mode = draw(st.sampled_from([Mode.MANUAL, Mode.CHILD_WORKFLOW]))
        end = draw(st.sampled_from([Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED]))
        started = Micros(number + 2)
        life = [
            Execution(key, Phase.UNDEFINED, mode, plan, None, key.created_at, None),
            Execution(key, Phase.RUNNING, mode, plan, started, started, None),
            Execution(key, end, mode, plan, started, Micros(started + 5), 5 * SECOND),
        ]
        rows += life[: draw(st.integers(1, 3))]
    return rows


def added(*increments: Increments) -> Counter[SeriesKey]:
    """Return all that *increments* add: counts, and observations by how many."""
    total: Counter[SeriesKey] = Counter()
    for one in increments:
        total.update(one.counts)
        total.update({key: len(values) for key, values in one.observations.items()})
    return total


def digested(known: dict[ExecutionId, Tracked], rows: list[Execution]) -> Digest:
    """Digest *rows* and take the result over into *known*."""
    result = digest(known, Batch(target=T, rows=rows), NOW)
    known.update(result.rows)
    return result


@given(histories())
def test_a_batch_digested_twice_adds_nothing_twice(rows: list[Execution]) -> None:
    """What was committed once leaves nothing to commit when it is read again."""
    known: dict[ExecutionId, Tracked] = {}
    digested(known, rows)
    again = digested(known, rows)
    assert (again.rows, added(again.increments)) == ({}, Counter())


@given(histories(), st.data())
def test_it_does_not_matter_how_rows_are_cut_up(rows: list[Execution], data: st.DataObject) -> None:
    """Pages of any size, in any order and with repetitions add the same in the end."""
    together = added(digested({}, rows).increments)
    shuffled = data.draw(st.permutations(rows + rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    known: dict[ExecutionId, Tracked] = {}
    parts = [
        digested(known, shuffled[start:end]).increments
        for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)
    ]
    assert added(*parts) == together


@given(histories())
def test_priming_counts_nothing_and_knows_everything(rows: list[Execution]) -> None:
    """After a cold start each row is known, none is counted, and each plan has its series."""
    primed = digest({}, Batch(target=T, rows=rows, step=Step.PRIME), NOW)
    assert added(primed.increments) == Counter()
    assert primed.rows.keys() == {row.id for row in rows}
    plans = {key[1][2] for key in primed.increments.births if len(key[1]) > 2}
    assert plans == {row.launch_plan for row in rows}


@given(histories(), st.data())
def test_ends_are_told_to_launch_plans_once(rows: list[Execution], data: st.DataObject) -> None:
    """However rows are cut up and repeated, each end advances the state of its plan one time."""
    together = digest({}, Batch(target=T, rows=rows), NOW).plans
    known: dict[ExecutionId, Tracked] = {}
    plans: dict[str, PlanState] = {}
    shuffled = data.draw(st.permutations(rows + rows))
    for start in range(0, len(shuffled), 3):
        part = digest(known, Batch(target=T, rows=shuffled[start : start + 3]), NOW, plans=plans)
        known.update(part.rows)
        plans.update(part.plans)
    assert plans == together
    again = digest(known, Batch(target=T, rows=rows), NOW, plans=plans)
    assert again.plans == {}


@given(histories())
def test_priming_tells_what_is_over(rows: list[Execution]) -> None:
    """Nothing of it is counted, and all of it is known of the launch plans; beside what was."""
    primed = digest({}, Batch(target=T, rows=rows, step=Step.PRIME), NOW)
    counted = digest({}, Batch(target=T, rows=rows), NOW)
    assert primed.plans == counted.plans
    before = {"c": PlanState(ended_at=NOW)}
    batch = Batch(target=T, rows=rows, step=Step.PRIME, plans=before)
    assert digest({}, batch, NOW).plans == {**before, **primed.plans}


def test_the_past_tells_only_what_no_list_will() -> None:
    """Neither the end of an execution that is live for us, nor one that is yet to be listed."""

    def ended(name: str, created: int) -> Execution:
        key, end = ExecutionId(name, Micros(created)), Micros(created + 1)
        return Execution(key, Phase.FAILED, Mode.MANUAL, "a", None, end, None)

    old, over, live, new = ended("old", 1), ended("over", 12), ended("live", 3), ended("new", 14)
    known = {over.id: OVER[Phase.FAILED], live.id: Tracked(Phase.RUNNING)}
    rows = [old, over, live, new, old]
    batch = Batch(target=T, rows=rows, step=Step.PAST, settled_before=Micros(10))
    told = digest(known, batch, NOW)
    assert told.plans["a"].failures == (Micros(2), Micros(13))
    assert (told.rows, added(told.increments)) == ({}, Counter())


def test_only_what_was_settled_is_a_correction() -> None:
    """A reconcile that is first to see a fresh row has put nothing right."""
    old = Execution(ExecutionId("old", Micros(5)), Phase.RUNNING, Mode.MANUAL, "a", None, NOW, None)
    new = old._replace(id=ExecutionId("new", Micros(10)))
    batch = Batch(target=T, rows=[old, new], step=Step.LATE, settled_before=Micros(10))
    assert digest({}, batch, NOW).corrections == {Correction.LATE: 1}
    assert digest({old.id: Tracked(Phase.RUNNING)}, batch, NOW).corrections == {}
