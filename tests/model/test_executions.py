"""Phases and modes are Flyte's own, number by number."""

import pytest
from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.core import execution_pb2 as core_execution

from exporter.model.executions import (
    NON_TERMINAL,
    OVER,
    TERMINAL,
    VANISHED_AFTER,
    Mode,
    Phase,
    Tracked,
)


def test_phases_are_flytes() -> None:
    """Every phase that flyteidl knows is ours by name and number, and no other but the unknown."""
    theirs = dict(core_execution.WorkflowExecution.Phase.items())
    assert {phase.name: phase.value for phase in Phase} == theirs | {"UNRECOGNIZED": -1}


def test_modes_are_flytes() -> None:
    """Every mode that flyteidl knows is ours by name and number, and no other but the unknown."""
    theirs = dict(admin_execution.ExecutionMetadata.ExecutionMode.items())
    assert {mode.name: mode.value for mode in Mode} == theirs | {"UNRECOGNIZED": -1}


def test_each_phase_is_either_over_or_live() -> None:
    """The two lists share nothing and leave out only what no filter can name."""
    assert {*NON_TERMINAL, *TERMINAL} == set(Phase) - {Phase.UNRECOGNIZED}
    assert len(NON_TERMINAL) + len(TERMINAL) == len(Phase) - 1


def test_what_is_over() -> None:
    """Four phases end an execution; aborting one is not among them."""
    assert {phase.name for phase in Phase if phase.is_terminal} == {
        "SUCCEEDED",
        "FAILED",
        "ABORTED",
        "TIMED_OUT",
    }


@pytest.mark.parametrize("phase", Phase)
def test_only_what_may_still_end_is_live(phase: Phase) -> None:
    """Live is what is neither over nor vanished; a phase that we do not know is live."""
    assert Tracked(phase).is_live is (phase not in TERMINAL)
    assert Tracked(phase, absences=VANISHED_AFTER - 1).is_live is (phase not in TERMINAL)
    assert not Tracked(phase, absences=VANISHED_AFTER).is_live


def test_what_is_kept_of_the_finished_says_only_how_they_ended() -> None:
    """The shared rows are those of the terminal phases, and none of them is live."""
    assert OVER.keys() == TERMINAL
    assert all(row == Tracked(phase) and not row.is_live for phase, row in OVER.items())
