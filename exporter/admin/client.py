"""
Admin as the rest of the product sees it: a few questions, answered in our own words.

What a question goes through on its way is in `exporter.admin.transport`. Each carries a deadline,
because an overloaded Admin does not fail: it waits for a database connection until the caller's
patience ends.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

import grpc
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, version_pb2
from flyteidl.core import identifier_pb2

from exporter.admin import convert, nodes, query
from exporter.admin.columns import Page
from exporter.admin.errors import AdminError, nonsense
from exporter.admin.limits import Limits
from exporter.admin.nodes import NodeClient
from exporter.admin.paging import PageSize, page_that_fits
from exporter.admin.query import Query
from exporter.admin.question import Question
from exporter.admin.retry import RetryBudget
from exporter.admin.transport import Transport
from exporter.model.executions import Execution
from exporter.model.launch_plans import ActivePlan
from exporter.model.projects import Project, targets_of
from exporter.model.targets import Target
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

METHODS = (
    "GetDomains",
    "GetExecution",
    "GetVersion",
    "ListExecutions",
    "ListLaunchPlans",
    "ListProjects",
    *nodes.METHODS,
)
"""The RPCs that we use."""

CODES = tuple(code.name for code in grpc.StatusCode)
"""Every gRPC status, as it stands in a label."""

_PROJECTS_PER_PAGE = 500
_PLANS_PER_PAGE = 200
"""One may be 50 KiB, with its default inputs: 200 of those are 10 MiB, half of what we receive."""


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
        self._projects_size = PageSize(_PROJECTS_PER_PAGE)
        self._plans_sizes = defaultdict[Target, PageSize](lambda: PageSize(_PLANS_PER_PAGE))

    def nodes(self, *, rate: float, concurrency: int) -> NodeClient:
        """
        Return a client for nodes, whose calls have limits and retries of their own.

        So however much is asked there, and however slowly it is answered, or not at all, what is
        asked here has the room that it would have without.
        """
        limits = Limits(
            rate=rate,
            burst=1,
            concurrency=concurrency,
            waited=lambda _: None,
            settings="tasks.rate_limit and tasks.concurrency",
        )
        return NodeClient(
            replace(self._transport, limits=limits, budget=RetryBudget(), has_say=False)
        )

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
        List up to *limit* executions of *target*, in the query's order.

        *page* is the number of the page for whoever reads the trace.
        """
        answer = await self._ask(
            Question(
                method="ListExecutions",
                request=_listing(target, query, limit=limit, token=token),
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

    async def list_active_launch_plans(
        self, target: Target, *, timeout: float
    ) -> Sequence[ActivePlan]:
        """
        List the active launch plans of *target*, all of them or none; *timeout* is for each page.

        Those that flyteadmin makes around single tasks are left out.

        ListActiveLaunchPlans would answer the same, but knows no filters: its pages are told apart
        by row offsets, and a plan that is deactivated between two of them hides another. Here the
        next page begins after the last name.
        """
        found: dict[str, ActivePlan] = {}
        after, token = "", ""
        seen: set[str] = set()
        for number in count(1):
            answer = await self._active_plans(target, after, token, timeout=timeout, page=number)
            names = [message.id.name for message in answer.launch_plans]
            try:
                plans = [convert.active_plan(message) for message in answer.launch_plans]
            except ValueError as error:
                raise nonsense("ListLaunchPlans", str(target), str(error)) from error
            found.update((plan.name, plan) for plan in plans if plan is not None)
            # A page that brings nothing new is the end, whatever its token says.
            if not answer.token or seen.issuperset(names):
                break
            seen.update(names)
            if query.is_speakable(names[-1]):
                after, token = names[-1], ""
            else:
                token = answer.token
        return list(found.values())

    async def _active_plans(
        self, target: Target, after: str, token: str, *, timeout: float, page: int
    ) -> Any:
        """Ask for one page of the active launch plans whose names come *after* one."""
        asked = query.active_plans(after)

        def question(limit: int) -> Question:
            return Question(
                method="ListLaunchPlans",
                request=_listing(target, asked, limit=limit, token=token),
                timeout=timeout,
                target=target,
                page=page,
                rows=lambda answer: len(answer.launch_plans),
            )

        return await page_that_fits(self._ask, self._plans_sizes[target], question)

    async def list_projects(self, *, timeout: float) -> Sequence[Project]:
        """List every project, archived ones included; *timeout* is for each page."""
        found: dict[str, Project] = {}
        token = ""
        for number in count(1):
            answer = await self._projects(token, timeout=timeout, page=number)
            known = len(found)
            try:
                projects = [convert.project(message) for message in answer.projects]
            except ValueError as error:
                raise nonsense("ListProjects", "", str(error)) from error
            found.update((project.id, project) for project in projects)
            token = answer.token
            # A page that brings nothing new is the end, whatever its token says.
            if not token or len(found) == known:
                break
        return list(found.values())

    async def _projects(self, token: str, *, timeout: float, page: int) -> Any:
        """Ask for one page of projects."""
        asked = query.projects()

        def question(limit: int) -> Question:
            return Question(
                method="ListProjects",
                request=project_pb2.ProjectListRequest(
                    limit=limit,
                    token=token,
                    filters=asked.filters,
                    sort_by=common_pb2.Sort(
                        key=asked.sort_key, direction=common_pb2.Sort.ASCENDING
                    ),
                ),
                timeout=timeout,
                page=page,
                rows=lambda answer: len(answer.projects),
            )

        return await page_that_fits(self._ask, self._projects_size, question)

    async def list_targets(self, *, timeout: float) -> Sequence[Target]:
        """List every domain of every project that is not archived; *timeout* is for each page."""
        return targets_of(await self.list_projects(timeout=timeout))

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


def _listing(target: Target, asked: Query, *, limit: int, token: str) -> Any:
    """Return the request for one page of what *target* has that *asked* is about."""
    direction = common_pb2.Sort.DESCENDING if asked.descending else common_pb2.Sort.ASCENDING
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=target.project, domain=target.domain),
        limit=limit,
        token=token,
        filters=asked.filters,
        sort_by=common_pb2.Sort(key=asked.sort_key, direction=direction),
    )
