"""Whoever was admitted has their gauges, whatever becomes of names, limits and processes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import FAMILIES, Family
from exporter.metrics.gauges import NEEDED, PlanGauges, Row
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.places import RETENTION
from exporter.metrics.renames import Renames
from exporter.model.renaming import Renaming
from tests.metrics.conftest import Desk, ran
from tests.rows import TARGET

_LEAST = Counter(NEEDED)
_plans = st.integers(0, 9).map("plan-{}".format)
_families = st.sampled_from([*_LEAST])
_labellings = st.builds(
    Labelling,
    rules=st.sampled_from(["plan-[0-3]", "plan-.*"]).map(lambda match: [Renaming(match, "all")]),
    disabled=st.sets(_families, max_size=2),
)


def rows_of(family: Family, count: int) -> Sequence[Row]:
    """Return so many rows, or as many as *family* has of one launch plan."""
    if family is catalog.LAUNCH_PLAN_INFO:
        return [(("wf", f"v{number}", ""), 1.0) for number in range(count)]
    if family is catalog.PLAN_LAST_FINISHED:
        return [((phase,), 1.0) for phase in ("SUCCEEDED", "FAILED")[:count]]
    return [((), 1.0)] * min(count, 1)


class _Company(RuleBasedStateMachine):
    """Launch plans run and are shown, while somebody changes the limits and the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.highest = 100
        self.desk = Desk(hold=timedelta(0), limit=self.highest)
        self.begin()

    def begin(self) -> None:
        """Have a process that shows no gauges yet."""
        book = self.desk.book
        self.gauges = PlanGauges(
            budget=book.budget,
            exposition=self.desk.exposition,
            observer=self.desk.observer,
            is_admitted=book.is_admitted,
        )

    def change(self, *, restart: bool) -> None:
        """Have what was set anew take effect."""
        before, admitted = self.desk.book.labelling, set(self.desk.book.places)
        if restart:
            self.desk.restart()
            self.begin()
        else:
            self.desk.reload()
            after = self.desk.labelling
            self.gauges.follow(Renames(before, after, {}), after.disabled)
        if self.desk.labelling.renames_like(before):
            assert set(self.desk.book.places) == admitted

    def shown(self) -> Mapping[tuple[str, str], int]:
        """Return how many samples each family shows of each launch plan."""
        samples = ((name, dict(labels)) for name, labels in self.desk.shown())
        return Counter((name, labels.get("launch_plan", "")) for name, labels in samples)

    @rule(launch_plan=_plans)
    def run(self, launch_plan: str) -> None:
        """It is admitted, or counted for `__overflow__`."""
        self.desk.count(ran(launch_plan=launch_plan))

    @rule(launch_plan=_plans, family=_families, count=st.integers(0, 4))
    def show(self, launch_plan: str, family: Family, count: int) -> None:
        """Who was shown or admitted is shown; what is left out is counted."""
        desk, rows = self.desk, rows_of(family, count)
        label = desk.labelling.label(launch_plan)
        had = self.shown().get((family.name, label), 0)
        left_out = desk.observer.increments_of[family]
        self.gauges.show(TARGET, label, family, rows)
        has = self.shown().get((family.name, label), 0)
        if family in desk.labelling.disabled:
            assert has == 0
            return
        assert desk.observer.increments_of[family] - left_out == len(rows) - has
        assert has >= min(had, len(rows))
        if desk.book.is_admitted(TARGET, label) and family not in desk.family_limits:
            assert has >= min(_LEAST[family], len(rows))

    @rule(limit=st.integers(0, 150), restart=st.booleans())
    def limit_all(self, limit: int, restart: bool) -> None:
        """Limit all families together."""
        self.desk.limit = limit
        self.highest = max(self.highest, limit)
        self.change(restart=restart)

    @rule(limits=st.dictionaries(_families, st.integers(1, 9), max_size=2), restart=st.booleans())
    def limit_some(self, limits: dict[Family, int], restart: bool) -> None:
        """Limit families by themselves."""
        self.desk.family_limits = limits
        self.change(restart=restart)

    @rule(labelling=st.just(AS_THEY_ARE) | _labellings, restart=st.booleans())
    def relabel(self, labelling: Labelling, restart: bool) -> None:
        """Have other names, and other families."""
        self.desk.labelling = labelling
        self.change(restart=restart)

    @rule()
    def idle(self) -> None:
        """Have whoever did not run for long be forgotten."""
        self.desk.advance(RETENTION / 2)
        self.desk.queued.append(self.desk.book.expire(self.desk.now, lambda *_: False))
        self.desk.settle()

    @invariant()
    def all_that_is_shown_is_paid_for(self) -> None:
        """Each family costs what it shows; of whom it shows one end, it has a place for both."""
        budget, shown = self.desk.book.budget, self.shown()
        for family, least in _LEAST.items():
            costs = [max(n, least) for (name, _), n in shown.items() if name == family.name]
            assert budget.used_by(family) == sum(costs)

    @invariant()
    def the_limit_is_exceeded_by_no_more_than_is_told(self) -> None:
        """Of each launch plan that was admitted, by its gauges."""
        used = sum(map(self.desk.book.budget.used_by, FAMILIES))
        always_fit = [labels for _, labels in self.desk.shown() if ("project", OVERFLOW) in labels]
        admitted = {
            *self.desk.book.places.launch_plans(TARGET),
            *self.gauges.launch_plans(TARGET),  # of some it is long ago, and they show it yet
        }
        assert used - len(always_fit) <= self.highest + len(NEEDED) * len(admitted)


_Company.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestCompany = _Company.TestCase
