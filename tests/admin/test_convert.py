"""Rows of any Admin become ours, or are refused as nonsense."""

from datetime import timedelta
from typing import Any

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2
from hypothesis import given
from hypothesis import strategies as st

from exporter.admin import convert
from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.time import SECOND, Micros, rfc3339

_LATE = 253_402_300_799  # the last second of the year 9999


def row(name: str = "a") -> Any:
    """Return a message with the least that Admin always sets."""
    message = execution_pb2.Execution()
    message.id.project, message.id.domain, message.id.name = "p", "d", name
    message.closure.created_at.seconds = 100
    message.closure.updated_at.seconds = 200
    message.spec.launch_plan.name = "nightly"
    message.spec.launch_plan.resource_type = identifier_pb2.LAUNCH_PLAN
    return message


def test_a_row_that_just_came_to_be() -> None:
    """What Admin has not set is None, and not 0."""
    assert convert.execution(row()) == Execution(
        ExecutionId("a", Micros(100 * SECOND)),
        Phase.UNDEFINED,
        Mode.MANUAL,
        "nightly",
        None,
        Micros(200 * SECOND),
        None,
    )


def test_a_row_that_is_over() -> None:
    """Every field finds its place."""
    message = row()
    message.closure.phase = core_execution.WorkflowExecution.SUCCEEDED
    message.spec.metadata.mode = execution_pb2.ExecutionMetadata.CHILD_WORKFLOW
    message.closure.started_at.seconds = 150
    message.closure.duration.FromTimedelta(timedelta(seconds=50, microseconds=7))
    assert convert.execution(message)[1:] == (
        Phase.SUCCEEDED,
        Mode.CHILD_WORKFLOW,
        "nightly",
        Micros(150 * SECOND),
        Micros(200 * SECOND),
        50 * SECOND + 7,
        None,
    )


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_numbers_of_a_newer_admin_are_unrecognized(phase: int, mode: int) -> None:
    """An enum value of tomorrow is a row like any other, but for one word."""
    message = row()
    message.closure.phase = phase
    message.spec.metadata.mode = mode
    converted = convert.execution(message)
    phases = core_execution.WorkflowExecution.Phase.values()
    modes = execution_pb2.ExecutionMetadata.ExecutionMode.values()
    assert converted.phase == (phase if phase in phases else Phase.UNRECOGNIZED)
    assert converted.mode == (mode if mode in modes else Mode.UNRECOGNIZED)


def test_a_single_task_has_the_launch_plan_that_flyte_makes_for_it() -> None:
    """Rows of the same task count together, whether Admin names the task or its launch plan."""
    task, generated = row(), row()
    task.spec.launch_plan.name = "train"
    task.spec.launch_plan.resource_type = identifier_pb2.TASK
    generated.spec.launch_plan.name = ".flytegen.train"
    assert convert.execution(task).launch_plan == ".flytegen.train"
    assert convert.execution(generated).launch_plan == ".flytegen.train"


@given(st.integers(0, _LATE), st.integers(0, 999_999_999))
def test_nanoseconds_are_cut_not_rounded(seconds: int, nanos: int) -> None:
    """As Admin's own columns cut them: a rounded bound would lie beyond its row."""
    message = row()
    message.closure.created_at.seconds = seconds
    message.closure.created_at.nanos = nanos
    instant = convert.execution(message).id.created_at
    assert instant * 1000 <= seconds * 10**9 + nanos < (instant + 1) * 1000
    assert rfc3339(instant)


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        pytest.param(-1, 0, id="before-1970"),
        pytest.param(_LATE + 1, 0, id="year-10000"),
        pytest.param(2**63 - 1, 0, id="largest"),
        pytest.param(-(2**63), 0, id="smallest"),
        pytest.param(_LATE, 1_500_000_000, id="nanoseconds-reach-year-10000"),
        pytest.param(0, -1_000_000, id="nanoseconds-reach-1969"),
    ],
)
def test_a_creation_time_that_no_calendar_has_is_nonsense(seconds: int, nanos: int) -> None:
    """It is half of a row's identity: refused where it comes in, not where it is written down."""
    message = row()
    message.closure.created_at.seconds, message.closure.created_at.nanos = seconds, nanos
    with pytest.raises(ValueError, match="from a time that no calendar has"):
        convert.execution(message)


@pytest.mark.parametrize("field", ["updated_at", "started_at"])
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        pytest.param(-1, 0, id="before-1970"),
        pytest.param(_LATE + 1, 0, id="year-10000"),
        pytest.param(2**63 - 1, 0, id="largest"),
        pytest.param(-(2**63), 0, id="smallest"),
        pytest.param(_LATE, 1_500_000_000, id="nanoseconds-reach-year-10000"),
        pytest.param(0, -1_000_000, id="nanoseconds-reach-1969"),
    ],
)
def test_another_time_that_no_calendar_has_is_unknown(field: str, seconds: int, nanos: int) -> None:
    """One odd time must not keep the rest of a target's rows from being counted."""
    message = row()
    stamp = getattr(message.closure, field)
    stamp.seconds, stamp.nanos = seconds, nanos
    execution = convert.execution(message)
    unknown = execution.id.created_at if field == "updated_at" else None
    assert getattr(execution, field) == unknown


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 10**12])
def test_a_duration_that_no_calendar_has_is_unknown(seconds: int) -> None:
    """Too long for any arithmetic: nobody knows how long it was."""
    message = row()
    message.closure.duration.seconds = seconds
    assert convert.execution(message).duration is None


def test_a_row_without_a_name_is_nonsense() -> None:
    """It has no identity, so it cannot be counted once."""
    with pytest.raises(ValueError, match=r"^an execution called '' of launch plan 'nightly'$"):
        convert.execution(row(name=""))


def test_a_nul_is_nonsense() -> None:
    """The ledger could not keep it: two executions would become one."""
    other = row()
    other.spec.launch_plan.name = "night\0ly"
    for message in (row(name="a\0b"), other):
        with pytest.raises(ValueError, match=r"^an execution called"):
            convert.execution(message)


@given(st.binary(max_size=60))
def test_any_message_is_a_row_or_nonsense(noise: bytes) -> None:
    """Whatever decodes becomes a row whose times can be written, or a ValueError."""
    message = row()
    try:
        message.MergeFromString(noise)
    except Exception:  # noqa: BLE001  # protobuf's own DecodeError differs between its runtimes
        return
    try:
        converted = convert.execution(message)
    except ValueError:
        return
    assert rfc3339(converted.id.created_at)
    assert rfc3339(converted.updated_at)
