"""The book with its ledger and its page, driven step by step; time is a number that tests move."""

import sqlite3
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.ledger.records import Commit
from exporter.ledger.store import Ledger
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.metrics.labelling import AS_THEY_ARE, Labelling, labelled
from exporter.metrics.loading import load
from exporter.metrics.measure import SeriesKey, measure, measure_tasks
from exporter.metrics.opening import taken_from
from exporter.metrics.posting import Posting
from exporter.metrics.rebound import begin_anew, rebound_of
from exporter.metrics.series import Series, held_in_ledger
from exporter.model.events import Events
from exporter.model.executions import Execution, Mode, Phase
from exporter.model.targets import Target
from exporter.model.tasks import Tally
from exporter.model.time import Micros, micros
from tests.rows import NOON, TARGET, execution

HOLD = timedelta(minutes=2)
BOUNDS: Mapping[Family, Sequence[float]] = {
    catalog.EXECUTION_DURATION: (10.0, 60.0),
    catalog.EXECUTION_QUEUE_DURATION: (1.0,),
    catalog.TASK_DURATION: (10.0, 60.0),
    catalog.TASK_QUEUE_DURATION: (1.0,),
}
VARIETIES: Mapping[Family, int] = {
    catalog.EXECUTION_ERROR_CODES: 3,
    catalog.CLUSTER_EXECUTIONS_FINISHED: 3,
}
Sample = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and its labels."""


class Silence:
    """A process that has nothing to tell about itself."""

    def render(self, media: Format) -> bytes:
        """Return no samples."""
        assert media in Format
        return b""


@dataclass
class Diverted:
    """The observer: how many increments of each family went to `__overflow__`."""

    increments_of: Counter[Family] = field(default_factory=Counter)

    def diverted(self, *, family: Family, increments: int) -> None:
        """Take note."""
        assert increments > 0
        self.increments_of[family] += increments

    def rendered(self, *, seconds: float) -> None:
        """Take note of nothing."""
        assert seconds >= 0


def memory_ledger() -> Ledger:
    """Return a ledger without a file: it outlives the book, as the file outlives the process."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema = resources.files("exporter.ledger").joinpath("schema.sql").read_text("utf-8")
    connection.executescript(schema)
    return Ledger(connection, Path("memory"))


