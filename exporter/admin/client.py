"""
Admin as the rest of the product sees it: a few questions, answered in our own words.

Each call carries a deadline, because an overloaded Admin does not fail: it waits for a database
connection until the caller's patience ends.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import grpc
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, version_pb2
from flyteidl.core import identifier_pb2

from exporter.admin import columns, convert
from exporter.admin.columns import Page
from exporter.admin.errors import AdminError, MessageTooLarge, NotFound, nonsense
from exporter.admin.query import Query
from exporter.model.executions import Execution
from exporter.model.targets import Target

METHODS = ("GetExecution", "GetVersion", "ListExecutions", "ListProjects")
"""The RPCs that we use."""

CODES = tuple(code.name for code in grpc.StatusCode)
"""Every gRPC status, as it stands in a label."""

_PROJECTS_PER_PAGE = 500


class Version(NamedTuple):
    """What Admin says of itself."""

    version: str
    build: str


class CallObserver(Protocol):
    """Is told of every call when it is over."""

    def call_finished(self, *, method: str, code: str, seconds: float) -> None:
        """Take note of one call of *method* that ended with *code* after *seconds*."""


class AdminClient:
    """
    Asks Admin.

    Every method raises `AdminError`, or one of its kinds, when Admin does not answer with what was
    asked for. *timeout* is in seconds.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        observer: CallObserver,
        stub: Callable[[Any], Any] = columns.stub,
    ) -> None:
        self._stub = stub(channel)
        self._observer = observer

    async def list_executions(
        self, target: Target, query: Query, *, limit: int, timeout: float, token: str = ""
    ) -> Page:
        """List up to *limit* executions of *target*, in ascending order of the query's sort key."""
        answer = await self._call(
            "ListExecutions",
            common_pb2.ResourceListRequest(
                id=common_pb2.NamedEntityIdentifier(project=target.project, domain=target.domain),
                limit=limit,
                token=token,
                filters=query.filters,
                sort_by=common_pb2.Sort(key=query.sort_key, direction=common_pb2.Sort.ASCENDING),
            ),
            timeout=timeout,
            subject=str(target),
        )
        return Page(answer, subject=str(target))

    async def get_execution(self, target: Target, name: str, *, timeout: float) -> Execution:
        """Get one execution by its name; raises `NotFound` when Admin has none."""
        answer = await self._call(
            "GetExecution",
            execution_pb2.WorkflowExecutionGetRequest(
                id=identifier_pb2.WorkflowExecutionIdentifier(
                    project=target.project, domain=target.domain, name=name
                )
            ),
            timeout=timeout,
            subject=f"{target}/{name}",
        )
        try:
            return convert.execution(answer)
        except ValueError as error:
            raise nonsense("GetExecution", f"{target}/{name}", str(error)) from error

    async def list_targets(self, *, timeout: float) -> Sequence[Target]:
        """List every domain of every project that is not archived; *timeout* is for each page."""
        found: dict[Target, None] = {}
        token = ""
        while True:
            answer = await self._call(
                "ListProjects",
                project_pb2.ProjectListRequest(
                    limit=_PROJECTS_PER_PAGE,
                    token=token,
                    sort_by=common_pb2.Sort(key="identifier", direction=common_pb2.Sort.ASCENDING),
                ),
                timeout=timeout,
            )
            known = len(found)
            for project in answer.projects:
                found.update(dict.fromkeys(convert.targets(project)))
            token = answer.token
            # A page that brings nothing new is the end, whatever its token says.
            if not token or len(found) == known:
                return list(found)

    async def get_version(self, *, timeout: float) -> Version:
        """Ask which Flyte Admin this is."""
        answer = await self._call("GetVersion", version_pb2.GetVersionRequest(), timeout=timeout)
        control_plane = answer.control_plane_version
        return Version(control_plane.Version, control_plane.Build)

    async def _call(self, method: str, request: Any, *, timeout: float, subject: str = "") -> Any:
        began = time.perf_counter()
        code = "CANCELLED"
        try:
            answer = await getattr(self._stub, method)(request, timeout=timeout)
            if answer is None:
                # How grpc.aio passes on an answer that it could not decode.
                code = "INTERNAL"
                raise nonsense(method, subject, "bytes that are no answer to it")
            code = "OK"
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise _error(method, error, subject) from error
        else:
            return answer
        finally:
            self._observer.call_finished(
                method=method, code=code, seconds=time.perf_counter() - began
            )


def _error(method: str, error: grpc.aio.AioRpcError, subject: str) -> AdminError:
    code, details = error.code(), error.details() or ""
    kind = AdminError
    if code is grpc.StatusCode.NOT_FOUND:
        kind = NotFound
    # The words before and after differ between versions of grpc; these are in all of them.
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        kind = MessageTooLarge
    return kind(method=method, code=code.name, details=details, subject=subject)
