"""What is repeated, and when nothing is any more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.admin.errors import (
    AdminError,
    CircuitOpen,
    HeldBack,
    MessageTooLarge,
    Nonsense,
    NotFound,
    NoToken,
    Throttled,
    refusal,
)
from exporter.admin.retry import ATTEMPTS, RetryBudget, is_worth_retrying

_FACTS = {"method": "ListExecutions", "details": "no"}


@pytest.mark.parametrize(
    ("code", "worth"),
    [
        ("UNAVAILABLE", True),
        ("INTERNAL", True),
        ("UNKNOWN", True),
        ("DEADLINE_EXCEEDED", True),
        ("INVALID_ARGUMENT", False),
        ("NOT_FOUND", False),
        ("UNIMPLEMENTED", False),
        ("PERMISSION_DENIED", False),
        ("UNAUTHENTICATED", False),
        ("FAILED_PRECONDITION", False),
        ("ALREADY_EXISTS", False),
        ("CANCELLED", True),
        ("DATA_LOSS", False),
    ],
)
def test_statuses(code: str, *, worth: bool) -> None:
    """What may be gone in a moment is asked again; what Admin says about the question is not."""
    assert is_worth_retrying(refusal("ListExecutions", code, "no"), hangs=1) is worth


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (Throttled(code="RESOURCE_EXHAUSTED", **_FACTS), True),
        (MessageTooLarge(code="RESOURCE_EXHAUSTED", **_FACTS), False),
        (Nonsense(code="INTERNAL", **_FACTS), False),
        (CircuitOpen(method="ListExecutions", why="refused", wait=0.5), True),
        (CircuitOpen(method="ListExecutions", why="refused"), False),
        (HeldBack(code="DEADLINE_EXCEEDED", **_FACTS), False),
        (NoToken(code="UNAVAILABLE", lasting=False, **_FACTS), True),
        (NoToken(code="UNAUTHENTICATED", lasting=True, **_FACTS), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdminError) else "",
)
def test_kinds(error: AdminError, *, worth: bool) -> None:
    """Where the status says too little, the kind decides."""
    assert is_worth_retrying(error, hangs=0) is worth


def test_a_hang_is_repeated_once() -> None:
    """A database that is overloaded is not asked a third time within one call."""
    error = refusal("ListExecutions", "DEADLINE_EXCEEDED", "")
    assert [is_worth_retrying(error, hangs=hangs) for hangs in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        ("CLIENT: Received message larger than max (5 vs. 4)", MessageTooLarge),
        ("Stream removed (CLIENT: Received message larger than max (5 vs. 4))", MessageTooLarge),
        ("received trailing metadata size exceeds hard limit", AdminError),
        ("outputs too large", AdminError),
        ("local rate limited", Throttled),
        ("", Throttled),
    ],
)
def test_what_is_exhausted(details: str, kind: type[AdminError]) -> None:
    """RESOURCE_EXHAUSTED is a page that is too large, a quota, or another size: by its words."""
    assert type(refusal("ListExecutions", "RESOURCE_EXHAUSTED", details)) is kind


def test_not_found_is_a_kind_of_its_own() -> None:
    """It is an answer."""
    assert type(refusal("GetExecution", "NOT_FOUND", "")) is NotFound


def test_an_outage_empties_the_purse_and_good_calls_fill_it() -> None:
    """After 50 failures nobody retries; ten answers buy one retry back."""
    budget = RetryBudget()
    for _ in range(49):
        budget.failed(0)
    assert budget.allows_retry(0)
    budget.failed(0)
    assert not budget.allows_retry(0)
    for _ in range(10):
        budget.succeeded(0)
    assert budget.allows_retry(0)


def test_the_purse_has_a_bottom_and_a_rim() -> None:
    """However long an outage or a good time was, the next change is noticed as soon."""
    empty, full = RetryBudget(), RetryBudget()
    for _ in range(10_000):
        empty.failed(0)
        full.succeeded(0)
    for _ in range(510):
        empty.succeeded(0)
    full.allows_retry(10_000)
    for _ in range(50):
        full.failed(10_000)
    assert empty.allows_retry(0)
    assert not full.allows_retry(10_000)


@given(st.floats(0, 1e9), st.integers(50, 10_000))
def test_after_some_quiet_seconds_there_are_retries_again(over_at: float, failures: int) -> None:
    """Also where two calls in half a minute would need hours to earn them."""
    budget = RetryBudget()
    for _ in range(failures):
        budget.failed(over_at)
    assert not budget.allows_retry(over_at)
    assert budget.allows_retry(over_at + 103)


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(1, 30)), max_size=100))
def test_an_outage_is_never_multiplied(moments: list[tuple[float, int]]) -> None:
    """Whenever calls come in it, it costs fifty retries at once and one more in two seconds."""
    budget, now, retries = RetryBudget(), 0.0, 0
    for pause, calls in moments:
        now += pause
        for _ in range(calls):
            for attempt in range(1, ATTEMPTS + 1):
                budget.failed(now)
                if attempt == ATTEMPTS or not budget.allows_retry(now):
                    break
                retries += 1
        assert retries <= 50 + now / 2
