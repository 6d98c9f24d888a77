"""What the simulated company runs: a few teams, three domains, and some habits."""

from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from exporter.model.time import parse_duration


class Kind(Enum):
    """How executions of a launch plan come to be."""

    RATE = "rate"
    CRON = "cron"
    MANUAL = "manual"
    TASK = "task"
    CHILD = "child"


class Plan(NamedTuple):
    """One launch plan, or one task that is run by itself."""

    project: str
    domain: str
    name: str
    kind: Kind
    every: timedelta
    """Period of a schedule; mean gap between launches by hand; unused for children."""
    typical: timedelta
    """Median of its duration."""
    failing: float
    """Share of its executions that fail."""
    child: str = ""
    """Launch plan that it launches from a node."""


class _Habit(NamedTuple):
    name: str
    kind: Kind
    every: str
    typical: float
    failing: float
    child: str = ""


_PRODUCTION = {
    "etl": (
        _Habit("ingest_events", Kind.RATE, "1m", 20, 0.01),
        _Habit("sessionize", Kind.CRON, "2m", 200, 0.02),
        _Habit("ingest_orders", Kind.CRON, "5m", 45, 0.03),
        _Habit("warehouse_sync", Kind.CRON, "15m", 540, 0.04, "publish_tables"),
        _Habit("publish_tables", Kind.CHILD, "0s", 60, 0.01),
        _Habit("hourly_report", Kind.CRON, "1h", 300, 0.02),
    ),
    "recommender": (
        _Habit("features", Kind.RATE, "10m", 420, 0.02),
        _Habit("score_batch", Kind.CRON, "5m", 210, 0.02, "publish_index"),
        _Habit("publish_index", Kind.CHILD, "0s", 30, 0.01),
        _Habit("train", Kind.CRON, "1h", 1500, 0.08),
    ),
    "flytesnacks": (
        _Habit("morning_digest", Kind.CRON, "30m", 90, 0.02),
        _Habit("backfill", Kind.MANUAL, "20m", 1500, 0.1),
    ),
}
_TRIAL = (_Habit("nightly_check", Kind.RATE, "30m", 120, 0.1),)
_AD_HOC = (
    _Habit("playground", Kind.MANUAL, "6m", 120, 0.25),
    _Habit("examples.say_hello", Kind.TASK, "12m", 8, 0.1),
)

PROJECTS = tuple(_PRODUCTION)


def plans() -> list[Plan]:
    """Return everything that the company runs."""
    found = []
    for project, habits in _PRODUCTION.items():
        for domain, wanted in (
            ("production", habits),
            ("staging", _TRIAL),
            ("development", _AD_HOC),
        ):
            found += [
                Plan(
                    project,
                    domain,
                    habit.name,
                    habit.kind,
                    parse_duration(habit.every),
                    timedelta(seconds=habit.typical),
                    habit.failing,
                    habit.child,
                )
                for habit in wanted
            ]
    return found
