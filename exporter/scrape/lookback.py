"""
The part of a cold start's list that lies further back than any later list.

What ended there will never be told again, and there may be a day of it: so it is not kept, as what
a later list will show must be, but goes into the state of its launch plan at once.
"""

from collections.abc import Sequence

from exporter.model.executions import TERMINAL, Execution, ExecutionId
from exporter.model.launch_plans import PlanState
from exporter.model.schedules import ScheduleState
from exporter.model.time import Micros
from exporter.track.plans import advance_all
from exporter.track.schedules import note


class Lookback:
    """
    Takes the slices of one list, in their order.

    Attributes:
        plans: How the launch plans stand after what ended before.
        schedules: For which slots they had run until then.
    """

    def __init__(self, before: Micros) -> None:
        """Begin; executions created from *before* on are in later lists."""
        self.plans: dict[str, PlanState] = {}
        self.schedules: dict[str, ScheduleState] = {}
        self._before = before
        self._owed: set[ExecutionId] = set()
        self._told: set[ExecutionId] = set()

    def take(self, rows: Sequence[Execution], now: Micros) -> list[Execution]:
        """Take note of the ends in *rows* that no later list shows, and return the other rows."""
        kept: list[Execution] = []
        over: dict[ExecutionId, Execution] = {}
        for row in rows:
            if row.id.created_at >= self._before or row.id in self._owed:
                kept.append(row)
            elif row.phase in TERMINAL:
                over[row.id] = row
            else:
                # Its end will be told, if only by its repetition in the next slice.
                self._owed.add(row.id)
                kept.append(row)
        # The end of a slice may come again as the beginning of the next.
        new = [row for key, row in over.items() if key not in self._told]
        self._told = set(over)
        self.plans |= advance_all(self.plans, new, now)
        self.schedules |= note(self.schedules, new)
        return kept
