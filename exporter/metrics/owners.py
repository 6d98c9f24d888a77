"""
Whose a series is, and where its counts go when there is no room for it.

The owner decides when a series is over: what nobody has heard of for long goes with all it has.

A family may have one open label: launch plans, tasks, error codes and clusters are named by others.
Two limits keep their number in check. The budget is of all series together; what does not fit it
goes to `__overflow__`. Of some families each owner may have so many values, so that hostile ones
cannot eat the budget; what is past that goes to `other`. Values of a closed set, such as Flyte's
own error codes, are no part of that number: they have places while the budget has room. Whoever
makes up values can name all of that set, too, so it adds to what one owner can take.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import Family
from exporter.model.failures import NO_CODE
from exporter.model.platform_codes import PLATFORM_CODES
from exporter.model.targets import Target

OTHER = "other"
"""Stands for the values past a family's own limit."""

Owner = tuple[Target, str]
"""A target, and a launch plan or a task of it; with an empty name, the target itself."""

_CLOSED: Mapping[Family, AbstractSet[str]] = {
    catalog.EXECUTION_ERROR_CODES: PLATFORM_CODES | {NO_CODE},
}
"""Values for which the limit of their family does not hold: what is made up must not hide them."""

_NAME_PLACE = len(catalog.TARGET)
_TASK_MARK = "task\x1f"
"""Before the names of tasks, so that a launch plan of the same name is another owner."""


def owner_of(family: Family, labels: tuple[str, ...]) -> Owner | None:
    """Return whose the series of *family* with *labels* is; None where all targets share it."""
    if family.labels[:_NAME_PLACE] != catalog.TARGET:
        return None
    target = Target(*labels[:_NAME_PLACE])
    match family.labels[_NAME_PLACE : _NAME_PLACE + 1]:
        case ("launch_plan",):
            return target, labels[_NAME_PLACE]
        case ("task",):
            return target, _TASK_MARK + labels[_NAME_PLACE]
    return target, ""


def is_task(name: str) -> bool:
    """Whether the owner called *name* is a task."""
    return name.startswith(_TASK_MARK)


def is_launch_plan(name: str) -> bool:
    """Whether the owner called *name* is a launch plan."""
    return bool(name) and name != OVERFLOW and not is_task(name)


def spills(family: Family, labels: tuple[str, ...]) -> list[tuple[str, ...]]:
    """
    Return the labels under which counts go that do not fit under *labels*, the nearest first.

    The last have nothing open left: there are a handful of them, which always fit.
    """
    named = dict(zip(family.labels, labels, strict=True))
    found = []
    for open_labels in ((family.open_label,), catalog.TARGET):
        # A series of all launch plans together has no name to give up but the target's.
        if all(map(named.get, open_labels)):
            named.update(dict.fromkeys(open_labels, OVERFLOW))
            found.append(tuple(named.values()))
    return found


class Variety:
    """
    How many values of their open label families may have, for each owner.

    First come, first served; who has a series keeps it. So restarts change nothing, and neither
    does a lower limit, for what is there already. Values of a closed set are not counted.
    """

    def __init__(self, limits: Mapping[Family, int]) -> None:
        """Take the *limits* of the families that have one."""
        self.limits = limits
        self._values: dict[tuple[Family, Owner | None], set[str]] = {}

    def admitted(self, family: Family, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return *labels*, with `other` in the place of a value that is one too many."""
        limit = self.limits.get(family)
        if limit is None:
            return labels
        place = family.labels.index(family.open_label)
        if labels[place] in _CLOSED.get(family, ()):
            return labels
        known = self._values.get((family, owner_of(family, labels)), set())
        if len(known) < limit or labels[place] in known:
            return labels
        return (*labels[:place], OTHER, *labels[place + 1 :])

    def take(self, family: Family, labels: tuple[str, ...]) -> None:
        """Take note that there is a series with *labels*."""
        if family not in self.limits:
            return
        value = labels[family.labels.index(family.open_label)]
        if value not in {OTHER, OVERFLOW} and value not in _CLOSED.get(family, ()):
            self._values.setdefault((family, owner_of(family, labels)), set()).add(value)

    def forget(self, owner: Owner) -> None:
        """Take note that the series of *owner* are over."""
        for family in self.limits:
            self._values.pop((family, owner), None)
