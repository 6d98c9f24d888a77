"""
Tasks and workflows are taken as they come; nothing is compiled, versions are compared.

Source: flyteadmin `task_manager.go`, `workflow_manager.go`, `named_entity_manager.go`,
`named_entity_repo.go`.
"""

from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import common_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2
from google.protobuf.message import Message

from exporter.model.time import Micros
from exporter.sim.differences import differences
from exporter.sim.entities import LAUNCH_PLAN, NAMED_ENTITY, TASK, WORKFLOW, Entity
from exporter.sim.filters import Condition, conjunction, parsed
from exporter.sim.listing import (
    ListRequest,
    Sort,
    offset_of,
    require,
    require_limit,
    sort_of,
)
from exporter.sim.projects import ProjectsApi
from exporter.sim.refusal import (
    Refusal,
    database_fault,
    enum_name,
    invalid,
    missing,
    not_found,
    printed_message,
)
from exporter.sim.store import Store

GENERATED_PREFIX = ".flytegen."
"""Names what Admin makes up to run a single task."""

_TABLES = {
    identifier_pb2.TASK: TASK,
    identifier_pb2.WORKFLOW: WORKFLOW,
    identifier_pb2.LAUNCH_PLAN: LAUNCH_PLAN,
}
_GENERATED = common_pb2.SYSTEM_GENERATED
_SORTABLE_NAMES = ("project", "domain", "name")


class RegistryApi:
    """Registration of tasks and workflows, and the names of all that is registered."""

    def __init__(self, store: Store, now: Callable[[], Micros], projects: ProjectsApi) -> None:
        self._store = store
        self._now = now
        self._projects = projects

    def create_task(self, request: Any) -> Any:
        """Answer CreateTask."""
        self._check(request, identifier_pb2.TASK)
        template = request.spec.template
        _refuse_known_version(
            "task",
            request.id,
            task_pb2.TaskSpec(template=template),
            self._known(TASK, request.id, task_pb2.TaskSpec),
        )
        self._add(TASK, request.id, task_pb2.TaskSpec(template=template), type=template.type)
        return task_pb2.TaskCreateResponse()

    def create_workflow(self, request: Any) -> Any:
        """Answer CreateWorkflow."""
        self._check(request, identifier_pb2.WORKFLOW)
        spec = workflow_pb2.WorkflowSpec(
            template=request.spec.template, sub_workflows=request.spec.sub_workflows
        )
        known = self._known(WORKFLOW, request.id, workflow_pb2.WorkflowSpec)
        _refuse_known_version("workflow", request.id, spec, known)
        self._add(
            WORKFLOW,
            request.id,
            spec,
            typed_interface=spec.template.interface.SerializeToString(),
        )
        return workflow_pb2.WorkflowCreateResponse()

    def _check(self, request: Any, resource_type: int) -> None:
        require_identifier(request, resource_type)
        self._projects.require_project_and_domain(request.id.project, request.id.domain)
        if not request.spec.HasField("template"):
            raise missing("spec")

    def _known(self, entity: Entity, identifier: Any, message: Any) -> Any:
        # Admin keeps only a digest and the compiled form; the specification serves as both here.
        row = self._store.row(
            f"SELECT digest FROM {entity.table} WHERE project = ? AND domain = ?"  # noqa: S608 - our own names
            " AND name = ? AND version = ?",
            (identifier.project, identifier.domain, identifier.name, identifier.version),
        )
        return None if row is None else message.FromString(row[0])

    def _add(self, entity: Entity, identifier: Any, spec: Message, **columns: Any) -> None:
        now = self._now()
        self._store.insert(
            entity.table,
            created_at=now,
            updated_at=now,
            project=identifier.project,
            domain=identifier.domain,
            name=identifier.name,
            version=identifier.version,
            digest=spec.SerializeToString(),
            **columns,
        )

    def workflow(self, identifier: Any) -> tuple[int, Any]:
        """
        Return the row and the interface of a registered workflow.

        Raises:
            Refusal: NOT_FOUND.
        """
        row = self._store.row(
            "SELECT id, typed_interface FROM workflows"
            " WHERE project = ? AND domain = ? AND name = ? AND version = ?",
            (identifier.project, identifier.domain, identifier.name, identifier.version),
        )
        if row is None:
            raise missing_version("WORKFLOW", identifier)
        return row[0], interface_pb2.TypedInterface.FromString(row[1] or b"")

    def single_task_workflow(self, identifier: Any) -> tuple[int, Any, int]:
        """
        Return the workflow that Admin makes up to run one task, making it up if need be.

        Returns:
            Row of the task, identifier of the workflow, row of the workflow.

        Raises:
            Refusal: NOT_FOUND, there is no such task.
        """
        task = self._store.row(
            "SELECT id, digest FROM tasks"
            " WHERE project = ? AND domain = ? AND name = ? AND version = ?",
            (identifier.project, identifier.domain, identifier.name, identifier.version),
        )
        if task is None:
            raise missing_version("TASK", identifier)
        generated = identifier_pb2.Identifier()
        generated.CopyFrom(identifier)
        generated.resource_type = identifier_pb2.WORKFLOW
        generated.name = GENERATED_PREFIX + identifier.name
        if self._known(WORKFLOW, generated, workflow_pb2.WorkflowSpec) is None:
            interface = task_pb2.TaskSpec.FromString(task[1]).template.interface
            self._add(
                WORKFLOW,
                generated,
                workflow_pb2.WorkflowSpec(),
                typed_interface=interface.SerializeToString(),
            )
        return task[0], generated, self.workflow(generated)[0]

    def list_named_entities(self, request: Any) -> Any:
        """Answer ListNamedEntities: the page is cut *before* the filters, as Admin does."""
        require(request, "project", "domain")
        if request.resource_type == identifier_pb2.UNSPECIFIED:
            raise invalid("invalid value for resource_type")
        require_limit(request.limit)
        conditions = parsed(request.filters or "not_like(name,.flytegen%)", NAMED_ENTITY)
        sort = sort_of(request, NAMED_ENTITY)
        offset = offset_of(request.token, "ListNamedEntities")
        if request.resource_type not in _TABLES:
            raise invalid(f"Cannot list entity names for resource type: {kind_of(request)}")
        checked = ListRequest(conditions, sort, offset, request.limit)
        names = self._names(request, checked, conditions, sort)
        return common_pb2.NamedEntityList(
            entities=[
                common_pb2.NamedEntity(
                    resource_type=request.resource_type,
                    id=common_pb2.NamedEntityIdentifier(
                        project=request.project, domain=request.domain, name=name
                    ),
                    metadata=common_pb2.NamedEntityMetadata(state=state),
                )
                for name, state in names
            ],
            token=checked.next_token(len(names)),
        )

    def _names(
        self,
        request: Any,
        checked: ListRequest,
        conditions: list[Condition],
        sort: Sort | None,
    ) -> list[tuple[str, int]]:
        if sort is not None and sort.column not in _SORTABLE_NAMES:
            raise database_fault(f'column "{sort.column}" does not exist')
        for condition in conditions:
            if condition.entity is NAMED_ENTITY and condition.field == "resource_type":
                raise database_fault("column entities.resource_type does not exist")
        keys = [f"{sort.column} {'ASC' if sort.ascending else 'DESC'}"] if sort else []
        filters = conjunction(conditions)
        # Only Admin itself writes metadata here: it marks the names that it made up.
        return self._store.rows(
            "SELECT name, state FROM (SELECT project, domain, name, ? AS resource_type,"  # noqa: S608 - our own names only
            f" CASE WHEN name LIKE '{GENERATED_PREFIX}%' THEN {_GENERATED} ELSE 0 END AS state,"
            " NULL AS description, NULL AS id, min(id) AS place"
            f" FROM {_TABLES[request.resource_type].table} WHERE project = ? AND domain = ?"
            " GROUP BY project, domain, name"
            f" ORDER BY {self._store.order(keys, unique='min(id)')} LIMIT ? OFFSET ?) AS entities"
            f" WHERE {filters.sql} ORDER BY {self._store.order(keys, unique='place')}",
            [
                request.resource_type,
                request.project,
                request.domain,
                checked.limit,
                checked.offset,
                *filters.parameters,
            ],
        )