def samples(document: bytes) -> dict[Sample, float]:
    """Return what a document in the text format says."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(document.decode())
        for sample in family.samples
    }


@dataclass
class Desk:
    """
    One book at a time over one ledger.

    What waits for the ledger waits in `queued`, what is durable but not yet shown in `durable`; in
    both the order is that of the calls, as the journal has it.
    """

    hold: timedelta = HOLD
    limit: int = 10_000
    varieties: Mapping[Family, int] = field(default_factory=lambda: dict(VARIETIES))
    bounds: Mapping[Family, Sequence[float]] = field(default_factory=lambda: dict(BOUNDS))
    labelling: Labelling = AS_THEY_ARE
    family_limits: Mapping[Family, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=memory_ledger)
    now: Micros = NOON

    def __post_init__(self) -> None:
        self.observer = Diverted()
        self.restart()

    def restart(self) -> None:
        """Forget all that is in memory, as a crash does, and load the ledger."""
        self.queued: deque[Posting | list[Series]] = deque()
        self.durable: deque[Posting | list[Series]] = deque()
        self.exposition = Exposition(Silence(), hidden=self.labelling.disabled)
        self.book = Book(
            bounds=self.bounds,
            limit=self.limit,
            varieties=self.varieties,
            hold=self.hold,
            exposition=self.exposition,
            observer=self.observer,
            labelling=self.labelling,
            family_limits=self.family_limits,
        )
        self.ledger.commit([load(self.book, *taken_from(self.ledger, self.labelling), self.now)])

    def reload(self) -> None:
        """Have the book that is in use go by what was set anew; nothing may be on its way."""
        assert [*self.queued, *self.durable] == []
        found = rebound_of(
            self.book,
            bounds=self.bounds,
            labelling=self.labelling,
            known=self.ledger.launch_plans(),
            hold=self.hold,
            now=self.now,
        )
        if found is not None:
            self.ledger.commit([found[1]])
        self.book.set_limits(limit=self.limit, varieties=self.varieties, hold=self.hold)
        self.book.budget.families = self.family_limits
        if found is not None:
            begin_anew(self.book, found[0], self.now)

    def advance(self, length: timedelta) -> None:
        """Let time pass."""
        self.now = Micros(self.now + micros(length))

    # The steps of counting

    def post(self, events: Events, target: Target = TARGET) -> None:
        """Find the series; nothing is written."""
        increments = labelled(measure(target, events), self.labelling)
        self.queued.append(self.book.post(target, increments, self.now))

    def count_tasks(self, tally: Tally, target: Target = TARGET) -> None:
        """Post what became of tasks, commit and show it."""
        increments = labelled(measure_tasks(target, tally), self.labelling)
        self.queued.append(self.book.post(target, increments, self.now))
        self.settle()

    def begin_release(self) -> None:
        """Ask which holds are over; where the ledger need not be told, show at once."""
        due = self.book.showing.due(self.now)
        if held_in_ledger(due):
            self.queued.append(due)
        else:
            self.book.showing.release(due)

    def write(self) -> None:
        """Make what waits the longest durable."""
        item = self.queued.popleft()
        if isinstance(item, Posting):
            commit = Commit(**item.entries())
        else:
            commit = Commit(released=held_in_ledger(item))
        self.ledger.commit([commit])
        self.durable.append(item)

    def fail(self) -> None:
        """Have what waits the longest not be written."""
        item = self.queued.popleft()
        if not isinstance(item, Posting):
            self.book.showing.retry(item)

    def take_over(self) -> None:
        """Make true in memory what has been durable for the longest."""
        item = self.durable.popleft()
        if isinstance(item, Posting):
            self.book.apply(item, self.now)
        else:
            self.book.showing.release(item)

    def settle(self) -> None:
        """Finish everything that was begun."""
        while self.queued:
            self.write()
        while self.durable:
            self.take_over()

    # All steps at once

    def count(self, events: Events, target: Target = TARGET) -> None:
        """Post, commit and show."""
        self.post(events, target)
        self.settle()

    def release(self) -> None:
        """Show what is no longer held back."""
        self.begin_release()
        self.settle()

    # What can be seen

    def shown(self) -> dict[Sample, float]:
        """Return every sample on the page."""
        return samples(b"".join(self.exposition.snapshot(Format.TEXT)))

    def value(self, series: SeriesKey, suffix: str = "") -> float | None:
        """Return one sample; None when there is none."""
        family, labels = series
        named = zip(family.labels, labels, strict=True)
        pairs = tuple(sorted(pair for pair in named if pair != ("launch_plan", "")))
        return self.shown().get((family.name + suffix, pairs))

    def total(self, family: Family) -> float:
        """Return what all series of a family stand at together: a histogram's observations."""
        rows = [row.value for row in self.ledger.series() if row.family == family.name]
        return sum(sum(value.buckets) if value.buckets else value.total for value in rows)


def ran(
    name: str = "a",
    *,
    launch_plan: str = "nightly",
    phase: Phase = Phase.SUCCEEDED,
    mode: Mode = Mode.SCHEDULED,
    lasted: float | None = 30,
) -> Events:
    """Return what one execution that began and ended between two polls is owed."""
    row = execution(name, phase, started=2, lasted=lasted, launch_plan=launch_plan, mode=mode)
    return everything([row])


def everything(rows: list[Execution]) -> Events:
    """Return the events of executions that began and ended between two polls."""
    return Events(launched=rows, started=rows, finished=rows)


def launched(*rows: Execution) -> Events:
    """Return launches alone."""
    return Events(launched=list(rows))


def plan_labels(launch_plan: str, *rest: str) -> tuple[str, ...]:
    """Return label values of a series of a launch plan."""
    return (*TARGET, launch_plan, *rest)


@pytest.fixture
def desk() -> Desk:
    """Return a book over an empty ledger, with the hold of two minutes."""
    return Desk()


@pytest.fixture
def open_desk() -> Desk:
    """Return a book that holds nothing back."""
    return Desk(hold=timedelta(0))
