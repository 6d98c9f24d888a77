"""
Between any two steps the process may die, and no counter ever steps back.

The machine takes the book through post, commit, apply and release in small steps, in the order that
the journal keeps, with failing commits and crashes between them.
"""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.metrics import catalog
from exporter.metrics.posting import Posting
from exporter.model.events import Events
from exporter.model.executions import Phase
from tests.metrics.conftest import HOLD, Desk, Sample, launched, ran
from tests.rows import execution

_GAUGES = {catalog.EXECUTIONS_ACTIVE.name, catalog.EXECUTIONS_OLDEST.name}


class CrashMachine(RuleBasedStateMachine):
    """The book in small steps, compared with how many executions were committed."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.seen: dict[Sample, float] = {}
        self.first_seen: dict[Sample, int] = {}
        self.posted = 0
        self.committed = 0.0

    # What is counted

    @rule(plan=st.sampled_from(["nightly", "adhoc"]), launches=st.integers(1, 3))
    def post(self, plan: str, launches: int) -> None:
        """Launch some; nothing is written yet."""
        rows = [execution(f"{self.posted}.{n}", launch_plan=plan) for n in range(launches)]
        self._post(launched(*rows))

    @rule(lasted=st.sampled_from([0.1, 0.7, 33.3, 1e6]), phase=st.sampled_from(Phase))
    def post_an_end(self, lasted: float, phase: Phase) -> None:
        """Have one begin and end; sums of such lengths are no whole numbers."""
        self._post(ran(str(self.posted), lasted=lasted, phase=phase))

    def _post(self, events: Events) -> None:
        self.desk.post(events)
        self.posted += 1

    # Steps of the journal

    @precondition(lambda self: self.desk.queued)
    @rule()
    def write(self) -> None:
        """Make the oldest durable."""
        item = self.desk.queued[0]
        self.desk.write()
        if isinstance(item, Posting):
            self.committed += sum(
                delta.total
                for delta in item.deltas
                if delta.family == catalog.EXECUTIONS_LAUNCHED.name
            )

    @precondition(lambda self: self.desk.queued)
    @rule()
    def fail(self) -> None:
        """Have the oldest not be written; its poll is done again, and may be again in vain."""
        self.desk.fail()

    @precondition(lambda self: self.desk.durable)
    @rule()
    def take_over(self) -> None:
        """Show the oldest that is durable."""
        self.desk.take_over()

    @precondition(lambda self: not any(isinstance(item, list) for item in self._under_way()))
    @rule()
    def begin_release(self) -> None:
        """Ask which holds are over; one such round at a time, as upkeep has it."""
        self.desk.begin_release()

    @rule(length=st.sampled_from([HOLD / 3, HOLD, 2 * HOLD, timedelta(seconds=1)]))
    def wait(self, length: timedelta) -> None:
        """Let time pass."""
        self.desk.advance(length)

    @precondition(lambda self: not self._under_way())
    @rule()
    def rest(self) -> None:
        """Let nothing happen until every hold is over and released."""
        self.desk.advance(HOLD)
        self.desk.release()

    @rule()
    def crash(self) -> None:
        """Lose all that is in memory."""
        self.desk.restart()

    # What must hold

    @invariant()
    def nothing_steps_back(self) -> None:
        """Every sample that was ever seen is still there, and no lower."""
        shown = self.desk.shown()
        for sample, value in self.seen.items():
            assert shown.get(sample, -1) >= value, sample
        for sample, value in shown.items():
            if sample not in self.seen:
                self.first_seen[sample] = self.desk.now
            self.seen[sample] = value

    @invariant()
    def a_series_is_at_0_first(self) -> None:
        """Until the hold has passed since it was first seen, it shows nothing else."""
        for sample, value in self.seen.items():
            if value and sample[0] not in _GAUGES:
                held_for = timedelta(microseconds=self.desk.now - self.first_seen[sample])
                assert held_for >= HOLD, sample

    @invariant()
    def nothing_is_shown_that_is_not_durable(self) -> None:
        """A crash right now could not take back what a scrape has seen."""
        shown = sum(
            value
            for (name, _), value in self.desk.shown().items()
            if name == catalog.EXECUTIONS_LAUNCHED.name
        )
        assert shown <= self.desk.total(catalog.EXECUTIONS_LAUNCHED) == self.committed

    def teardown(self) -> None:
        """In the end everything that was committed is shown, and is the same after a start."""
        self.desk.settle()
        self.desk.advance(HOLD)
        self.desk.release()
        self.nothing_steps_back()
        final = self.desk.shown()
        assert sum(
            value for (name, _), value in final.items() if name == catalog.EXECUTIONS_LAUNCHED.name
        ) == self.desk.total(catalog.EXECUTIONS_LAUNCHED)
        self.desk.restart()
        assert self.desk.shown() == final

    def _under_way(self) -> list[object]:
        return [*self.desk.queued, *self.desk.durable]


TestCrash = CrashMachine.TestCase
TestCrash.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, report_multiple_bugs=False
)
