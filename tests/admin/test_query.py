"""What we send, Admin's grammar accepts, and it means what we say."""

from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.admin import query
from exporter.admin.query import Query
from exporter.model.executions import NON_TERMINAL
from exporter.model.time import Micros
from exporter.sim.entities import EXECUTION
from exporter.sim.filters import conjunction, names_state, parsed
from tests.rows import NOON, instants


class Ask(Protocol):
    """A question about a time."""

    def __call__(self, instant: Micros, /, *, live_only: bool = False) -> Query:
        """Return the query."""


_BY_TIME: dict[Ask, str] = {
    query.created_from: "gte",
    query.created_after: "gt",
}
_PHASES = ("UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDING", "FAILING", "ABORTING")


def understood(asked: Query) -> list[tuple[str, str, tuple[object, ...]]]:
    """Return field, function and values of each condition, as the server reads them."""
    return [
        (condition.field, condition.function, condition.values)
        for condition in parsed(asked.filters, EXECUTION)
    ]


@pytest.mark.parametrize("live_only", [False, True])
@pytest.mark.parametrize("ask", _BY_TIME)
def test_every_query_by_time_names_the_state_and_sorts(ask: Ask, *, live_only: bool) -> None:
    """Without a state Admin hides archived rows; without a sort its pages skip some."""
    asked = ask(NOON, live_only=live_only)
    conditions = parsed(asked.filters, EXECUTION)
    assert names_state(conditions)
    assert ("state", "value_in", ("0", "1")) in understood(asked)
    assert asked.sort_key in EXECUTION.columns


def test_a_query_by_name_names_the_state_and_sorts() -> None:
    """The same holds where names are listed."""
    asked = query.named(["a", "b"])
    assert understood(asked) == [
        ("execution_name", "value_in", ("a", "b")),
        ("state", "value_in", ("0", "1")),
    ]
    assert asked.sort_key in EXECUTION.columns


@pytest.mark.parametrize("ask", _BY_TIME)
@given(instant=instants)
def test_an_instant_arrives_to_the_microsecond(ask: Ask, instant: Micros) -> None:
    """The bound that the database compares with is the one that was asked for."""
    asked = ask(instant)
    (field, function, _), _ = understood(asked)
    assert (field, function) == ("execution_created_at", _BY_TIME[ask])
    assert conjunction(parsed(asked.filters, EXECUTION)).parameters[0] == instant


def test_one_instant_is_listed_in_order_of_insertion() -> None:
    """Within an instant creation times tie, so offsets need another total order."""
    assert query.created_at(NOON).sort_key == "id"
    assert query.created_from(NOON).sort_key == "execution_created_at"
    assert query.created_after(NOON).sort_key == "execution_created_at"


def test_live_is_every_phase_that_is_not_over() -> None:
    """A list of the live ones names each non-terminal phase in Flyte's words, and no other."""
    assert understood(query.created_from(NOON, live_only=True))[1] == (
        "phase",
        "value_in",
        _PHASES,
    )
    assert {phase.name for phase in NON_TERMINAL} == set(_PHASES)


@pytest.mark.parametrize(
    ("launch_plan", "field", "name"),
    [
        ("etl.nightly", "launch_plan.name", "etl.nightly"),
        # Admin joins with launch plans, of which a single task has none.
        (".flytegen.app.fit", "task.name", "app.fit"),
    ],
)
def test_the_past_of_a_launch_plan_is_its_newest_outcomes(
    launch_plan: str, field: str, name: str
) -> None:
    """Of root executions, archived or not, that succeeded or failed; from the newest on."""
    asked = query.ended_of(launch_plan)
    joined, *others = understood(asked)
    entity, _, column = field.partition(".")
    assert joined[1:] == ("eq", (name,))
    assert f"eq({entity}.{column},{name})" in asked.filters
    assert others == [
        ("phase", "value_in", ("SUCCEEDED", "FAILED", "TIMED_OUT")),
        ("mode", "ne", ("4",)),
        ("state", "value_in", ("0", "1")),
    ]
    assert (asked.sort_key, asked.descending) == ("execution_created_at", True)
    succeeded = query.ended_of(launch_plan, succeeded=True)
    assert succeeded.filters == asked.filters.replace("SUCCEEDED;FAILED;TIMED_OUT", "SUCCEEDED")


@pytest.mark.parametrize("launch_plan", ["", "a+b", "a(b)", ".flytegen.", ".flytegen.a;b"])
def test_a_launch_plan_that_no_filter_can_name_is_refused(launch_plan: str) -> None:
    """Its past cannot be asked for; whoever might ask can know that before."""
    assert not query.has_past(launch_plan)
    with pytest.raises(ValueError, match="cannot stand in a filter"):
        query.ended_of(launch_plan)


@given(st.lists(st.text().filter(query.is_speakable), min_size=1, max_size=5))
def test_speakable_names_arrive_as_they_are(listed: list[str]) -> None:
    """The database is asked for exactly the names that were given."""
    where = conjunction(parsed(query.named(listed).filters, EXECUTION))
    assert where.parameters == [*listed, 0, 1]


@pytest.mark.parametrize(
    "name", ["", "a+b", "a;b", "a,b", "a(b", "a)b", "a b", "a\tb", "a\nb", "\ra", "\fa"]
)
def test_an_unspeakable_name_is_refused(name: str) -> None:
    """What the grammar would tear apart is never sent."""
    assert not query.is_speakable(name)
    with pytest.raises(ValueError, match="cannot stand in a filter") as refused:
        query.named(["fine", name])
    assert str(refused.value) == f"execution name {name!r} cannot stand in a filter of Admin's"


@pytest.mark.parametrize("name", ["a", "f6a1b2c3d4", "nightly-2026-07-01", "x_y.z"])
def test_flytes_own_names_are_speakable(name: str) -> None:
    """No name that Flyte makes up has to be asked for one by one."""
    assert query.is_speakable(name)
