"""
Admin as the rest of the product sees it: a few questions, answered in our own words.

What a question goes through on its way is in `exporter.admin.transport`. Each carries a deadline,
because an overloaded Admin does not fail: it waits for a database connection until the caller's
patience ends.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import NamedTuple

import grpc
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, version_pb2
from flyteidl.core import identifier_pb2

from exporter.admin import convert, nodes
from exporter.admin.columns import Page
from exporter.admin.errors import AdminError, nonsense
from exporter.admin.limits import Limits
from exporter.admin.nodes import NodeClient
from exporter.admin.query import Query
from exporter.admin.question import Question
from exporter.admin.retry import RetryBudget
from exporter.admin.transport import Transport
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

METHODS = (
    "GetDomains",
    "GetExecution",
    "GetVersion",
    "ListExecutions",
    "ListProjects",
    *nodes.METHODS,
)
"""The RPCs that we use."""

CODES = tuple(code.name for code in grpc.StatusCode)
"""Every gRPC status, as it stands in a label."""

_PROJECTS_PER_PAGE = 500


class Version(NamedTuple):
    """What Admin says of itself."""

    version: str
    build: str


class AdminClient:
    """
    Asks Admin.

    Every method raises `AdminError`, or one of its kinds, when Admin does not answer with what was
    asked for. *timeout* is in seconds, for all attempts together.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ask = transport.ask
        self._domains_are_old_news = False

    def nodes(self, *, rate: float, concurrency: int) -> NodeClient:
        """
        Return a client for nodes, whose calls have limits and retries of their own.

        So however much is asked there, and however slowly it is answered, what is asked here has
        the room that it would have without.
        """
        limits = Limits(rate=rate, burst=1, concurrency=concurrency, waited=lambda _: None)
        return NodeClient(replace(self._transport, limits=limits, budget=RetryBudget()))

    async def list_executions(
        self,
        target: Target,
        query: Query,
        *,
        limit: int,
        timeout: float,
        token: str = "",
        page: int | None = None,
    ) -> Page:
        """
        List up to *limit* executions of *target*, in ascending order of the query's sort key.

        *page* is the number of the page for whoever reads the trace.
        """
        answer = await self._ask(
            Question(
                method="ListExecutions",
                request=common_pb2.ResourceListRequest(
                    id=common_pb2.NamedEntityIdentifier(
                        project=target.project, domain=target.domain
                    ),
                    limit=limit,
                    token=token,
                    filters=query.filters,
                    sort_by=common_pb2.Sort(
                        key=query.sort_key, direction=common_pb2.Sort.ASCENDING
                    ),
                ),
                timeout=timeout,
                target=target,
                page=page,
                rows=lambda answer: len(answer.executions),
            )
        )
        return Page(answer, subject=str(target))

    async def get_execution(self, target: Target, name: str, *, timeout: float) -> Execution:
        """Get one execution by its name; raises `NotFound` when Admin has none."""
        answer = await self._ask(
            Question(
                method="GetExecution",
                request=execution_pb2.WorkflowExecutionGetRequest(
                    id=identifier_pb2.WorkflowExecutionIdentifier(
                        project=target.project, domain=target.domain, name=name
                    )
                ),
                timeout=timeout,
                target=target,
                execution=name,
            )
        )
        try:
            return convert.execution(answer)
        except ValueError as error:
            raise nonsense("GetExecution", f"{target}/{name}", str(error)) from error

    async def list_targets(self, *, timeout: float) -> Sequence[Target]:
        """List every domain of every project that is not archived; *timeout* is for each page."""
        found: dict[Target, None] = {}
        token = ""
        for number in count(1):
            answer = await self._ask(
                Question(
                    method="ListProjects",
                    request=project_pb2.ProjectListRequest(
                        limit=_PROJECTS_PER_PAGE,
                        token=token,
                        sort_by=common_pb2.Sort(
                            key="identifier", direction=common_pb2.Sort.ASCENDING
                        ),
                    ),
                    timeout=timeout,
                    page=number,
                    rows=lambda answer: len(answer.projects),
                )
            )
            known = len(found)
            for project in answer.projects:
                found.update(dict.fromkeys(convert.targets(project)))
            token = answer.token
            # A page that brings nothing new is the end, whatever its token says.
            if not token or len(found) == known:
                break
        return list(found)

    async def list_domains(self, *, timeout: float) -> Sequence[str]:
        """
        List the domains that Admin is configured with, in its order.

        An old Admin does not know the question; there, every project carries them.
        """
        if not self._domains_are_old_news:
            try:
                answer = await self._ask(
                    Question(
                        method="GetDomains",
                        request=project_pb2.GetDomainRequest(),
                        timeout=timeout,
                    )
                )
                return [domain.id for domain in answer.domains]
            except AdminError as error:
                if error.code != "UNIMPLEMENTED":
                    raise
                self._domains_are_old_news = True
                log.info("Admin is too old for GetDomains: its projects are asked instead")
        targets = await self.list_targets(timeout=timeout)
        return list(dict.fromkeys(target.domain for target in targets))

    async def get_version(self, *, timeout: float) -> Version:
        """Ask which Flyte Admin this is."""
        answer = await self._ask(
            Question(method="GetVersion", request=version_pb2.GetVersionRequest(), timeout=timeout)
        )
        control_plane = answer.control_plane_version
        return Version(control_plane.Version, control_plane.Build)
