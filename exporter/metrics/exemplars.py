"""
Which execution is behind a number: OpenMetrics lets a sample name one.

Exemplars are kept in memory alone. After a restart a series has none until something happens to it.
"""

from typing import NamedTuple

from exporter.model.executions import Execution
from exporter.model.time import Micros

LABEL = "execution"
"""Whose value names the execution."""
TRACE_LABEL = "trace_id"
"""Whose value names the trace of the poll that counted it, where that is traced."""

_TRACE_ID = 32
_LONGEST = 128 - len(LABEL) - len(TRACE_LABEL) - _TRACE_ID
"""Characters of a name: OpenMetrics 1.0 gives all labels and their names 128 together."""


class Exemplar(NamedTuple):
    """
    One execution that a series counted.

    Attributes:
        name: Its own.
        value: What it added: 1, or what was observed.
        at: When it ended.
    """

    name: str
    value: float
    at: Micros


def exemplars(execution: Execution, value: float) -> list[Exemplar]:
    """
    Return *execution* as the one exemplar; none where its name may not be one.

    It may be too long; or it has a quote in it, as a name that Admin made never has: though that is
    escaped, Prometheus' client library for Python would refuse the whole document.
    """
    name = execution.id.name
    if len(name) > _LONGEST or '"' in name:
        return []
    return [Exemplar(name, value, execution.updated_at)]
