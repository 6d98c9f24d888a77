"""The filter grammar, fault by fault, and what it does to rows."""

import sqlite3
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.executions import Phase
from exporter.model.time import Micros, rfc3339
from exporter.sim.entities import EXECUTION, LAUNCH_PLAN, PROJECT
from exporter.sim.filters import conjunction, names_state, parsed
from exporter.sim.refusal import Refusal

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_UNKNOWN = grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("x", "invalid value for filters"),
        ("eq(phase,RUNNING", "invalid value for filters"),
        ("eq(phase,)", "invalid value for filters"),
        ("eq(phase,RUNNING)+", "invalid value for filters"),
        ("eq(cluster,a+b)", "invalid value for filters"),
        ("foo(phase,RUNNING)", "unrecognized filter function: foo"),
        ("eq(mode,0) + eq(mode,1)", "unrecognized filter function:  eq"),
        ("eq(phase,a,b)", "'e.phase,a' is invalid filter"),
        ("eq(name,a)", "'e.name' is invalid filter"),
        ("foo(name,a)", "'e.name' is invalid filter"),
        ("eq(launch_plan.nope,a)", "'l.nope' is invalid filter"),
        ("eq(node_execution.phase,a)", "'ne' entity is not allowed in filters"),
        ("eq(nope.phase,a)", "'e.nope.phase' is invalid filter"),
        ("gt(duration,abc)", "Failed to parse duration [abc]"),
        ("gt(duration,1m30)", "Failed to parse duration [1m30]"),
        ("eq(place,1)", "'e.place' is invalid filter"),
    ],
)
def test_a_fault_of_grammar_is_an_invalid_argument(text: str, details: str) -> None:
    """Each fault is refused with Admin's own words, before the database is asked."""
    with pytest.raises(Refusal) as refused:
        parsed(text, EXECUTION)
    assert (refused.value.code, refused.value.details) == (_INVALID, details)


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("eq(phase,A;B)", "operator does not exist: text = record"),
        ("gte(mode,1;2)", "operator does not exist: integer >= record"),
        ("contains(mode,1)", "operator does not exist: integer ~~ unknown"),
        ("not_like(id,1)", "operator does not exist: bigint !~~ unknown"),
        ("contains(created_at,1)", "operator does not exist: timestamp with time zone ~~ unknown"),
        ("eq(mode,abc)", 'invalid input syntax for type integer: "abc"'),
        ("value_in(mode,1;x)", 'invalid input syntax for type integer: "x"'),
        ("eq(mode,2147483648)", 'value "2147483648" is out of range for type integer'),
        ("gt(started_at,soon)", 'invalid input syntax for type timestamp with time zone: "soon"'),
        ("gt(started_at,2026-02-30)", 'date/time field value out of range: "2026-02-30"'),
    ],
)
def test_a_fault_of_type_is_the_databases_and_unknown(text: str, details: str) -> None:
    """What PostgreSQL would refuse passes the grammar and fails only when it is put to it."""
    conditions = parsed(text, EXECUTION)
    with pytest.raises(Refusal) as refused:
        conjunction(conditions)
    expected = f"failed database operation with {details}"
    assert (refused.value.code, refused.value.details) == (_UNKNOWN, expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("eq(phase,RUNNING)", "RUNNING"),
        ("eq(phase, RUNNING)", "RUNNING"),
        ("eq(phase,  RUNNING)", " RUNNING"),
        ("eq(phase,RUNNING)xyz", "RUNNING"),
        ("eq(phase,a(b)c)", "a(b)c"),
        ("eq(duration,30)", 30_000_000_000),
        ("eq(duration,0.5)", 500_000_000),
        ("eq(duration,1h30m)", 5_400_000_000_000),
        ("eq(duration,-1.5ms)", -1_500_000),
        ("eq(mode, 3)", 3),
        ("eq(created_at,1970-01-01T00:00:01Z)", 1_000_000),
        ("eq(created_at,1970-01-01 00:00:01)", 1_000_000),
        ("eq(created_at,1970-01-01T00:00:00-01:00)", 3_600_000_000),
        ("eq(created_at,1970-01-01T00:00:00.0000015Z)", 2),
        ("eq(created_at,1970-01-02)", 86_400_000_000),
    ],
)
def test_a_value_is_read_as_the_database_reads_it(text: str, value: Any) -> None:
    """One blank after the comma goes; the rest, to the last parenthesis, is the value."""
    assert conjunction(parsed(text, EXECUTION)).parameters == [value]


