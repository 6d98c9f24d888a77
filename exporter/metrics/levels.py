"""
The levels of the live set: how many executions are in which phase, and since when.

They are gauges with the lifetime of the counters beside them. A launch plan comes in with places
for the phases that everybody has, or not at all; a phase that comes up later takes one more if it
fits, and keeps it, at 0 when nobody is in it. What does not fit is left out, and that is counted.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from exporter.metrics import catalog, text
from exporter.metrics.budget import OVERFLOW, Budget, BudgetObserver
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.labelling import Labelling
from exporter.metrics.owners import Owner, is_task
from exporter.model.executions import Phase
from exporter.model.targets import Target
from exporter.model.time import Micros, seconds

Levels = Mapping[Phase, tuple[int, Micros]]
"""How many executions are in a phase, and since when the first of them is."""

_ALWAYS_SHOWN = frozenset({Phase.UNDEFINED, Phase.RUNNING})
_FAMILIES = (catalog.EXECUTIONS_ACTIVE, catalog.EXECUTIONS_OLDEST)


class LevelGauges:
    """
    What is shown of the live set, and what it costs.

    Args:
        budget: Where the series limit is kept.
        exposition: Where the gauges are shown.
        observer: Is told of gauges that were left out.
        labelling: Which families there are, and which of them tell launch plans apart.

    Attributes:
        of_plans: Families that tell launch plans apart.
        of_targets: Families that do not.
        cost_of_plan: How many series a launch plan needs for its levels at once.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        exposition: Exposition,
        observer: BudgetObserver,
        labelling: Labelling,
    ) -> None:
        self._budget = budget
        self._exposition = exposition
        self._observer = observer
        shown = [family for family in _FAMILIES if family not in labelling.disabled]
        self.of_plans = [family for family in shown if labelling.names_plans(family)]
        self.of_targets = [family for family in shown if not labelling.names_plans(family)]
        self.cost_of_plan = len(self.of_plans) * len(_ALWAYS_SHOWN)
        self._places: dict[Target, dict[str, dict[Family, frozenset[Phase]]]] = {}
        self._phase_sets: dict[frozenset[Phase], frozenset[Phase]] = {}

    def open(self, owner: Owner) -> None:
        """Keep places for the levels of *owner*, so that they come in with it."""
        target, name = owner
        if is_task(name):
            return
        place = self._places.setdefault(target, {}).setdefault(name, {})
        if OVERFLOW in (target.project, name):
            return
        for family in self.of_plans if name else self.of_targets:
            if family not in place and self._budget.fits_family(family, len(_ALWAYS_SHOWN)):
                place[family] = _ALWAYS_SHOWN
                self._budget.take(family, len(_ALWAYS_SHOWN))

    def close(self, owner: Owner) -> None:
        """Show no levels of *owner* any more, and give their places back."""
        target, name = owner
        plans = self._places.get(target, {})
        for family, phases in plans.pop(name, {}).items():
            self._exposition.drop(family, owner)
            self._budget.give_back(family, len(phases))
        if not plans:
            self._places.pop(target, None)

    def follow(self, former: "LevelGauges", owners: Container[Owner]) -> None:
        """Go on with what *former* showed of *owners*, and with nothing else."""
        for owner, family, phases in former.places():
            target, name = owner
            if owner in owners and family in (self.of_plans if name else self.of_targets):
                self._places.setdefault(target, {}).setdefault(name, {})[family] = phases
                self._budget.take(family, len(phases))
            else:
                self._exposition.drop(family, owner)

    def places(self) -> Iterator[tuple[Owner, Family, frozenset[Phase]]]:
        """Yield who has places, in which family, and for which phases."""
        for target, plans in self._places.items():
            for name, place in plans.items():
                for family, phases in place.items():
                    yield (target, name), family, phases

    def show(self, target: Target, launch_plan: str, levels: Levels) -> None:
        """Show how many executions of a launch plan are in which phase, and since when."""
        self._show((target, launch_plan), self.of_plans, levels)

    def show_target(self, target: Target, levels: Levels) -> None:
        """Show the same of all launch plans of *target* together."""
        self._show((target, ""), self.of_targets, levels)

    def drop_target(self, target: Target) -> None:
        """Show no levels of *target* any more; what is there keeps its place."""
        for name, place in self._places.get(target, {}).items():
            for family in place:
                self._exposition.drop(family, (target, name))

    def _show(self, owner: Owner, families: Iterable[Family], levels: Levels) -> None:
        target, name = owner
        place = self._places.get(target, {}).get(name)
        for family in families:
            if place is None or not self._opens(place, family):
                self._observer.diverted(family=family, increments=1)
                continue
            for phase in levels.keys() - place[family]:
                self._admit(place, family, phase)
            samples = []
            for phase in sorted(place[family]):
                count, since = levels.get(phase, (0, None))
                labels = (*target, name, phase.name)
                if family is catalog.EXECUTIONS_ACTIVE:
                    samples.append(text.sample(family, labels, count))
                elif since is not None:
                    samples.append(text.sample(family, labels, seconds(since)))
            self._exposition.put(family, owner, b"".join(samples))

    def _opens(self, place: dict[Family, frozenset[Phase]], family: Family) -> bool:
        """Whether *family* shows levels at *place*; what did not fit before may fit now."""
        if family not in place and self._budget.has_room(family, len(_ALWAYS_SHOWN)):
            place[family] = _ALWAYS_SHOWN
            self._budget.take(family, len(_ALWAYS_SHOWN))
        return family in place

    def _admit(self, place: dict[Family, frozenset[Phase]], family: Family, phase: Phase) -> None:
        if not self._budget.has_room(family, 1):
            self._observer.diverted(family=family, increments=1)
            return
        phases = place[family] | {phase}
        # Few of the sets that are possible come up, and thousands of launch plans share them.
        place[family] = self._phase_sets.setdefault(phases, phases)
        self._budget.take(family, 1)