def require_identifier(request: Any, resource_type: int, *, field: str = "id") -> None:
    """
    Check that the *field* of the request names one version of a resource of that type.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not request.HasField(field):
        raise missing("id")
    identifier = getattr(request, field)
    if identifier.resource_type != resource_type:
        raise invalid(
            f"unexpected resource type {kind_of(identifier).lower()} for identifier"
            f" [{printed_message(identifier)}],"
            f" expected {identifier_pb2.ResourceType.Name(resource_type).lower()} instead"
        )
    require(identifier, "project", "domain", "name", "version")


def kind_of(message: Any) -> str:
    """Return the name of the resource type of *message*; its number if it has none."""
    return enum_name(identifier_pb2.ResourceType.DESCRIPTOR, message.resource_type)


def missing_version(entity: str, identifier: Any) -> Refusal:
    """Return the refusal of a version that is not registered."""
    return not_found(
        entity,
        project=identifier.project,
        domain=identifier.domain,
        name=identifier.name,
        version=identifier.version,
    )


def _refuse_known_version(kind: str, identifier: Any, new: Any, known: Any) -> None:
    if known is not None:
        raise known_version(kind, identifier.name, known, new)


def known_version(kind: str, name: str, old: Message, new: Message) -> Refusal:
    """Return the refusal to register a *kind* of resource whose version is taken by *old*."""
    if old == new:
        return Refusal(
            grpc.StatusCode.ALREADY_EXISTS, f"{kind} with identical structure already exists"
        )
    return invalid(
        f"{name} {kind} with different structure already exists."
        f" (Please register a new version of the {kind}):\n" + "\n".join(differences(old, new))
    )
