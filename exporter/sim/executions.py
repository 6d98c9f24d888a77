"""
An execution is a row that propeller's events move; what lists answer is kept beside it.

Everything that changes an execution goes through here, whoever asks: a client through the API,
the simulated world, or a test. So the log of finished executions is complete.
"""

import heapq
import sqlite3
from collections.abc import Mapping
from typing import Any

from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.model.executions import Mode, Phase
from exporter.model.time import Micros
from exporter.sim import wire
from exporter.sim.execution import ErrorSeen, ExecutionKey, Finish, Stored
from exporter.sim.phases import refuse_phase_change
from exporter.sim.refusal import already_exists, not_found
from exporter.sim.store import Store

# What Executions takes and gives is to be had from where it is.
__all__ = ["ErrorSeen", "ExecutionKey", "Executions", "Finish", "Stored"]


_LONGEST = 2**63 - 1
"""Nanoseconds in Go's longest duration, at which it stops counting."""


class Executions:
    """All executions of the simulated Admin."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last_id = 0
        self._hidden: list[tuple[Micros, int]] = []
        self._visible_at: dict[int, Micros] = {}
        self.finishes: list[Finish] = []

    def find(self, key: ExecutionKey, *, hidden_too: bool = False) -> Stored | None:
        """
        Return the execution, or None if there is none that a client could see.

        What *key* leaves empty matches anything, as it does in Admin's queries: with an empty key
        some execution is found, whichever the database comes upon.
        """
        given = {f"execution_{name}": value for name, value in key._asdict().items() if value}
        where = " AND ".join(f"{column} = ?" for column in given) or "TRUE"
        visible = "" if hidden_too else " AND id IS NOT NULL"
        row = self._store.row(
            "SELECT place, spec, closure, started_at, abort_cause, cluster, inputs, id,"  # noqa: S608 - our own names
            " execution_project, execution_domain, execution_name"
            f" FROM executions WHERE {where}{visible} LIMIT 1",
            list(given.values()),
        )
        if row is None:
            return None
        return Stored(
            place=row[0],
            key=ExecutionKey(*row[8:]),
            spec=execution_pb2.ExecutionSpec.FromString(row[1]),
            closure=execution_pb2.ExecutionClosure.FromString(row[2]),
            started_at=None if row[3] is None else Micros(row[3]),
            abort_cause=row[4] or "",
            cluster=row[5] or "",
            inputs=row[6] or b"",
            id=row[7],
        )

    def get(self, key: ExecutionKey, *, hidden_too: bool = False) -> Stored:
        """
        Return the execution.

        Raises:
            Refusal: NOT_FOUND.
        """
        stored = self.find(key, hidden_too=hidden_too)
        if stored is None:
            raise not_found("execution", **key._asdict())
        return stored

    def insert(
        self,
        key: ExecutionKey,
        spec: Any,
        *,
        workflow: Any,
        created_ns: int,
        written_at: Micros,
        visible_at: Micros | None = None,
        launch_plan_id: int = 0,
        workflow_id: int = 0,
        task_id: int = 0,
        source_id: int = 0,
        inputs: bytes = b"",
        error: ErrorSeen | None = None,
    ) -> None:
        """
        Add an execution that propeller has not seen yet.

        Args:
            key: Its name must be free in its project and domain.
            spec: `ExecutionSpec`; taken over, not copied.
            workflow: `Identifier` of the workflow it runs.
            created_ns: Its `created_at`, nanoseconds since the epoch.
            written_at: The server's clock when the row is written.
            visible_at: Until when no request finds the row; None to show it at once.
            launch_plan_id: Row of its launch plan, 0 for a single task.
            workflow_id: Row of its workflow.
            task_id: Row of its task, 0 for a launch plan.
            source_id: Row of the execution that it repeats.
            inputs: Serialized `LiteralMap`, for relaunches.
            error: Why it could not even be launched; makes it FAILED from the start.

        Raises:
            Refusal: ALREADY_EXISTS.
        """
        created = wire.timestamp(created_ns)
        closure = execution_pb2.ExecutionClosure(
            created_at=created,
            updated_at=created,
            workflow_id=workflow,
            state_change_details=execution_pb2.ExecutionStateChangeDetails(
                occurred_at=created, principal=spec.metadata.principal
            ),
        )
        spec.metadata.system_metadata.namespace = f"{key.project}-{key.domain}"
        single_task = spec.launch_plan.resource_type == identifier_pb2.TASK
        # Admin writes tags first, and past its transaction: they stay where the row is refused.
        self._tag(key, spec, written_at)
        try:
            place = self._store.insert(
                "executions",
                created_at=written_at,
                execution_project=key.project,
                execution_domain=key.domain,
                execution_name=key.name,
                launch_plan_id=launch_plan_id,
                workflow_id=workflow_id,
                task_id=task_id,
                source_execution_id=source_id,
                parent_node_execution_id=0,
                mode=spec.metadata.mode,
                execution_created_at=wire.micros_of(created_ns),
                user=spec.metadata.principal,
                state=execution_pb2.EXECUTION_ACTIVE,
                launch_entity="task" if single_task else "launch_plan",
                inputs=inputs,
            )
        except sqlite3.IntegrityError as conflict:
            raise already_exists("executions_pkey") from conflict
        stored = Stored(
            place=place,
            key=key,
            spec=spec,
            closure=closure,
            started_at=None,
            abort_cause="",
            cluster=spec.metadata.system_metadata.execution_cluster,
            inputs=inputs,
            id=None,
        )
        if visible_at is None or visible_at <= written_at:
            self._show(place)
        else:
            heapq.heappush(self._hidden, (visible_at, place))
            self._visible_at[place] = visible_at
        if error is not None:
            closure.phase = Phase.FAILED
            closure.error.CopyFrom(error.proto())
        self._write(stored, written_at)
        if stored.phase.is_terminal:
            self._finished(stored, written_at)

    def launch(
        self,
        key: ExecutionKey,
        *,
        launch_plan: str,
        created_at: Micros,
        mode: Mode = Mode.MANUAL,
        written_at: Micros | None = None,
        visible_at: Micros | None = None,
        scheduled_at: Micros | None = None,
        parent: ExecutionKey | None = None,
        task: bool = False,
        workflow: str | None = None,
        version: str = "v1",
        labels: Mapping[str, str] | None = None,
        cluster: str = "",
        error: ErrorSeen | None = None,
    ) -> None:
        """
        Add an execution of a launch plan by name; none needs to be registered.

        Args:
            key: Where it runs and its name.
            launch_plan: Its launch plan; the task's own name when *task*.
            created_at: When Admin took the launch.
            mode: How it came to be.
            written_at: The server's clock at the launch; *created_at* if left out.
            visible_at: Until when no request finds the row.
            scheduled_at: The slot of the schedule that it fills.
            parent: The execution that launched it from a node.
            task: Whether it runs a single task.
            workflow: Its workflow, where it is not called like its launch plan.
            version: Of launch plan, workflow or task.
            labels: Become execution tags.
            cluster: The Kubernetes cluster that runs it; a Flyte of one names none.
            error: See `insert`.
        """
        project, domain, _ = key
        kind = identifier_pb2.TASK if task else identifier_pb2.LAUNCH_PLAN
        spec = execution_pb2.ExecutionSpec(
            launch_plan=identifier_pb2.Identifier(
                resource_type=kind, project=project, domain=domain, name=launch_plan,
                version=version,
            ),
            metadata=execution_pb2.ExecutionMetadata(mode=mode, nesting=int(parent is not None)),
        )  # fmt: skip
        if scheduled_at is not None:
            spec.metadata.scheduled_at.CopyFrom(wire.timestamp(wire.nanos_of(scheduled_at)))
        if parent is not None:
            spec.metadata.parent_node_execution.node_id = "n1"
            spec.metadata.parent_node_execution.execution_id.CopyFrom(parent.message())
        spec.labels.values.update(labels or {})
        spec.metadata.system_metadata.execution_cluster = cluster
        ran = identifier_pb2.Identifier(
            resource_type=identifier_pb2.WORKFLOW,
            project=project,
            domain=domain,
            name=f".flytegen.{launch_plan}" if task else workflow or launch_plan,
            version=version,
        )
        launch_plan_id, workflow_id, task_id = self._registered(spec.launch_plan, ran)
        self.insert(
            key,
            spec,
            workflow=ran,
            created_ns=wire.nanos_of(created_at),
            written_at=created_at if written_at is None else written_at,
            visible_at=visible_at,
            launch_plan_id=launch_plan_id,
            workflow_id=workflow_id,
            task_id=task_id,
            error=error,
        )

    def _registered(self, launched: Any, workflow: Any) -> tuple[int, int, int]:
        """Return the rows of launch plan, workflow and task; 0 for what is not registered."""
        task = launched.resource_type == identifier_pb2.TASK
        return (
            0 if task else self._version_row("launch_plans", launched),
            self._version_row("workflows", workflow),
            self._version_row("tasks", launched) if task else 0,
        )

    def _version_row(self, table: str, identifier: Any) -> int:
        row = self._store.row(
            f"SELECT id FROM {table} WHERE project = ? AND domain = ?"  # noqa: S608 - our own names
            " AND name = ? AND version = ?",
            (identifier.project, identifier.domain, identifier.name, identifier.version),
        )
        return int(row[0]) if row else 0

    def move(
        self,
        key: ExecutionKey,
        phase: Phase,
        *,
        at: Micros,
        received_at: Micros | None = None,
        error: ErrorSeen | None = None,
        output_uri: str = "",
    ) -> None:
        """
        Record that propeller saw the execution enter *phase*, under Admin's rules.

        Args:
            key: Which execution; it may still be hidden.
            phase: Its new phase.
            at: When it happened by propeller's clock.
            received_at: Admin's clock when it was told; *at* if left out.
            error: Why it fails.
            output_uri: Where its outputs lie.

        Raises:
            Refusal: NOT_FOUND, or the change is not allowed.
        """
        self.record(
            self.get(key, hidden_too=True),
            phase,
            occurred_ns=wire.nanos_of(at),
            received_at=at if received_at is None else received_at,
            error=error.proto() if error else None,
            output_uri=output_uri,
        )

    def record(
        self,
        stored: Stored,
        phase: Phase,
        *,
        occurred_ns: int,
        received_at: Micros,
        error: Any = None,
        output_uri: str = "",
    ) -> None:
        """
        Apply one event to *stored* and write it back; see `move`.

        Args:
            stored: The row.
            phase: What the event announces.
            occurred_ns: Propeller's clock, nanoseconds since the epoch.
            received_at: Admin's clock.
            error: `ExecutionError`, if the event carries one.
            output_uri: Where the outputs lie, if the event says so.

        Raises:
            Refusal: The change is not allowed.
        """
        refuse_phase_change(stored.phase, phase, **stored.key._asdict())
        closure = stored.closure
        closure.phase = phase
        closure.updated_at.CopyFrom(wire.timestamp(occurred_ns))
        if phase is Phase.RUNNING:
            closure.started_at.CopyFrom(wire.timestamp(occurred_ns))
            stored.started_at = wire.micros_of(occurred_ns)
        elif phase.is_terminal and stored.started_at is not None:
            lasted = occurred_ns - wire.nanos_of(stored.started_at)
            closure.duration.FromNanoseconds(max(-_LONGEST, min(_LONGEST, lasted)))
        if output_uri:
            closure.outputs.uri = output_uri
        elif error is not None:
            closure.error.CopyFrom(error)
        self._write(stored, received_at)
        if phase.is_terminal:
            self._finished(stored, received_at)

    def abort(self, stored: Stored, cause: str, *, at: Micros) -> None:
        """Mark *stored* ABORTING: its end is propeller's to report. No event time moves."""
        stored.closure.phase = Phase.ABORTING
        stored.closure.abort_metadata.cause = cause
        stored.abort_cause = cause
        self._write(stored, at)

    def archive(self, key: ExecutionKey, *, at: Micros, state: int = 1) -> None:
        """
        Hide the execution from lists that do not name a state, or with *state* 0 show it again.

        Raises:
            Refusal: NOT_FOUND.
        """
        stored = self.get(key, hidden_too=True)
        details = stored.closure.state_change_details
        details.Clear()
        details.state = state
        details.occurred_at.CopyFrom(wire.timestamp(wire.nanos_of(at)))
        self._store.execute(
            "UPDATE executions SET state = ? WHERE place = ?", (state, stored.place)
        )
        self._write(stored, at)

    def delete(self, key: ExecutionKey) -> None:
        """Remove the row for good, as a cleanup of the database does; nothing if there is none."""
        where = "execution_project = ? AND execution_domain = ? AND execution_name = ?"
        self._store.execute(f"DELETE FROM executions WHERE {where}", key)  # noqa: S608 - our own text
        self._store.execute(f"DELETE FROM execution_tags WHERE {where}", key)  # noqa: S608 - as above

    def hidden_until(self, stored: Stored) -> Micros | None:
        """Return when the row of *stored* is going to be written; None when it is there."""
        return self._visible_at.get(stored.place)

    def reveal(self, now: Micros) -> None:
        """Write the late rows whose time has come, in the order of their coming."""
        while self._hidden and self._hidden[0][0] <= now:
            _, place = heapq.heappop(self._hidden)
            self._show(place)
            self._visible_at.pop(place, None)

    def _show(self, place: int) -> None:
        self._last_id += 1
        self._store.execute("UPDATE executions SET id = ? WHERE place = ?", (self._last_id, place))

    def _write(self, stored: Stored, written_at: Micros) -> None:
        closure = stored.closure
        has_error = closure.HasField("error")
        self._store.execute(
            "UPDATE executions SET phase = ?, closure = ?, spec = ?, listed = ?, started_at = ?,"
            " execution_updated_at = ?, duration = ?, abort_cause = ?, cluster = ?,"
            " error_kind = coalesce(?, error_kind), error_code = coalesce(?, error_code),"
            " updated_at = ? WHERE place = ?",
            (
                stored.phase.name,
                closure.SerializeToString(),
                stored.spec.SerializeToString(),
                stored.listed(),
                stored.started_at,
                wire.micros_of(wire.nanoseconds(closure.updated_at)),
                closure.duration.ToNanoseconds(),
                stored.abort_cause,
                stored.cluster,
                core_execution_pb2.ExecutionError.ErrorKind.Name(closure.error.kind)
                if has_error
                else None,
                closure.error.code if has_error else None,
                written_at,
                stored.place,
            ),
        )

    def _finished(self, stored: Stored, written_at: Micros) -> None:
        known_at = max(written_at, self._visible_at.get(stored.place, written_at))
        mode = Mode(stored.spec.metadata.mode)
        self.finishes.append(Finish(known_at, stored.key, stored.launch_plan, mode, stored.phase))

    def _tag(self, key: ExecutionKey, spec: Any, written_at: Micros) -> None:
        tags = [*spec.labels.values.items(), *((tag, "") for tag in spec.tags)]
        if not tags or spec.launch_plan.resource_type == identifier_pb2.TASK:
            return
        tagged = {f"execution_{name}": value for name, value in key._asdict().items()}
        times = {"created_at": written_at, "updated_at": written_at}
        try:
            self._store.insert_all(
                "execution_tags",
                [{**times, **tagged, "key": tag, "value": value} for tag, value in tags],
            )
        except sqlite3.IntegrityError as conflict:
            raise already_exists("execution_tags_pkey") from conflict
