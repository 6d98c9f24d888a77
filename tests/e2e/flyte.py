"""
Flyte as it is used: clients register and launch, propeller reports, and the books are kept here.

What was done is counted as it is done. Those counts are the truth that the exporter is held
against.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    project_pb2,
    workflow_pb2,
)
from flyteidl.admin import event_pb2 as admin_event_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2
from flyteidl.event import event_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.model.executions import Mode, Phase
from tests.e2e.programs import COMMAND, Program

DOMAIN = "production"
"""All that is launched here runs in this domain."""

_VERSION = "v1"
_CALL_SECONDS = 10.0
_NUMBERS = itertools.count(1)


class Run(NamedTuple):
    """One execution."""

    project: str
    name: str
    launch_plan: str
    mode: Mode


@dataclass(slots=True)
class Deeds:
    """What was done so far; keys are label values in the order in which metrics have them."""

    launched: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By project, launch plan and mode."""
    started: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By project."""
    finished: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By project, launch plan, mode and phase."""
    timed: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Successes that had run, by project and launch plan."""


class Flyte:
    """An Admin, used by one thread; a context manager."""

    def __init__(self, address: str) -> None:
        self.deeds = Deeds()
        self._channel = grpc.insecure_channel(address)
        self._stub: Any = admin_pb2_grpc.AdminServiceStub(self._channel)
        self._running: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    # Clients

    def add_project(self, project: str) -> None:
        """Register a project."""
        self._call(
            self._stub.RegisterProject,
            project_pb2.ProjectRegisterRequest(
                project=project_pb2.Project(id=project, name=project)
            ),
        )

    def add_launch_plan(self, project: str, name: str, *, schedule: str = "") -> None:
        """Register a workflow and its launch plan, both called *name*; active with a *schedule*."""
        workflow = _identifier(identifier_pb2.WORKFLOW, project, name)
        template = core_workflow_pb2.WorkflowTemplate(id=workflow)
        self._call(
            self._stub.CreateWorkflow,
            workflow_pb2.WorkflowCreateRequest(
                id=workflow, spec=workflow_pb2.WorkflowSpec(template=template)
            ),
        )
        plan = _identifier(identifier_pb2.LAUNCH_PLAN, project, name)
        spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)
        if schedule:
            spec.entity_metadata.schedule.cron_schedule.schedule = schedule
        self._call(
            self._stub.CreateLaunchPlan,
            launch_plan_pb2.LaunchPlanCreateRequest(id=plan, spec=spec),
        )
        if schedule:
            self._call(
                self._stub.UpdateLaunchPlan,
                launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=launch_plan_pb2.ACTIVE),
            )

    def launch(self, project: str, launch_plan: str, mode: Mode = Mode.MANUAL) -> Run:
        """Launch an execution; it stays where it is until propeller reports otherwise."""
        run = Run(project, f"e{next(_NUMBERS)}", launch_plan, mode)
        spec = execution_pb2.ExecutionSpec(
            launch_plan=_identifier(identifier_pb2.LAUNCH_PLAN, project, launch_plan),
            metadata=execution_pb2.ExecutionMetadata(mode=mode.value),
        )
        self._call(
            self._stub.CreateExecution,
            execution_pb2.ExecutionCreateRequest(
                project=project, domain=DOMAIN, name=run.name, spec=spec
            ),
        )
        self.deeds.launched[project, launch_plan, mode.name] += 1
        return run

    def archive(self, run: Run) -> None:
        """Hide *run* from whoever does not ask for archived executions."""
        self._call(
            self._stub.UpdateExecution,
            execution_pb2.ExecutionUpdateRequest(
                id=_execution(run), state=execution_pb2.EXECUTION_ARCHIVED
            ),
        )

    def terminate(self, run: Run) -> None:
        """Have *run* aborted; propeller is to report its end."""
        self._call(
            self._stub.TerminateExecution,
            execution_pb2.ExecutionTerminateRequest(id=_execution(run), cause="no longer needed"),
        )

    def ended(self, project: str) -> Counter[tuple[str, ...]]:
        """Count by project, launch plan, mode and phase what Admin itself lists as over."""
        found: Counter[tuple[str, ...]] = Counter()
        token = ""
        while True:
            answer = self._call(
                self._stub.ListExecutions,
                common_pb2.ResourceListRequest(
                    id=common_pb2.NamedEntityIdentifier(project=project, domain=DOMAIN),
                    limit=500,
                    token=token,
                    filters="value_in(state,0;1)",
                    sort_by=common_pb2.Sort(key="id", direction=common_pb2.Sort.ASCENDING),
                ),
            )
            for row in answer.executions:
                phase = Phase(row.closure.phase)
                if phase.is_terminal:
                    mode = Mode(row.spec.metadata.mode)
                    found[project, row.spec.launch_plan.name, mode.name, phase.name] += 1
            token = answer.token
            if not token:
                return found

    # Propeller

    def start(self, run: Run) -> None:
        """Report that *run* is running."""
        self._report(run, Phase.RUNNING)
        self.deeds.started[run.project,] += 1
        self._running.add(run.name)

    def finish(self, run: Run, phase: Phase = Phase.SUCCEEDED) -> None:
        """Report that *run* is over."""
        self._report(run, phase)
        self.deeds.finished[run.project, run.launch_plan, run.mode.name, phase.name] += 1
        if run.name in self._running and phase is Phase.SUCCEEDED:
            self.deeds.timed[run.project, run.launch_plan] += 1
        self._running.discard(run.name)

    def whole_life(
        self, project: str, launch_plan: str, mode: Mode = Mode.MANUAL, end: Phase = Phase.SUCCEEDED
    ) -> Run:
        """Launch, start and finish an execution within milliseconds."""
        run = self.launch(project, launch_plan, mode)
        self.start(run)
        self.finish(run, end)
        return run

    def _report(self, run: Run, phase: Phase) -> None:
        occurred = Timestamp()
        occurred.FromNanoseconds(time.time_ns())
        event = event_pb2.WorkflowExecutionEvent(
            execution_id=_execution(run),
            phase=phase.value,
            occurred_at=occurred,
            producer_id="propeller",
        )
        if phase is Phase.FAILED:
            event.error.CopyFrom(
                core_execution_pb2.ExecutionError(
                    kind=core_execution_pb2.ExecutionError.USER, code="USER:Error", message="no"
                )
            )
        self._call(
            self._stub.CreateWorkflowEvent,
            admin_event_pb2.WorkflowExecutionEventRequest(
                request_id=f"{run.name}-{phase.name}", event=event
            ),
        )

    @staticmethod
    def _call(method: Callable[..., Any], request: Any) -> Any:
        return method(request, timeout=_CALL_SECONDS, wait_for_ready=True)


class Simulator:
    """`flyte-exporter sim` in a process of its own; a context manager."""

    def __init__(self, directory: Path, *arguments: str, listen: str = "127.0.0.1:0") -> None:
        command = (str(COMMAND), "sim", f"--listen={listen}", *arguments)
        self.program = Program("sim", command, directory=directory)
        self.address = self.program.wait_for(r"listening on (\S+:\d+)")[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()


def _identifier(kind: int, project: str, name: str) -> Any:
    return identifier_pb2.Identifier(
        resource_type=kind, project=project, domain=DOMAIN, name=name, version=_VERSION
    )


def _execution(run: Run) -> Any:
    return identifier_pb2.WorkflowExecutionIdentifier(
        project=run.project, domain=DOMAIN, name=run.name
    )
