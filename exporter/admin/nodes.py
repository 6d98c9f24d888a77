"""
What Admin tells of a single execution: its nodes, and the attempts at their tasks.

There is a call for every level of nodes and one for every task, so these are asked within limits of
their own: whoever has much to ask here takes no room from the polls.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeVar

from flyteidl.admin import common_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.admin import convert_nodes
from exporter.admin.errors import nonsense
from exporter.admin.paging import PageSize, page_that_fits
from exporter.admin.question import Question
from exporter.admin.transport import Transport
from exporter.model.targets import Target
from exporter.model.tasks import Attempt, Node

METHODS = ("ListNodeExecutions", "ListTaskExecutions")
"""The RPCs that are used here."""

T = TypeVar("T")

_PER_PAGE = 200
"""Rows are larger than those of executions: the logs of every sub-task are in them."""


class NodeClient:
    """
    Asks Admin about nodes.

    Every method raises `AdminError`, or one of its kinds, when Admin does not answer with what was
    asked for. *timeout* is in seconds, for each page.
    """

    def __init__(self, transport: Transport) -> None:
        self._ask = transport.ask
        self._sizes = defaultdict[tuple[Target, str], PageSize](lambda: PageSize(_PER_PAGE))

    async def list_nodes(
        self,
        target: Target,
        execution: str,
        *,
        parent: str = "",
        most: int | None = None,
        timeout: float,
    ) -> Sequence[Node]:
        """
        List the nodes at the top of *execution*, or those within the node *parent*.

        Where there are more than *most*, only so many are asked for that this is known.
        """

        def request(limit: int, token: str) -> Any:
            return node_execution_pb2.NodeExecutionListRequest(
                workflow_execution_id=_execution_id(target, execution),
                unique_parent_id=parent,
                limit=limit,
                token=token,
                sort_by=_BY_INSERTION,
            )

        return await self._listed(
            "ListNodeExecutions",
            request,
            lambda answer: answer.node_executions,
            convert_nodes.node,
            target=target,
            execution=execution,
            most=most,
            timeout=timeout,
        )

    async def list_attempts(
        self, target: Target, execution: str, node: str, *, timeout: float
    ) -> Sequence[Attempt]:
        """List the attempts at the task of *node*; none where it has no task."""

        def request(limit: int, token: str) -> Any:
            return task_execution_pb2.TaskExecutionListRequest(
                node_execution_id=identifier_pb2.NodeExecutionIdentifier(
                    execution_id=_execution_id(target, execution), node_id=node
                ),
                limit=limit,
                token=token,
                sort_by=_BY_INSERTION,
            )

        return await self._listed(
            "ListTaskExecutions",
            request,
            lambda answer: answer.task_executions,
            convert_nodes.attempt,
            target=target,
            execution=execution,
            timeout=timeout,
        )

    async def _listed(
        self,
        method: str,
        request: Callable[[int, str], Any],
        rows: Callable[[Any], Sequence[Any]],
        convert: Callable[[Any], T],
        *,
        target: Target,
        execution: str,
        timeout: float,
        most: int | None = None,
    ) -> Sequence[T]:
        """Return what all pages of a list hold, or of more than *most* rows the first of them."""
        found: list[T] = []
        seen: set[bytes] = set()
        token = ""
        for number in count(1):
            ask = partial(
                _question,
                method,
                request,
                rows,
                token=token,
                target=target,
                execution=execution,
                timeout=timeout,
                page=number,
            )
            answer = await page_that_fits(self._ask, self._sizes[target, method], ask)
            new = {row.id.SerializeToString(deterministic=True): row for row in rows(answer)}
            for known in seen & new.keys():
                del new[known]
            try:
                found += map(convert, new.values())
            except ValueError as error:
                raise nonsense(method, f"{target}/{execution}", str(error)) from error
            token = answer.token
            # A page that brings nothing new is the end, whatever its token says.
            if not token or not new or (most is not None and len(found) > most):
                break
            seen.update(new)
        return found


def _question(
    method: str,
    request: Callable[[int, str], Any],
    rows: Callable[[Any], Sequence[Any]],
    limit: int,
    *,
    token: str,
    target: Target,
    execution: str,
    timeout: float,
    page: int,
) -> Question:
    return Question(
        method=method,
        request=request(limit, token),
        timeout=timeout,
        target=target,
        execution=execution,
        page=page,
        rows=lambda answer: len(rows(answer)),
    )


_BY_INSERTION = common_pb2.Sort(key="id", direction=common_pb2.Sort.ASCENDING)
"""The only total order that Admin offers: by times, pages would overlap and skip."""


def _execution_id(target: Target, execution: str) -> Any:
    return identifier_pb2.WorkflowExecutionIdentifier(
        project=target.project, domain=target.domain, name=execution
    )
