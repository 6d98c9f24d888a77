"""
What a series says of launch plans: a name, what the rules make of it, or nothing.

Launch plans whose names become one are one on /metrics. What is known of executions keeps the true
names: `measure` counts by them, and `labelled` says where that goes. So rules may change; what was
counted by other ones then moves to its new place, once (`metrics.renames`, `metrics.heirs`).
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial

from exporter.metrics.catalog import BY_NAME, FAMILIES, LAUNCH_PLAN, Family
from exporter.metrics.exemplars import Exemplar
from exporter.metrics.measure import Increments, SeriesKey
from exporter.model.renaming import Renaming, RenamingError

_REMEMBERED = 20_000
"""Names whose label is remembered, some 5 MiB; finding it again takes some microseconds."""

PLAN_PLACE = LAUNCH_PLAN.index("launch_plan")
"""Of the launch plan among the label values of every family that has it."""

_WITH_PLAN = frozenset(family for family in FAMILIES if "launch_plan" in family.labels)


def _renamed(rules: Sequence[Renaming], launch_plan: str) -> str:
    if launch_plan:
        for rule in rules:
            renamed = rule.renamed(launch_plan)
            if renamed is not None:
                # A name that a rule eats up whole is told rather as it is.
                return renamed or launch_plan
    return launch_plan


class Labelling:
    """
    The rules of one configuration.

    Args:
        rules: For the names of launch plans; the first that matches counts.
        disabled: Families that there are not.
        unnamed: Families that do not tell launch plans apart.
    """

    def __init__(
        self,
        *,
        rules: Sequence[Renaming] = (),
        disabled: Collection[Family] = (),
        unnamed: Collection[Family] = (),
    ) -> None:
        self.disabled = frozenset(disabled)
        self._rules = tuple(rules)
        self._unnamed = frozenset(unnamed)
        # Of the rules alone: with a method, it would be a cycle, left to Python's collector.
        renamed = lru_cache(_REMEMBERED)(partial(_renamed, self._rules))
        self.label: Callable[[str], str] = renamed if rules else str
        """Returns the name under which a launch plan is counted; never empty but for no name."""

    @property
    def rules(self) -> list[tuple[str, str]]:
        """What the rules match, and what they make of it."""
        return [(rule.match, rule.replacement) for rule in self._rules]

    @property
    def is_plain(self) -> bool:
        """Whether everything is shown, by its own name."""
        return not (self._rules or self._unnamed or self.disabled)

    @property
    def stated(self) -> str:
        """Where a series goes by these rules, as text: equal texts have it go to the same place."""
        if not self._rules and not self._unnamed:
            return ""
        return json.dumps([self.rules, sorted(family.name for family in self._unnamed)])

    def agrees(self, other: "Labelling") -> bool:
        """Whether *other* has the same series."""
        return self.stated == other.stated and self.disabled == other.disabled

    def renames_like(self, other: "Labelling") -> bool:
        """Whether *other* has the same name for every launch plan."""
        return self.rules == other.rules

    def names_plans(self, family: Family) -> bool:
        """Whether *family* tells launch plans apart."""
        return has_plan(family) and family not in self._unnamed

    def labels(self, family: Family, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return *labels*, which have the true name, as *family* shows them."""
        if not has_plan(family):
            return labels
        name = labels[PLAN_PLACE]
        shown = "" if family in self._unnamed else self.label(name)
        return labels if shown == name else with_plan(labels, shown)


AS_THEY_ARE = Labelling()
"""No rules: every launch plan by its own name, in every family."""


def labelling_stated(text: str) -> Labelling:
    """Return the labelling that *text* states, as far as it says where series go."""
    if not text:
        return AS_THEY_ARE
    rules, unnamed = json.loads(text)
    try:
        renamings = [Renaming(*rule) for rule in rules]
    except RenamingError:
        # Another release could read them. The names that they made are taken as they are.
        renamings = []
    families = [BY_NAME[name] for name in unnamed if name in BY_NAME]
    return Labelling(rules=renamings, unnamed=families)


def labelled(increments: Increments, labelling: Labelling) -> Increments:
    """Return *increments*, which go by true names, by the labels that they go to."""
    if labelling.is_plain:
        return increments
    disabled, labels_of = labelling.disabled, labelling.labels
    births: dict[SeriesKey, None] = {}
    for family, labels in increments.births:
        if family not in disabled:
            births[family, labels_of(family, labels)] = None
    counts: Counter[SeriesKey] = Counter()
    for (family, labels), count in increments.counts.items():
        if family not in disabled:
            key = (family, labels_of(family, labels))
            counts[key] += count
    observations: dict[SeriesKey, list[float]] = {}
    for (family, labels), values in increments.observations.items():
        if family not in disabled:
            observations.setdefault((family, labels_of(family, labels)), []).extend(values)
    exemplars: dict[SeriesKey, list[Exemplar]] = {}
    for (family, labels), found in increments.exemplars.items():
        if family not in disabled:
            exemplars.setdefault((family, labels_of(family, labels)), []).extend(found)
    launch_plans = frozenset(map(labelling.label, increments.launch_plans))
    return Increments(births, counts, observations, exemplars, launch_plans)


def has_plan(family: Family) -> bool:
    """Whether series of *family* may be those of a launch plan."""
    return family in _WITH_PLAN


def with_plan(labels: tuple[str, ...], launch_plan: str) -> tuple[str, ...]:
    """Return *labels* with another launch plan."""
    return (*labels[:PLAN_PLACE], launch_plan, *labels[PLAN_PLACE + 1 :])
