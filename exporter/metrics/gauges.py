"""Gauges of launch plans: shown while there is room for them, and left out when there is not."""

from collections.abc import Sequence

from exporter.metrics import text
from exporter.metrics.book import BookObserver
from exporter.metrics.budget import Budget
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.model.targets import Target

Row = tuple[tuple[str, ...], float]
"""The label values after project, domain and launch plan; and the value."""


class PlanGauges:
    """All gauges of all launch plans but those of the live set."""

    def __init__(self, *, exposition: Exposition, budget: Budget, observer: BookObserver) -> None:
        self._exposition = exposition
        self._budget = budget
        self._observer = observer
        self._shown: dict[tuple[Target, str], dict[Family, int]] = {}

    def show(self, target: Target, launch_plan: str, family: Family, rows: Sequence[Row]) -> None:
        """Show *rows* in place of whatever *family* showed of a launch plan."""
        owner = (target, launch_plan)
        shown = self._shown.setdefault(owner, {})
        more = len(rows) - shown.get(family, 0)
        if more > 0 and not self._budget.fits(more):
            self.drop(target, launch_plan, family)
            self._observer.diverted(family=family, increments=len(rows))
            return
        self._budget.take(family, more)
        shown[family] = len(rows)
        self._exposition.put(
            family,
            owner,
            b"".join(
                text.sample(family, (*target, launch_plan, *labels), value)
                for labels, value in rows
            ),
        )

    def drop(self, target: Target, launch_plan: str, family: Family | None = None) -> None:
        """Show nothing of a launch plan any more; of one *family* only, if one is named."""
        owner = (target, launch_plan)
        shown = self._shown.get(owner, {})
        for one in list(shown) if family is None else [family]:
            self._budget.give_back(one, shown.pop(one, 0))
            self._exposition.drop(one, owner)
        if not shown:
            self._shown.pop(owner, None)
