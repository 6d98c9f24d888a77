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
    """Return *execution* as an exemplar; None where its name is longer than that may be."""
    labels = {"execution": execution.id.name}
    if sum(len(name) + len(text) for name, text in labels.items()) > _LONGEST:
        return None
    return Exemplar(labels, value, execution.updated_at)