@given(st.text(alphabet="eq(phase,ms);+. 19launch_plantd", max_size=30))
def test_any_text_is_understood_or_refused(text: str) -> None:
    """No text makes anything but a refusal or SQL that the database takes."""
    for entity in (EXECUTION, LAUNCH_PLAN, PROJECT):
        try:
            where = conjunction(parsed(text, entity))
        except Refusal:
            continue
        assert where.sql.count("?") == len(where.parameters)


@given(st.integers(0, 4_000_000_000_000_000).map(Micros))
def test_our_own_timestamps_come_back_to_the_microsecond(instant: Micros) -> None:
    """A cursor that is written with microseconds and a Z is read as the same instant."""
    where = conjunction(parsed(f"gte(execution_created_at,{rfc3339(instant)})", EXECUTION))
    assert where.parameters == [instant]


@given(
    st.lists(st.sampled_from(["a", "ab", "b%", "_", "A", "a\\b"]), max_size=4),
    st.sampled_from(["a", "b", "%", "_b", "a_", "\\%", "A"]),
)
def test_contains_is_a_case_sensitive_pattern(rows: list[str], sought: str) -> None:
    """`%` and `_` stay wildcards, a backslash escapes, and upper case is not lower case."""
    where = conjunction(parsed(f"contains(cluster,{sought})", EXECUTION))
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    database.execute("CREATE TABLE executions (cluster TEXT)")
    database.executemany("INSERT INTO executions VALUES (?)", [(row,) for row in rows])
    query = f"SELECT cluster FROM executions WHERE {where.sql}"  # noqa: S608 - what is tested
    found = database.execute(query, where.parameters)
    pattern = {"%": "", "\\%": "%"}.get(sought, sought)
    assert sorted(row for (row,) in found) == sorted(row for row in rows if _matches(row, pattern))
    database.close()


def _matches(row: str, pattern: str) -> bool:
    """Whether *pattern*, in which only `_` is a wildcard, lies somewhere in *row*."""
    width = len(pattern)
    return any(
        all(wanted in {"_", found} for wanted, found in zip(pattern, row[i:], strict=False))
        for i in range(len(row) - width + 1)
    )


def test_only_a_field_called_state_reveals_archived_rows() -> None:
    """The field decides, of whatever entity; a value that says state does not."""
    assert names_state(parsed("eq(launch_plan.state,0)", EXECUTION))
    assert not names_state(parsed("eq(cluster,state)", EXECUTION))


def test_joins_are_inner(admin: Any) -> None:
    """A filter on launch plans leaves out executions of unregistered ones, whatever it asks."""
    admin.launch("one")
    assert admin.names() == ["one"]
    assert admin.names("ne(launch_plan.name,other)") == []


def test_tags_match_by_execution_name_alone(admin: Any) -> None:
    """The same name in another project answers too, as it does in Flyte."""
    admin.launch("same", project="other", labels={"team": "ml"})
    admin.launch("same")
    assert admin.names("eq(execution_tag.key,team)") == ["same"]
    assert admin.names("eq(admin_tag.name,team)") == ["same"]


def test_missing_values_match_no_comparison(admin: Any) -> None:
    """NULL is neither equal nor unequal: executions without error match no filter on it."""
    key = admin.launch("one")
    admin.executions.move(key, Phase.RUNNING, at=Micros(admin.clock.now()))
    assert admin.names("ne(error_kind,USER)") == []
    assert admin.names("value_not_in(error_kind,USER;SYSTEM)") == []
