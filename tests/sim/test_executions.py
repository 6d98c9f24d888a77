"""How events move an execution, and what is remembered of its end."""

from typing import Any

import grpc
import pytest
from flyteidl.admin import event_pb2
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.executions import Mode, Phase
from exporter.model.time import Micros
from exporter.sim.execution import ErrorSeen
from exporter.sim.phases import refuse_phase_change
from exporter.sim.refusal import Refusal
from exporter.sim.wire import nanos_of, timestamp
from tests.sim.conftest import START

PHASES = [phase for phase in Phase if phase is not Phase.UNRECOGNIZED]


def refusal_of(current: Phase, announced: Phase) -> Refusal | None:
    """Return why the change is refused, None if it is not."""
    try:
        refuse_phase_change(current, announced, project="p", name="n")
    except Refusal as refusal:
        return refusal
    return None


@given(current=st.sampled_from(PHASES), announced=st.sampled_from(PHASES))
def test_nothing_follows_the_end(current: Phase, announced: Phase) -> None:
    """After a terminal phase every event is refused, with the reason for programs."""
    refusal = refusal_of(current, announced)
    if current.is_terminal and current is not announced:
        assert refusal is not None
        assert isinstance(refusal.reason, event_pb2.EventFailureReason)
        assert refusal.reason.already_in_terminal_state.current_phase == current.name
    if announced.is_terminal and not current.is_terminal:
        assert refusal is None
    if current is announced and current is not Phase.QUEUED:
        assert refusal is not None
        assert refusal.code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("current", "announced", "change"),
    [
        (Phase.RUNNING, Phase.RUNNING, "This phase RUNNING was already recorded"),
        (Phase.RUNNING, Phase.QUEUED, "Cannot go from RUNNING to QUEUED"),
        (Phase.ABORTING, Phase.FAILING, "Invalid phase change from aborting to FAILING"),
    ],
)
def test_a_refused_event_says_why(current: Phase, announced: Phase, change: str) -> None:
    """The texts are Admin's."""
    refusal = refusal_of(current, announced)
    assert refusal is not None
    assert refusal.details == f'{change} for workflow execution project:"p" name:"n"'


def test_duration_is_from_running_to_the_end(admin: Any) -> None:
    """Nanoseconds survive in the closure; the columns are cut to microseconds."""
    key = admin.launch("one")
    stored = admin.executions.get(key)
    started, ended = START * 1000 + 1_500, START * 1000 + 2_000_999
    admin.executions.record(stored, Phase.RUNNING, occurred_ns=started, received_at=START)
    admin.executions.record(stored, Phase.SUCCEEDED, occurred_ns=ended, received_at=START)
    closure = admin.executions.get(key).closure
    assert closure.started_at.ToNanoseconds() == started
    assert closure.updated_at.ToNanoseconds() == ended
    assert closure.duration.ToNanoseconds() == ended - (started - 500)
    assert admin.store.row("SELECT started_at, execution_updated_at FROM executions") == (
        START + 1,
        START + 2_000,
    )


def test_what_never_ran_has_no_duration(admin: Any) -> None:
    """FAILED before RUNNING leaves started_at and duration out, and the column at 0."""
    key = admin.launch("one")
    admin.executions.move(key, Phase.FAILED, at=START, error=ErrorSeen("SYSTEM", "c", "m"))
    closure = admin.executions.get(key).closure
    assert not closure.HasField("started_at")
    assert not closure.HasField("duration")
    assert admin.names("eq(duration,0)+eq(error_kind,SYSTEM)") == ["one"]


def test_aborting_moves_no_event_time(admin: Any, clock: Any) -> None:
    """ABORTING is Admin's own doing: updated_at stays where propeller's last event left it."""
    key = admin.launch("one")
    clock.advance(60)
    admin.executions.abort(admin.executions.get(key), "why", at=clock.now())
    closure = admin.executions.get(key).closure
    assert closure.updated_at == closure.created_at
    assert closure.abort_metadata.cause == "why"
    admin.executions.move(key, Phase.ABORTED, at=clock.now())
    assert admin.executions.get(key).closure.abort_metadata.cause == "why"


def test_an_end_is_remembered_even_when_the_row_is_not(admin: Any) -> None:
    """The log of ends names launch plan, mode and phase, and survives deletion."""
    key = admin.launch("one", mode=Mode.SCHEDULED, launch_plan="nightly")
    admin.executions.move(key, Phase.SUCCEEDED, at=START)
    admin.executions.delete(key)
    (finish,) = admin.executions.finishes
    assert finish == (START, key, "nightly", Mode.SCHEDULED, Phase.SUCCEEDED)
    assert admin.names() == []


def test_a_late_rows_end_is_known_when_it_appears(admin: Any) -> None:
    """Nobody could have counted it before its row was written."""
    failed = ErrorSeen("SYSTEM", "Internal", "m")
    admin.launch("one", visible_after=20, error=failed)
    (finish,) = admin.executions.finishes
    assert (finish.known_at, finish.phase) == (START + 20_000_000, Phase.FAILED)


def test_a_deleted_late_row_never_appears(admin: Any) -> None:
    """Its place may be taken by another row, which stays hidden until its own time."""
    admin.executions.delete(admin.launch("gone", visible_after=10))
    admin.launch("other", visible_after=20)
    admin.executions.reveal(Micros(START + 10_000_000))
    assert admin.names() == []
    admin.executions.reveal(Micros(START + 20_000_000))
    assert admin.names() == ["other"]


def test_a_name_is_free_again_after_deletion(admin: Any) -> None:
    """The primary key is all that keeps names apart."""
    key = admin.launch("one")
    with pytest.raises(Refusal) as refused:
        admin.launch("one")
    assert refused.value.code is grpc.StatusCode.ALREADY_EXISTS
    admin.launch("one", project="other")
    admin.executions.delete(key)
    admin.launch("one", after=5)
    assert admin.names() == ["one"]


def test_events_of_another_cluster_are_refused(admin: Any) -> None:
    """Once queued on a cluster, only it may move the execution."""
    key = admin.launch("one")

    def send(phase: Phase, producer: str) -> None:
        admin.api.lifecycle.create_workflow_event(
            event_pb2.WorkflowExecutionEventRequest(
                event={
                    "execution_id": key._asdict(),
                    "phase": phase,
                    "producer_id": producer,
                    "occurred_at": timestamp(nanos_of(START)),
                }
            )
        )

    send(Phase.QUEUED, "east")
    assert admin.names("eq(cluster,east)") == ["one"]
    with pytest.raises(Refusal) as refused:
        send(Phase.RUNNING, "west")
    assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
    send(Phase.RUNNING, "east")
    send(Phase.SUCCEEDED, "propeller")
