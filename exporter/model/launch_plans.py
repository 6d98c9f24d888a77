"""A launch plan that is active: what it runs, when, and since when we know."""

from typing import NamedTuple

from exporter.model.schedules import Schedule
from exporter.model.time import Micros


class ActivePlan(NamedTuple):
    """The active version of a launch plan; of each name, there is one at most."""

    name: str
    version: str
    workflow: str
    """Name of the workflow that it runs."""
    schedule: Schedule | None
    """When Flyte's scheduler runs it; None when only others do."""


class Activation(NamedTuple):
    """An active launch plan and its history."""

    plan: ActivePlan
    since: Micros
    """
    When it was first seen active, whatever its version was then. Our clock.

    Admin does not tell when that really was: activation leaves no date.
    """
