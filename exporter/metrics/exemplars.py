"""
Which execution is behind a number: OpenMetrics lets a sample name one.

Exemplars are kept in memory alone. After a restart a series has none until something happens to it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from exporter.model.executions import Execution
from exporter.model.time import Micros

_LONGEST = 128
"""Characters that the labels of an exemplar may have together, names included: OpenMetrics 1.0."""


class Exemplar(NamedTuple):
    """
    One execution that a series counted.

    Attributes:
        labels: What is told of it.
        value: What it added: 1, or what was observed.
        at: When it ended.
    """

    labels: Mapping[str, str]
    value: float
    at: Micros


def exemplar(execution: Execution, value: float) -> Exemplar | None:
    """
    Return *execution* as an exemplar; None where its name may not be one.

    It may be too long; or it has a quote in it, as a name that Admin made never has: though that is
    escaped, Prometheus' client library for Python would refuse the whole document.
    """
    labels = {"execution": execution.id.name}
    too_long = sum(len(name) + len(text) for name, text in labels.items()) > _LONGEST
    if too_long or '"' in execution.id.name:
        return None
    return Exemplar(labels, value, execution.updated_at)
