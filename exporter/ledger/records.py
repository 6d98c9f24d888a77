"""What is written to the ledger, and what is read back from it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.model.executions import ExecutionId, Tracked
from exporter.model.launch_plans import Activation, PlanState
from exporter.model.progress import Progress
from exporter.model.schedules import ScheduleState
from exporter.model.targets import Target
from exporter.model.tasks import Due
from exporter.model.time import Micros


class Value(NamedTuple):
    """
    What a series stands at.

    Attributes:
        total: A counter's value; a histogram's sum.
        buckets: Observations in each bucket by itself, the one without bound last; empty for a
            counter.
    """

    total: float
    buckets: tuple[int, ...] = ()


class SeriesRow(NamedTuple):
    """A series as the ledger has it."""

    id: int
    family: str
    labels: tuple[str, ...]
    layout: str
    value: Value
    born_at: Micros
    shown: Value | None


class SeriesDelta(NamedTuple):
    """
    An addition to one series, which comes to be with it if it is new.

    Additions commute, so commits of several targets may share a series and a transaction.
    """

    id: int
    family: str
    labels: tuple[str, ...]
    layout: str
    born_at: Micros
    shown: Value | None
    total: float
    buckets: Mapping[int, int]


class Activity(NamedTuple):
    """When something last happened to a launch plan (or, with an empty name, to a target)."""

    target: Target
    launch_plan: str
    last_at: Micros


class DiscoveredRow(NamedTuple):
    """What discovery knows of one project and domain."""

    included: bool
    misses: int


class Discovery(NamedTuple):
    """The last complete discovery."""

    at: Micros
    """A moment by Admin's clock at which it had not ended."""
    rows: Mapping[Target, DiscoveredRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """
    All that one transaction makes true; parts left out stay as they are.

    Attributes:
        target: Whose executions and launch plans these are; None when there are none.
        rows: What is now known of these executions.
        were_live: All of them that were in the live set until now.
        progress: How far the target has come. Where it raises `retained_from`, finished executions
            created before are forgotten in the same transaction, but for those that stand in one
            document with younger ones.
        plans: What is now known of these launch plans of the target.
        schedules: How these launch plans of the target keep their schedules.
        forgotten_plans: Of which launch plans it is not known any more how they fared.
        forgotten_schedules: Of which it is not known any more how they kept a schedule.
        deltas: Additions to series.
        activity: What happened when.
        released: Series that show their true value from now on.
        removed: Series that are over.
        inactive: Launch plans whose series are over.
        activations: Launch plans of the target that are active, where that is news.
        deactivated: Launch plans of the target that are not active any more, and since when. Where
            there are any, those are forgotten that were deactivated so long ago that no state of
            theirs would be kept, and of which there is none.
        tasks_due: Finished executions whose tasks are still to be counted.
        tasks_done: Those of which they are, or never will be.
        labelling: By which rules series are named from now on.
        discovery: The discovery that was just completed. Targets that are not scraped any more
            lose their active launch plans with it.
        begun: Targets that it brought in, and where they count from; None has them primed. One
            that the ledger already counts goes on instead.
    """

    target: Target | None = None
    rows: Mapping[ExecutionId, Tracked] = field(default_factory=dict)
    were_live: AbstractSet[ExecutionId] = frozenset()
    progress: Progress | None = None
    plans: Mapping[str, PlanState] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleState] = field(default_factory=dict)
    forgotten_plans: Sequence[str] = ()
    forgotten_schedules: Sequence[str] = ()
    deltas: Sequence[SeriesDelta] = ()
    activity: Sequence[Activity] = ()
    released: Sequence[int] = ()
    removed: Sequence[int] = ()
    inactive: Sequence[tuple[Target, str]] = ()
    activations: Sequence[Activation] = ()
    deactivated: Mapping[str, Micros] = field(default_factory=dict)
    tasks_due: Sequence[Due] = ()
    tasks_done: Sequence[Due] = ()
    labelling: str | None = None
    discovery: Discovery | None = None
    begun: Mapping[Target, Progress | None] = field(default_factory=dict)


class TargetRecord(NamedTuple):
    """What is known of one target."""

    progress: Progress | None
    rows: dict[ExecutionId, Tracked]
    plans: dict[str, PlanState]
    schedules: dict[str, ScheduleState]
    deactivated: Mapping[str, Micros] = {}
