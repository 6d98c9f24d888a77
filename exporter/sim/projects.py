"""
Projects are rows, domains are configuration.

Source: flyteadmin `project_manager.go`, `project_validator.go`, `project_repo.go`.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

import grpc
from flyteidl.admin import common_pb2, project_pb2, version_pb2

from exporter.model.time import Micros
from exporter.sim.entities import PROJECT
from exporter.sim.filters import Value, parsed
from exporter.sim.listing import ListRequest, Sort, offset_of, selected, sort_of
from exporter.sim.names import refuse_bad_labels, refuse_bad_project_id
from exporter.sim.refusal import Refusal, already_exists, invalid, missing
from exporter.sim.store import Store

DOMAINS = ("development", "staging", "production")
VERSION = "v1.16.8"

_NAME_LENGTH = 64
_DESCRIPTION_LENGTH = 300
_COLUMNS = "identifier, name, description, labels, state"


class ProjectsApi:
    """What needs no execution: version, projects, domains."""

    def __init__(self, store: Store, now: Callable[[], Micros]) -> None:
        self._store = store
        self._now = now

    def get_version(self, _: Any) -> Any:
        """Answer GetVersion."""
        return version_pb2.GetVersionResponse(
            control_plane_version=version_pb2.Version(Version=VERSION, Build="simulated")
        )

    def get_domains(self, _: Any) -> Any:
        """Answer GetDomains."""
        return project_pb2.GetDomainsResponse(domains=_domains())

    def register_project(self, request: Any) -> Any:
        """Answer RegisterProject."""
        if not request.HasField("project"):
            raise missing("project")
        project = request.project
        if not project.name:
            raise missing("project_name")
        _check(project)
        now = self._now()
        try:
            self._store.insert(
                "projects",
                created_at=now,
                updated_at=now,
                identifier=project.id,
                name=project.name,
                description=project.description,
                labels=project.labels.SerializeToString(),
                state=project.state,
            )
        except sqlite3.IntegrityError as conflict:
            raise already_exists("projects_pkey") from conflict
        return project_pb2.ProjectRegisterResponse()

    def update_project(self, request: Any) -> Any:
        """Answer UpdateProject: what is left empty stays as it was, but for the state."""
        if request.id:
            self._project(request.id)
        _check(request)
        changes: dict[str, Value] = {
            column: value
            for column in ("name", "description")
            if (value := getattr(request, column))
        }
        if request.HasField("labels"):
            changes["labels"] = request.labels.SerializeToString()
        changes |= {"state": request.state, "updated_at": self._now()}
        self._store.execute(
            f"UPDATE projects SET {', '.join(f'{column} = ?' for column in changes)}"  # noqa: S608 - our own names
            " WHERE identifier = ?",
            (*changes.values(), request.id),
        )
        return project_pb2.ProjectUpdateResponse()

    def get_project(self, request: Any) -> Any:
        """Answer GetProject."""
        if not request.id:
            raise missing("project_id")
        return _message(self._project(request.id))

    def list_projects(self, request: Any) -> Any:
        """Answer ListProjects: sorted by identifier unless told; archived ones only by filter."""
        conditions = parsed(request.filters, PROJECT)
        sort = sort_of(request, PROJECT) or Sort("identifier", ascending=True)
        offset = offset_of(request.token, "ListProjects")
        checked = ListRequest(conditions, sort, offset, request.limit)
        where, parameters = "TRUE", []
        if not conditions:
            where, parameters = "state <> ?", [project_pb2.Project.ARCHIVED]
        rows = selected(self._store, _COLUMNS, PROJECT, checked, where=where, parameters=parameters)
        return project_pb2.Projects(
            projects=[_message(row) for row in rows], token=checked.next_token(len(rows))
        )

    def require_project_and_domain(self, project: str, domain: str) -> None:
        """
        Check that *project* is registered and active, and that *domain* is configured.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        try:
            row = self._project(project)
        except Refusal as refusal:
            raise invalid(
                f"failed to validate that project [{project}] and domain [{domain}] are"
                f" registered, err: [{refusal.details}]"
            ) from refusal
        if row[-1] != project_pb2.Project.ACTIVE:
            raise invalid(f"project [{project}] is not active")
        if domain not in DOMAINS:
            raise invalid(f"domain [{domain}] is unrecognized by system")

    def _project(self, identifier: str) -> Any:
        row = self._store.row(
            f"SELECT {_COLUMNS} FROM projects WHERE identifier = ?",  # noqa: S608 - our own names
            (identifier,),
        )
        if row is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"project [{identifier}] not found")
        return row


def _check(project: Any) -> None:
    if not project.id:
        raise missing("project_id")
    refuse_bad_labels(project.labels)
    refuse_bad_project_id(project.id)
    if len(project.name.encode()) > _NAME_LENGTH:
        raise invalid(f"project_name cannot exceed {_NAME_LENGTH} characters")
    if len(project.description.encode()) > _DESCRIPTION_LENGTH:
        raise invalid(f"project_description cannot exceed {_DESCRIPTION_LENGTH} characters")
    if project.domains:
        raise invalid(
            "Domains are currently only set system wide. "
            "Please retry without domains included in your request."
        )


def _domains() -> list[Any]:
    return [project_pb2.Domain(id=domain, name=domain) for domain in DOMAINS]


def _message(row: Any) -> Any:
    identifier, name, description, labels, state = row
    return project_pb2.Project(
        id=identifier,
        name=name,
        description=description,
        labels=common_pb2.Labels.FromString(labels),
        state=state,
        domains=_domains(),
    )
