"""Of which executions the tasks are counted, and how much may be asked for it."""

from typing import Annotated

from pydantic import Field

from exporter.config.section import Section
from exporter.config.values import PlanPatterns, Rate


class TasksSettings(Section):
    """
    Counting the tasks of finished executions: how long they took, how often, and out of what cache.

    Off until `match` names something, because Admin tells it only when asked about one execution
    after the other. See [Tasks](tasks.md).
    """

    match: PlanPatterns = ()
    """
    Patterns PROJECT/DOMAIN/LAUNCH_PLAN of the executions whose tasks are counted.

    `*` and `?` stand for any characters. None by default, and then nothing is asked. One that
    matches no launch plan is told of as an entry of `freshness` is.
    """
    rate_limit: Rate = 10.0
    """
    How many calls about nodes and tasks may begin in a second, on average.

    Beside `admin.rate_limit`, so that polls never wait for them. An execution costs a call, one
    more for each task that ran, and one for each sub-workflow or dynamic node.
    """
    concurrency: Annotated[int, Field(ge=1, le=16)] = 2
    """
    How many executions are looked at together, with one call under way for each.

    Few: nobody waits for it.
    """
    backlog: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """
    How many finished executions may wait to be looked at.

    Past it the oldest is dropped, and `flyte_exporter_task_backlog_dropped_total` says so. Those
    that wait are kept in the ledger, some 100 bytes each.
    """
    max_nodes: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """
    How many nodes an execution may have for its tasks to be counted; of a larger one none is.

    A dynamic workflow can have any number of nodes, and keep the others waiting for hours.
    """
