"""
Phases only go forward, and nothing follows the end.

Source: flyteadmin `pkg/manager/impl/execution_manager.go`, `CreateWorkflowEvent`.
"""

from collections.abc import Mapping

import grpc
from flyteidl.admin import event_pb2

from exporter.model.executions import Phase
from exporter.sim.refusal import Refusal, printed


def already_over(details: str, phase: str) -> Refusal:
    """Return the refusal of a change after the end, which names the end for programs."""
    reason = event_pb2.EventFailureReason(
        already_in_terminal_state=event_pb2.EventErrorAlreadyInTerminalState(current_phase=phase)
    )
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, details, reason=reason)


def refuse_phase_change(current: Phase, announced: Phase, **key: str) -> None:
    """
    Check that an execution in *current* may enter *announced*.

    Args:
        current: The phase it is in.
        announced: The phase that an event announces.
        key: Project, domain and name, for the text.

    Raises:
        Refusal: ALREADY_EXISTS for the same phase again, FAILED_PRECONDITION for one backwards.
    """
    if announced is current and announced is not Phase.QUEUED:
        raise Refusal(
            grpc.StatusCode.ALREADY_EXISTS,
            f"This phase {current.name} was already recorded {_for_execution(key)}",
        )
    if current.is_terminal:
        change = f"Invalid phase change from {current.name} to {announced.name}"
        raise already_over(f"{change} {_for_execution(key)}", current.name)
    if current is Phase.RUNNING and announced is Phase.QUEUED:
        change = f"Cannot go from {current.name} to {announced.name}"
    elif current is Phase.ABORTING and not announced.is_terminal:
        change = f"Invalid phase change from aborting to {announced.name}"
    else:
        return
    raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"{change} {_for_execution(key)}")


def _for_execution(key: Mapping[str, str]) -> str:
    return f"for workflow execution {printed(**key)}"
