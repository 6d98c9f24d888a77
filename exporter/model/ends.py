"""
Executions that are over, each with those that ended alike.

Whoever counts asks how many ended in which way, and then for the newest of them. So the rows of a
batch are sorted into groups once, for all who ask: it is most of what counting costs.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from exporter.model.executions import Execution, Mode, Phase
from exporter.model.failures import Failure

End = tuple[str, Mode, Phase, str, Failure | None]
"""Launch plan, mode, phase, cluster and failure: ends that agree in them are alike."""

Ends = Mapping[End, Sequence[Execution]]

# Faster than asking by name, and as long as the fields keep theirs, the same.
_END = itemgetter(
    *map(Execution._fields.index, ("launch_plan", "mode", "phase", "cluster", "failure"))
)


def ends_of(rows: Sequence[Execution]) -> Ends:
    """Return *rows*, which are over, by how they ended; both in the order in which they came."""
    found: defaultdict[End, list[Execution]] = defaultdict(list)
    for row, end in zip(rows, map(_END, rows), strict=True):
        found[end].append(row)
    return found
