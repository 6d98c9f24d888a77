"""Pages, tokens and order."""

from typing import Any

import pytest
from flyteidl.admin import common_pb2
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.executions import Phase
from exporter.sim.api import AdminApi
from exporter.sim.execution import ErrorSeen, ExecutionKey
from exporter.sim.refusal import Refusal
from exporter.sim.store import Store
from tests.sim.conftest import START


def listing(**fields: Any) -> Any:
    """Return a list request of p/d."""
    identifier = common_pb2.NamedEntityIdentifier(project="p", domain="d")
    return common_pb2.ResourceListRequest(id=identifier, **fields)


@given(rows=st.integers(0, 12), limit=st.integers(1, 6))
def test_tokens_lead_through_all_rows_once(rows: int, limit: int) -> None:
    """Sorted by id, following tokens gives each row once, and a full last page an empty one."""
    api = AdminApi(Store(), now=lambda: START)
    for index in range(rows):
        api.executions.launch(
            ExecutionKey("p", "d", f"e{index}"),
            launch_plan="plan",
            created_at=START,
        )
    seen, token, pages = [], "", 0
    sort = common_pb2.Sort(key="id", direction=common_pb2.Sort.ASCENDING)
    while token or not pages:
        page = api.lifecycle.list_executions(listing(limit=limit, token=token, sort_by=sort))
        seen += [row.id.name for row in page.executions]
        assert bool(page.token) == (len(page.executions) == limit)
        token, pages = page.token, pages + 1
    assert seen == [f"e{index}" for index in range(rows)]
    assert pages == rows // limit + 1


@pytest.mark.parametrize(
    ("request_fields", "details"),
    [
        ({"filters": "x", "token": "x"}, "invalid value for limit"),
        ({"limit": 1, "filters": "x", "token": "x"}, "invalid value for filters"),
        (
            {"limit": 1, "token": "x", "sort_by": common_pb2.Sort(key="zz")},
            "invalid sort key 'zz'",
        ),
        ({"limit": 1, "sort_by": common_pb2.Sort(key="listed")}, "invalid sort key 'listed'"),
        (
            {"limit": 1, "filters": "eq(mode,x)", "token": "1_0"},
            "invalid pagination token 1_0 for ListExecutions",
        ),
    ],
)
def test_the_first_fault_wins(admin: Any, request_fields: Any, details: str) -> None:
    """Limit, filters, sort, token, database: in this order, whatever else is wrong."""
    with pytest.raises(Refusal) as refused:
        admin.api.lifecycle.list_executions(listing(**request_fields))
    assert refused.value.details == details


def test_without_a_sort_no_two_answers_need_agree(admin: Any) -> None:
    """A client that forgets to sort gets another order sooner or later."""
    for index in range(20):
        admin.launch(f"e{index}")
    orders = {tuple(admin.names(sort=None)) for _ in range(5)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(admin.names())}


def test_sorting_by_user_sorts_nothing(admin: Any) -> None:
    """Unquoted, the column is PostgreSQL's own word for who asks."""
    for index in range(20):
        admin.launch(f"e{index}")
    assert len({tuple(admin.names(sort="user")) for _ in range(5)}) > 1


def test_ties_are_shuffled_and_the_rest_is_sorted(admin: Any) -> None:
    """Rows of one instant have no order among each other; instants have."""
    for index in range(20):
        admin.launch(f"e{index}", after=index // 10)
    orders = {tuple(admin.names(sort="execution_created_at")) for _ in range(5)}
    assert len(orders) > 1
    assert {frozenset(order[:10]) for order in orders} == {
        frozenset(f"e{index}" for index in range(10))
    }


def test_a_late_row_is_not_there_until_it_is_written(admin: Any, clock: Any) -> None:
    """No call finds it before, and its id says that it came after rows created later."""
    admin.launch("late", visible_after=30)
    admin.launch("prompt", after=1)
    admin.executions.reveal(clock.now() + 29_999_999)
    assert admin.names() == ["prompt"]
    with pytest.raises(Refusal):
        admin.executions.get(admin.key("late"))
    admin.executions.reveal(clock.now() + 30_000_000)
    assert admin.names() == ["prompt", "late"]
    assert admin.names(sort="execution_created_at") == ["late", "prompt"]


def test_archived_rows_are_listed_only_when_a_filter_names_state(admin: Any, clock: Any) -> None:
    """Archiving hides from lists, not from GetExecution."""
    key = admin.launch("one")
    admin.executions.archive(key, at=clock.now())
    assert admin.names() == []
    assert admin.names("value_in(state,0;1)") == ["one"]
    assert admin.executions.get(key).closure.state_change_details.state == 1
    admin.executions.archive(key, at=clock.now(), state=0)
    assert admin.names() == ["one"]


def test_lists_cut_messages_on_a_character(admin: Any, clock: Any) -> None:
    """At most 100 bytes, never half a letter; GetExecution has all of it."""
    key = admin.launch("one")
    message = "x" + "é" * 80
    admin.executions.move(
        key, Phase.FAILED, at=clock.now(), error=ErrorSeen("USER", "code", message)
    )
    (row,) = admin.listed().executions
    assert row.closure.error.message == "x" + "é" * 49
    assert admin.executions.get(key).message().closure.error.message == message


def test_a_page_of_live_rows_does_not_walk_through_history(admin: Any, clock: Any) -> None:
    """The few live rows are looked up, not found by walking through history."""
    for index in range(200):
        key = admin.launch(f"e{index}", after=index)
        if index % 50:
            admin.executions.move(key, Phase.SUCCEEDED, at=clock.now())
    plan = admin.store.rows(
        "EXPLAIN QUERY PLAN SELECT executions.listed FROM executions"
        " WHERE executions.id IS NOT NULL AND executions.execution_project = 'p'"
        " AND executions.execution_domain = 'd' AND executions.\"phase\" IN ('RUNNING')"
        ' ORDER BY +executions."execution_created_at"'
    )
    assert "executions_by_phase" in str(plan)
    live = admin.names("value_in(phase,UNDEFINED;RUNNING)", sort="execution_created_at")
    assert live == ["e0", "e50", "e100", "e150"]
