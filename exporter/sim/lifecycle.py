"""
Clients launch, watch and stop executions; propeller's events move them.

Source: flyteadmin `execution_manager.go`, `execution_validator.go`.
"""

import random
import re
import string
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from flyteidl.admin import event_pb2, execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2

from exporter.model.executions import Mode, Phase
from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.concurrency import refuse_past_limit
from exporter.sim.entities import EXECUTION
from exporter.sim.execution import ExecutionKey, Stored, key_of, offloaded
from exporter.sim.executions import Executions
from exporter.sim.filters import Value, names_state
from exporter.sim.inputs import refuse_empty_inputs, refuse_other_inputs
from exporter.sim.launch_plans import LaunchPlansApi
from exporter.sim.listing import checked, require, require_id, selected
from exporter.sim.names import refuse_bad_labels
from exporter.sim.phases import already_over, refuse_phase_change
from exporter.sim.producers import is_accepted, other_cluster
from exporter.sim.projects import ProjectsApi
from exporter.sim.refusal import Refusal, invalid, missing, printed_message
from exporter.sim.registry import RegistryApi, kind_of
from exporter.sim.store import Store

_NAME_LENGTH = 63
_NAME = re.compile(r"[a-z][a-z\-0-9]*")
_JOINS = {
    "l": "INNER JOIN launch_plans ON executions.launch_plan_id = launch_plans.id",
    "w": "INNER JOIN workflows ON executions.workflow_id = workflows.id",
    "t": "INNER JOIN tasks ON executions.task_id = tasks.id",
    # On the name alone, as Admin does: another project's execution of that name matches too.
    "et": "INNER JOIN execution_tags ON executions.execution_name = execution_tags.execution_name",
}
_JOINS["at"] = _JOINS["et"]


class Page(NamedTuple):
    """One page of executions: each serialized by itself, and where the next page begins."""

    rows: list[bytes]
    token: str

    def serialized(self) -> bytes:
        """Return the page as an `ExecutionList` on the wire."""
        return wire.page(self.rows, self.token)


