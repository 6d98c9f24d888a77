"""
Gauges of launch plans: whoever knows something about one shows it here, family by family.

They count against the series limit like everything about a launch plan. Whoever was admitted
(`metrics.roster`) has room for those that a launch plan needs, whatever the limit is now: an alert
must not resolve because others came. One that does not fit is left out, and that is counted: a
gauge of `__overflow__` would be nobody's. Launch plans go by the names that they have on /metrics,
which several of them may share (`metrics.labelling`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from exporter.metrics import catalog, text
from exporter.metrics.budget import Budget, BudgetObserver
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.renames import Renames
from exporter.model.executions import Phase
from exporter.model.launch_plans import Activation, Standing
from exporter.model.schedules import Judgement
from exporter.model.targets import Target
from exporter.model.time import seconds

Row = tuple[tuple[str, ...], float]
"""The label values after project, domain and launch plan; and the value."""

STANDING = (
    catalog.PLAN_LAST_FINISHED,
    catalog.PLAN_LAST_DURATION,
    catalog.PLAN_CONSECUTIVE_FAILURES,
    catalog.PLAN_EXPECTED_DURATION,
    catalog.PLAN_FRESHNESS_LIMIT,
)
"""The families that show how a launch plan stands."""

SCHEDULE = (
    catalog.SCHEDULE_LAST_DUE,
    catalog.SCHEDULE_NEXT_DUE,
    catalog.SCHEDULE_LAST_RUN,
)
"""The families that show how a launch plan keeps its schedule."""

ACTIVATION = (catalog.LAUNCH_PLAN_INFO, catalog.LAUNCH_PLAN_ACTIVE_SINCE)
"""The families that show that a launch plan is active."""

NEEDED = (
    catalog.PLAN_LAST_FINISHED,  # as SUCCEEDED, the other as FAILED
    *STANDING,
    *SCHEDULE,
    *ACTIVATION,
)
"""The family of each series that a launch plan may come to need."""
_LEAST = Counter(NEEDED)
"""How many places a launch plan has in a family as long as it shows anything there."""


class PlanGauges:
    """
    What is shown of launch plans, and what it costs.

    Args:
        budget: Where the series limit is kept.
        exposition: Where the gauges are shown.
        observer: Is told of gauges that were left out.
        is_admitted: Whether a launch plan came in with all that it needs.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        exposition: Exposition,
        observer: BudgetObserver,
        is_admitted: Callable[[Target, str], bool],
    ) -> None:
        self._budget = budget
        self._exposition = exposition
        self._observer = observer
        self._is_admitted = is_admitted
        self._costs: dict[Target, dict[str, dict[Family, int]]] = {}

    def show(self, target: Target, launch_plan: str, family: Family, rows: Sequence[Row]) -> None:
        """
        Show *rows* in place of what *family* showed of the launch plan.

        Who shows anything keeps the places that it has: no more is asked for than it lacks. Rows
        that do not fit are left out, the last ones first.
        """
        if not rows or not self._exposition.shows(family):
            self.drop(target, launch_plan, family)
            return
        had = self._costs.get(target, {}).get(launch_plan, {}).get(family, 0)
        has = self._places(target, launch_plan, family, len(rows), had)
        if has < len(rows):
            self._observer.diverted(family=family, increments=len(rows) - has)
        if not has:
            return
        self._budget.take(family, has - had)
        self._costs.setdefault(target, {}).setdefault(launch_plan, {})[family] = has
        labels = (*target, launch_plan)
        piece = b"".join(text.sample(family, (*labels, *rest), value) for rest, value in rows[:has])
        self._exposition.put(family, labels, piece)

    def launch_plans(self, target: Target) -> list[str]:
        """Return the launch plans of *target* of which anything is shown."""
        return [*self._costs.get(target, ())]

    def drop(self, target: Target, launch_plan: str, family: Family | None = None) -> None:
        """Show nothing of the launch plan any more; of one *family*, where it is named."""
        plans = self._costs.get(target, {})
        costs = plans.get(launch_plan, {})
        for each in [*costs] if family is None else [family]:
            cost = costs.pop(each, None)
            if cost is not None:
                self._budget.give_back(each, cost)
                self._exposition.drop(each, (*target, launch_plan))
        if not costs:
            plans.pop(launch_plan, None)

    def follow(self, renames: Renames, disabled: Iterable[Family]) -> None:
        """Show nothing any more of families that are *disabled*, and under names that changed."""
        for target in [*self._costs]:
            for launch_plan in self.launch_plans(target):
                if not renames.keeps(target, launch_plan):
                    self.drop(target, launch_plan)
                for family in disabled:
                    self.drop(target, launch_plan, family)

    def drop_target(self, target: Target) -> None:
        """Show nothing of any launch plan of *target* any more."""
        for launch_plan in self.launch_plans(target):
            self.drop(target, launch_plan)
        self._costs.pop(target, None)

    def _places(
        self, target: Target, launch_plan: str, family: Family, wanted: int, had: int
    ) -> int:
        """Return how many places there are for *wanted* rows of a launch plan that *had* some."""
        least = _LEAST[family]
        budget = self._budget
        if not had:
            admitted = self._is_admitted(target, launch_plan)
            has_room = budget.fits_family if admitted else budget.has_room
            if not has_room(family, least):
                return 0
        # More than one needs is of several that share a name, of which there may be any number.
        most = max(had or least, had + budget.room_for(family))
        return min(max(wanted, least), most)


def rows_of(standing: Standing) -> Mapping[Family, Sequence[Row]]:
    """Return what each family of `STANDING` shows of a launch plan that stands so."""
    ends = ((Phase.SUCCEEDED, standing.succeeded_at), (Phase.FAILED, standing.failed_at))
    failures = standing.consecutive_failures
    lengths = (
        (catalog.PLAN_LAST_DURATION, standing.last_duration),
        (catalog.PLAN_EXPECTED_DURATION, standing.expected_duration),
        (catalog.PLAN_FRESHNESS_LIMIT, standing.freshness_limit),
    )
    return {
        catalog.PLAN_LAST_FINISHED: [
            ((phase.name,), seconds(at)) for phase, at in ends if at is not None
        ],
        catalog.PLAN_CONSECUTIVE_FAILURES: [] if failures is None else [((), failures)],
        **{
            family: [] if length is None else [((), length.total_seconds())]
            for family, length in lengths
        },
    }


def rows_of_schedule(judgement: Judgement | None) -> Mapping[Family, Sequence[Row]]:
    """Return what each family of `SCHEDULE` shows; nothing, where there is no schedule any more."""
    if judgement is None:
        return {family: [] for family in SCHEDULE}
    instants = (judgement.last_due, judgement.next_due, judgement.state.last_run)
    return {
        family: [] if at is None else [((), seconds(at))]
        for family, at in zip(SCHEDULE, instants, strict=True)
    }


def rows_of_activations(activations: Collection[Activation]) -> Mapping[Family, Sequence[Row]]:
    """Return what each family of `ACTIVATION` shows of active launch plans that share a name."""
    infos = {
        (plan.workflow, plan.version, str(plan.schedule or "")): 1.0 for plan, _ in activations
    }
    since = min((activation.since for activation in activations), default=None)
    return {
        catalog.LAUNCH_PLAN_INFO: [*infos.items()],
        catalog.LAUNCH_PLAN_ACTIVE_SINCE: [] if since is None else [((), seconds(since))],
    }
