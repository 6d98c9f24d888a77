"""
What becomes of the names that launch plans have on /metrics, when the rules that make them change.

A series knows but the name that it was given. Whose that was is told by the launch plans that are
known: where all that had one name have one by the new rules, too, it becomes that one.
"""

from collections.abc import Collection, Mapping

from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import Family
from exporter.metrics.labelling import PLAN_PLACE, Labelling, has_plan, with_plan
from exporter.metrics.owners import is_launch_plan
from exporter.model.targets import Target

TrueNames = Mapping[Target, Collection[str]]
"""The launch plans that are known, by the names that they have at Flyte."""


class Renames:
    """
    From the names of one labelling to those of another.

    Args:
        before: By which the names were made.
        after: By which they are from now on.
        known: Launch plans that may have had them.
    """

    def __init__(self, before: Labelling, after: Labelling, known: TrueNames) -> None:
        self._before = before
        self._after = after
        self._known = known
        self._same = before.renames_like(after)
        self._successors: dict[Target, dict[str, dict[str, bool]]] = {}

    def name(self, target: Target, name: str) -> str:
        """
        Return what *name* is now.

        It stays where several launch plans had it that are told apart now: nobody knows whose it
        was. It stays, too, where no rule renames whoever had it any more: their own name was there
        before the rule, and Prometheus would take for new what was counted since. Of one that
        nobody is known to have had, the rules say what they make of it, unless it can only be what
        the former rules made of another.
        """
        if self._same or not is_launch_plan(name):
            return name
        successors = self._successors_in(target).get(name)
        if successors is not None:
            (successor, own), *others = successors.items()
            return name if own or others else successor
        return self._after.label(name) if self._before.label(name) == name else name

    def labels(self, family: Family, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return where a series of *family* goes that stood at *labels*."""
        if not has_plan(family):
            return labels
        if not self._after.names_plans(family):
            return with_plan(labels, "")
        name = labels[PLAN_PLACE]
        # What was counted for all together is nobody's now, and expires as such.
        return with_plan(labels, self.name(Target(*labels[:PLAN_PLACE]), name) or OVERFLOW)

    def keeps(self, target: Target, name: str) -> bool:
        """Whether launch plans go by *name* further on, as far as is known."""
        if self.name(target, name) != name:
            return False
        successors = {} if self._same else self._successors_in(target).get(name, {})
        return not successors or name in successors

    def _successors_in(self, target: Target) -> Mapping[str, dict[str, bool]]:
        """Return what each name of *target* became, and whether it is somebody's own again."""
        found = self._successors.get(target)
        if found is None:
            found = self._successors[target] = {}
            for true in self._known.get(target, ()):
                name, after = self._before.label(true), self._after.label(true)
                successors = found.setdefault(name, {})
                successors[after] = successors.get(after, False) or after == true != name
        return found