class LifecycleApi:
    """Executions as clients and propeller see them."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], Micros],
        *,
        executions: Executions,
        projects: ProjectsApi,
        registry: RegistryApi,
        launch_plans: LaunchPlansApi,
        seed: int = 0,
    ) -> None:
        self._store = store
        self._now = now
        self._executions = executions
        self._projects = projects
        self._registry = registry
        self._launch_plans = launch_plans
        self._random = random.Random(f"clients {seed}")
        self.on_launch: Callable[[ExecutionKey], None] = lambda _: None
        """Told of every execution that a client launched."""
        self.on_abort: Callable[[ExecutionKey], None] = lambda _: None
        """Told of every execution that a client aborted."""

    def create_execution(self, request: Any) -> Any:
        """Answer CreateExecution."""
        inputs = request.inputs if request.inputs.literals else request.spec.inputs
        return self._launched(request, inputs)

    def _launched(self, request: Any, inputs: Any, *, source_id: int = 0) -> Any:
        require(request, "project", "domain")
        if request.name:
            _check_name(request.name)
        self._projects.require_project_and_domain(request.project, request.domain)
        if not request.HasField("spec"):
            raise missing("spec")
        launched = request.spec.launch_plan
        _check_launched(request.spec)
        refuse_empty_inputs(inputs)
        refuse_bad_labels(request.spec.labels)
        plan_id = task_id = 0
        if launched.resource_type == identifier_pb2.TASK:
            task_id, workflow, workflow_id = self._registry.single_task_workflow(launched)
            plan = self._launch_plans.single_task_plan(launched, workflow)
            refuse_other_inputs(inputs, plan.closure.expected_inputs)
        else:
            plan_id, plan = self._launch_plans.launch_plan(launched)
            refuse_other_inputs(inputs, plan.closure.expected_inputs)
            workflow = plan.spec.workflow_id
            workflow_id, _ = self._registry.workflow(workflow)
            refuse_past_limit(self._store, plan)
        key = ExecutionKey(request.project, request.domain, request.name or self._made_up_name())
        spec = execution_pb2.ExecutionSpec()
        spec.CopyFrom(request.spec)
        # Whoever calls is the principal, whatever the request says; here everybody is nobody.
        spec.metadata.principal = ""
        now = self._now()
        self._executions.insert(
            key,
            spec,
            workflow=workflow,
            # Admin's clock has nanoseconds, of which the column keeps microseconds.
            created_ns=wire.nanos_of(now) + self._random.randrange(1000),
            written_at=now,
            launch_plan_id=plan_id,
            workflow_id=workflow_id,
            task_id=task_id,
            source_id=source_id,
            inputs=inputs.SerializeToString(),
        )
        self.on_launch(key)
        return execution_pb2.ExecutionCreateResponse(id=key.message())

    def _made_up_name(self) -> str:
        alphabet = string.ascii_lowercase + string.digits
        return "a" + "".join(self._random.choices(alphabet, k=19))

    def relaunch_execution(self, request: Any) -> Any:
        """Answer RelaunchExecution."""
        return self._repeated(request, Mode.RELAUNCH)

    def recover_execution(self, request: Any) -> Any:
        """Answer RecoverExecution; Admin recovers successes too."""
        return self._repeated(request, Mode.RECOVERED)

    def _repeated(self, request: Any, mode: Mode) -> Any:
        original = self._executions.get(key_of(request.id))
        spec = original.spec
        spec.metadata.mode = mode
        spec.metadata.reference_execution.CopyFrom(original.key.message())
        if mode is Mode.RECOVERED and request.HasField("metadata"):
            spec.metadata.ClearField("parent_node_execution")
            if request.metadata.HasField("parent_node_execution"):
                spec.metadata.parent_node_execution.CopyFrom(request.metadata.parent_node_execution)
        again = execution_pb2.ExecutionCreateRequest(
            project=request.id.project, domain=request.id.domain, name=request.name, spec=spec
        )
        inputs = literals_pb2.LiteralMap.FromString(original.inputs)
        return self._launched(again, inputs, source_id=original.id or 0)

    def terminate_execution(self, request: Any) -> Any:
        """Answer TerminateExecution: ABORTING at once, the end is propeller's."""
        require_id(request, "project", "domain", "name")
        stored = self._executions.get(key_of(request.id))
        if stored.phase.is_terminal:
            raise already_over(
                "Cannot abort an already terminated workflow execution", stored.phase.name
            )
        self._executions.abort(stored, request.cause, at=self._now())
        self.on_abort(stored.key)
        return execution_pb2.ExecutionTerminateResponse()

    def update_execution(self, request: Any) -> Any:
        """Answer UpdateExecution: archives, or brings back."""
        require_id(request, "project", "domain", "name")
        stored = self._executions.get(key_of(request.id))
        self._executions.archive(stored.key, at=self._now(), state=request.state)
        return execution_pb2.ExecutionUpdateResponse()

    def get_execution(self, request: Any) -> Any:
        """Answer GetExecution: archived ones too, the error uncut."""
        require_id(request, "project", "domain", "name")
        return self._executions.get(key_of(request.id)).message()

    def list_executions(self, request: Any) -> Any:
        """Answer ListExecutions."""
        return execution_pb2.ExecutionList.FromString(self.executions_page(request).serialized())

    def executions_page(self, request: Any) -> Page:
        """
        Answer ListExecutions with the rows as they lie, without building messages.

        Raises:
            Refusal: As `list_executions`.
        """
        asked = checked(request, EXECUTION, "ListExecutions")
        where = ["executions.id IS NOT NULL"]
        parameters: list[Value] = []
        for field in ("project", "domain", "name"):
            if value := getattr(request.id, field):
                where.append(f"executions.execution_{field} = ?")
                parameters.append(value)
        if not names_state(asked.conditions):
            where.append("executions.state = 0")
        joins = {_JOINS.get(condition.entity.code, "") for condition in asked.conditions}
        rows = selected(
            self._store,
            "executions.listed",
            EXECUTION,
            asked,
            where=" AND ".join(where),
            parameters=parameters,
            joins=" ".join(sorted(joins)),
        )
        return Page([row for (row,) in rows], asked.next_token(len(rows)))

    def create_workflow_event(self, request: Any) -> Any:
        """Answer CreateWorkflowEvent."""
        event = request.event
        if not request.HasField("event"):
            raise invalid("Workflow event handler was called without event")
        if not event.HasField("execution_id"):
            raise invalid(
                "Workflow event handler request event doesn't have an execution id -"
                f" {printed_message(event)}"
            )
        stored = self._executions.get(key_of(event.execution_id))
        _accept_producer(stored, event)
        if not event.HasField("occurred_at"):
            refuse_phase_change(stored.phase, Phase(event.phase), **stored.key._asdict())
            raise Refusal(
                grpc.StatusCode.INTERNAL, "Failed to parse OccurredAt: timestamp: nil Timestamp"
            )
        output_uri = event.output_uri
        if event.HasField("output_data"):
            output_uri = offloaded(*stored.key)
        self._executions.record(
            stored,
            Phase(event.phase),
            occurred_ns=wire.nanoseconds(event.occurred_at),
            received_at=self._now(),
            error=event.error if event.HasField("error") else None,
            output_uri=output_uri,
        )
        return event_pb2.WorkflowExecutionEventResponse()


def _check_name(given: str) -> None:
    # Capitals pass and are kept: Admin lowers a copy, to check it and to print it.
    name = given.lower()
    if len(name) > _NAME_LENGTH:
        raise invalid(f"size of name exceeded length {_NAME_LENGTH} : {name}")
    if not _NAME.fullmatch(name):
        raise invalid(f"invalid name format: {name}, does not match regex '^{_NAME.pattern}$'")


def _check_launched(spec: Any) -> None:
    if not spec.HasField("launch_plan"):
        raise missing("id")
    launched = spec.launch_plan
    require(launched, "project", "domain", "name", "version")
    if launched.resource_type not in {identifier_pb2.TASK, identifier_pb2.LAUNCH_PLAN}:
        raise invalid(
            f"Invalid reference entity resource type [{kind_of(launched)}],"
            " only [map[TASK:<nil> LAUNCH_PLAN:<nil>]] allowed"
        )


def _accept_producer(stored: Stored, event: Any) -> None:
    """Let a queued execution move to the event's cluster; refuse other clusters after that."""
    producer = event.producer_id
    if is_accepted(stored, producer):
        return
    if event.phase == Phase.QUEUED:
        stored.cluster = producer
        stored.spec.metadata.system_metadata.execution_cluster = producer
        return
    if event.phase == stored.phase:
        return  # That it was recorded already is said first.
    raise other_cluster(stored, producer)
