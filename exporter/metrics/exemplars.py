"""
Which execution is behind a number: OpenMetrics lets a sample name one.

Exemplars are kept in memory alone. After a restart a series has none until something happens to it.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from exporter.model.executions import Execution
from exporter.model.time import Micros

LABEL = "execution"
"""Whose value names the execution."""

_LONGEST = 128 - len(LABEL)
"""Characters of a name: OpenMetrics 1.0 gives all labels and their names 128 together."""

_ENDED_AT = itemgetter(Execution._fields.index("updated_at"))


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


def exemplar(execution: Execution, value: float) -> Exemplar | None:
    """
    Return *execution* as an exemplar; None where its name may not be one.

    It may be too long; or it has a quote in it, as a name that Admin made never has: though that is
    escaped, Prometheus' client library for Python would refuse the whole document.
    """
    name = execution.id.name
    if len(name) > _LONGEST or '"' in name:
        return None
    return Exemplar(name, value, execution.updated_at)


def newest(places: Sequence[int], executions: Sequence[Execution]) -> dict[int, int]:
    """
    Return by place which of *executions* ended last there.

    Args:
        places: Where each belongs: the bucket that it fell into.
        executions: As many as there are places.
    """
    ends = list(map(_ENDED_AT, executions))
    found: dict[int, int] = {}
    for number, place in enumerate(places):
        if place not in found or ends[number] >= ends[found[place]]:
            found[place] = number
    return found
