"""
A project of our own on the Admin under test.

Clients launch and propeller reports; here both are us. So a real Admin must have no propeller that
would move these executions by itself. What is registered is what the recording registers, because
of that it is known that a real Admin takes it.
"""

import time
import uuid
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import grpc
from flyteidl.admin import common_pb2, event_pb2, execution_pb2, launch_plan_pb2, project_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.event import event_pb2 as reported_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.model.executions import Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.execution import ExecutionKey
from tests.live import replay
from tests.live.deeds import Deeds, Run
from tests.propeller import Propeller

NIGHTLY = "wf.nightly"
HOURLY = "nightly_cron"
EVERY_MINUTE = "nightly_every_minute"
"""Launch plans that every project has."""
TASK, LAST_TASK = "wf.extract", "wf.train"
"""The tasks that every project has."""

_REGISTERING = frozenset({"CreateTask", "CreateWorkflow", "CreateLaunchPlan"})
_VERSION = "v1"
_CALL_SECONDS = 10.0
_SECOND = 1_000_000_000


class Project:
    """
    A freshly registered project; a context manager that archives it at the end.

    Args:
        address: Of the Admin under test.
        prefix: Of its name.
        labels: Of the project.
    """

    def __init__(
        self, address: str, *, prefix: str = "live", labels: Mapping[str, str] | None = None
    ) -> None:
        self.deeds = Deeds()
        self.runs: dict[str, Run] = {}
        self.phases: dict[str, Phase] = {}
        """Of every run, the last one reported."""
        self._started: dict[str, float] = {}
        self._active: dict[str, str] = {}
        self._channel = grpc.insecure_channel(address)
        self._stub: Any = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.target = self._register(f"{prefix}-{uuid.uuid4().hex[:10]}", labels or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # A scheduler that runs beside this Admin would go on with them.
            for launch_plan, version in [*self._active.items()]:
                self.deactivate(launch_plan, version)
            self.archive_project()
        finally:
            self._channel.close()

    def archive_project(self) -> None:
        """Archive the project itself."""
        archived = project_pb2.Project.ARCHIVED
        self._call("UpdateProject", project_pb2.Project(id=self.target.project, state=archived))

    def _register(self, name: str, labels: Mapping[str, str]) -> Target:
        project = project_pb2.Project(id=name, name=name, labels=common_pb2.Labels(values=labels))
        self._call("RegisterProject", project_pb2.ProjectRegisterRequest(project=project))
        asked = project_pb2.ProjectListRequest(filters=f"eq(identifier,{name})", limit=1)
        target = Target(name, self._call("ListProjects", asked).projects[0].domains[0].id)
        for line in replay.lines():
            if line["method"] in _REGISTERING and line["status"] == "OK":
                content = _moved(line["request"], target)
                self._call(line["method"], replay.request(line["method"], content))
        return target

    # Clients

    def launch(
        self,
        launch_plan: str = NIGHTLY,
        mode: Mode = Mode.MANUAL,
        *,
        slot: Micros | None = None,
    ) -> Run:
        """
        Launch an execution; it stays where it is until it is reported otherwise.

        With a *slot* it is launched for that, as a scheduler would.
        """
        metadata = execution_pb2.ExecutionMetadata(mode=mode.value)
        if slot is not None:
            metadata.scheduled_at.CopyFrom(wire.timestamp(wire.nanos_of(slot)))
        spec = execution_pb2.ExecutionSpec(
            launch_plan=self._identifier(identifier_pb2.LAUNCH_PLAN, launch_plan),
            metadata=metadata,
        )
        return self._create(spec, literals_pb2.LiteralMap(), launch_plan, mode)

    def launch_task(self) -> Run:
        """Launch the task by itself."""
        one = literals_pb2.Primitive(integer=1)
        inputs = literals_pb2.LiteralMap(
            literals={"n": literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=one))}
        )
        spec = execution_pb2.ExecutionSpec(
            launch_plan=self._identifier(identifier_pb2.TASK, TASK),
            metadata=execution_pb2.ExecutionMetadata(mode=Mode.MANUAL.value),
        )
        return self._create(spec, inputs, f".flytegen.{TASK}", Mode.MANUAL)

    def relaunch(self, run: Run) -> Run:
        """Launch once more what *run* ran."""
        name = self._free_name()
        request = execution_pb2.ExecutionRelaunchRequest(id=self._id(run.name), name=name)
        self._call("RelaunchExecution", request)
        return self._launched(name, run.launch_plan, Mode.RELAUNCH)

    def recover(self, run: Run) -> Run:
        """Launch what of *run* did not succeed."""
        name = self._free_name()
        request = execution_pb2.ExecutionRecoverRequest(id=self._id(run.name), name=name)
        self._call("RecoverExecution", request)
        return self._launched(name, run.launch_plan, Mode.RECOVERED)

    def terminate(self, run: Run) -> None:
        """Have *run* aborted; its end is yet to be reported."""
        self._call(
            "TerminateExecution",
            execution_pb2.ExecutionTerminateRequest(id=self._id(run.name), cause="not needed"),
        )
        self.phases[run.name] = Phase.ABORTING

    def archive(self, run: Run) -> None:
        """Hide *run* from whoever does not ask for archived executions."""
        archived = execution_pb2.EXECUTION_ARCHIVED
        self._call(
            "UpdateExecution",
            execution_pb2.ExecutionUpdateRequest(id=self._id(run.name), state=archived),
        )

    def add_version(self, launch_plan: str, version: str, **spec: Any) -> None:
        """Register another version of *launch_plan*, which differs by *spec*."""
        content = next(
            line["request"]
            for line in replay.lines()
            if line["method"] == "CreateLaunchPlan" and line["request"]["id"]["name"] == launch_plan
        )
        content["id"]["version"] = version
        content["spec"] |= spec
        request = replay.request("CreateLaunchPlan", _moved(content, self.target))
        self._call("CreateLaunchPlan", request)

    def activate(self, launch_plan: str, version: str = _VERSION) -> None:
        """Make *launch_plan* active; a schedule that it has begins."""
        self._update(launch_plan, version, launch_plan_pb2.ACTIVE)
        self._active[launch_plan] = version

    def deactivate(self, launch_plan: str, version: str = _VERSION) -> None:
        """Make *launch_plan* inactive again."""
        self._update(launch_plan, version, launch_plan_pb2.INACTIVE)
        self._active.pop(launch_plan, None)

    def _update(self, launch_plan: str, version: str, state: Any) -> None:
        plan = self._identifier(identifier_pb2.LAUNCH_PLAN, launch_plan)
        plan.version = version
        request = launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=state)
        self._call("UpdateLaunchPlan", request)

    def _create(self, spec: Any, inputs: Any, launch_plan: str, mode: Mode) -> Run:
        project, domain = self.target
        name = self._free_name()
        request = execution_pb2.ExecutionCreateRequest(
            project=project, domain=domain, name=name, spec=spec, inputs=inputs
        )
        self._call("CreateExecution", request)
        return self._launched(name, launch_plan, mode)

    def _launched(self, name: str, launch_plan: str, mode: Mode) -> Run:
        asked = execution_pb2.WorkflowExecutionGetRequest(id=self._id(name))
        created_ns = self._call("GetExecution", asked).closure.created_at.ToNanoseconds()
        run = self.runs[name] = Run(name, launch_plan, mode, created_ns)
        self.phases[name] = Phase.UNDEFINED
        self.deeds.launched[launch_plan, mode.name] += 1
        return run

    # Propeller

    def propeller(self, run: Run) -> Propeller:
        """Return who reports what happens within *run*, in seconds after its creation."""
        methods = ("CreateNodeEvent", "CreateTaskEvent")
        calls = {method: partial(self._call, method) for method in methods}
        return Propeller(
            calls, ExecutionKey(*self.target, run.name), Micros(run.created_ns // 1000)
        )

    def report(self, run: Run, phase: Phase, *, after: float) -> None:
        """Report that *run* entered *phase*, so many seconds after its creation."""
        occurred = Timestamp()
        occurred.FromNanoseconds(run.created_ns + round(after * _SECOND))
        event = reported_pb2.WorkflowExecutionEvent(
            execution_id=self._id(run.name),
            phase=phase.value,
            occurred_at=occurred,
            producer_id="propeller",
        )
        if phase in {Phase.FAILING, Phase.FAILED}:
            event.error.CopyFrom(
                core_execution_pb2.ExecutionError(
                    kind=core_execution_pb2.ExecutionError.USER, code="USER:Error", message="no"
                )
            )
        self._call(
            "CreateWorkflowEvent",
            event_pb2.WorkflowExecutionEventRequest(
                request_id=f"{run.name}-{phase.name}", event=event
            ),
        )
        self._note(run, phase, after)

    def _note(self, run: Run, phase: Phase, after: float) -> None:
        self.phases[run.name] = phase
        if phase is Phase.RUNNING:
            self._started[run.name] = after
            self.deeds.queued.append(max(0.0, after))
        if not phase.is_terminal:
            return
        self.deeds.finished[run.launch_plan, run.mode.name, phase.name] += 1
        started = self._started.get(run.name)
        if phase is Phase.SUCCEEDED and started is not None:
            self.deeds.lasted.setdefault(run.launch_plan, []).append(after - started)

    def whole_life(
        self, launch_plan: str = NIGHTLY, mode: Mode = Mode.MANUAL, end: Phase = Phase.SUCCEEDED
    ) -> Run:
        """Launch, start and end an execution at once."""
        run = self.launch(launch_plan, mode)
        self.report(run, Phase.RUNNING, after=0.5)
        self.report(run, end, after=40.5)
        return run

    # What there is now

    def live(self) -> Counter[tuple[str, str]]:
        """Count what is not over, by launch plan and phase."""
        return Counter(
            (self.runs[name].launch_plan, phase.name)
            for name, phase in self.phases.items()
            if not phase.is_terminal
        )

    def _call(self, method: str, request: Any) -> Any:
        return getattr(self._stub, method)(request, timeout=_CALL_SECONDS)

    def _free_name(self) -> str:
        return f"r{len(self.runs)}-{time.time_ns():x}"

    def _identifier(self, kind: int, name: str) -> Any:
        project, domain = self.target
        return identifier_pb2.Identifier(
            resource_type=kind, project=project, domain=domain, name=name, version=_VERSION
        )

    def _id(self, name: str) -> Any:
        project, domain = self.target
        return identifier_pb2.WorkflowExecutionIdentifier(project=project, domain=domain, name=name)


def _moved(content: Any, target: Target) -> Any:
    """Return what the recording registered, as it is registered in *target*."""
    if isinstance(content, list):
        return [_moved(item, target) for item in content]
    if not isinstance(content, dict):
        return content
    moved = {key: _moved(item, target) for key, item in content.items()}
    if moved.get("project") == replay.PROJECT:
        moved |= target._asdict()
    return moved
