"""What a person looking at the landing page is told."""

from datetime import timedelta
from typing import NamedTuple

from exporter.model.targets import Target
from exporter.model.time import Micros


class TargetStatus(NamedTuple):
    """How the scraping of one target goes."""

    target: Target
    up: bool | None
    """Whether its last poll succeeded; None while it waits for its first."""
    last_success_at: Micros | None
    poll_duration: timedelta | None
    """How long its last poll took."""
    live: int
    """Executions in a non-terminal phase."""
    problem: str
    """What its last poll failed with, in one sentence; empty when it did not fail."""
    active_plans: int | None = None
    """Launch plans that are active; None while nobody knows."""
    inventory_problem: str = ""
    """What the last listing of its launch plans failed with; empty when it did not fail."""
