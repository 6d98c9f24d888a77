"""
What Admin tells of a single execution: its nodes, and the attempts at their tasks.

There is a call for every level of nodes and one for every task, so these are asked within limits of
their own: whoever has much to ask here takes no room from the polls.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from flyteidl.admin import common_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from exporter.admin import convert_nodes
from exporter.admin.errors import MessageTooLarge, nonsense
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

    async def list_nodes(
        self, target: Target, execution: str, *, parent: str = "", timeout: float
    ) -> Sequence[Node]:
        """List the nodes at the top of *execution*, or those within the node *parent*."""

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
    ) -> Sequence[T]:
        """Return what all pages of a list hold."""
        found: list[T] = []
        limit, token = _PER_PAGE, ""
        for number in count(1):
            try:
                answer = await self._ask(
                    Question(
                        method=method,
                        request=request(limit, token),
                        timeout=timeout,
                        target=target,
                        execution=execution,
                        page=number,
                        rows=lambda answer: len(rows(answer)),
                    )
                )
            except MessageTooLarge:
                if limit == 1:
                    raise
                limit //= 2
                continue
            try:
                found += map(convert, rows(answer))
            except ValueError as error:
                raise nonsense(method, f"{target}/{execution}", str(error)) from error
            token = answer.token
            # An empty page is the end, whatever its token says.
            if not token or not rows(answer):
                break
        return found


_BY_INSERTION = common_pb2.Sort(key="id", direction=common_pb2.Sort.ASCENDING)
"""The only total order that Admin offers: by times, pages would overlap and skip."""


def _execution_id(target: Target, execution: str) -> Any:
    return identifier_pb2.WorkflowExecutionIdentifier(
        project=target.project, domain=target.domain, name=execution
    )
