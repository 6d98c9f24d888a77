"""
Whom a series belongs to: a target, one of its launch plans, or one of its tasks.

The owner decides when a series is over: what nobody has heard of for long goes with all it has.
"""

from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import TARGET, Family
from exporter.model.targets import Target

Owner = tuple[Target, str]
"""A target, and a launch plan or a task of it; with an empty name, the target itself."""

NAME_PLACE = len(TARGET)
"""Of the owner's name among the label values of every family that has one."""

_TASK_MARK = "task\x1f"
"""Before the names of tasks, so that a launch plan of the same name is another owner."""


def owner_of(family: Family, labels: tuple[str, ...]) -> Owner:
    """Return whose the series of *family* with *labels* is."""
    target, name = Target(*labels[:NAME_PLACE]), "".join(labels[NAME_PLACE : NAME_PLACE + 1])
    return target, _TASK_MARK + name if "task" in family.labels else name


def is_task(name: str) -> bool:
    """Whether the owner called *name* is a task."""
    return name.startswith(_TASK_MARK)


def is_launch_plan(name: str) -> bool:
    """Whether the owner called *name* is a launch plan."""
    return bool(name) and name != OVERFLOW and not is_task(name)
