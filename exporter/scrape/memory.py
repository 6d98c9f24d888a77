"""What is known of one target, in memory: the ledger's rows, and an index of the live set."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from exporter.ledger.records import TargetRecord
from exporter.model.executions import TERMINAL, ExecutionId, Tracked
from exporter.model.launch_plans import PlanState, oldest_deactivation
from exporter.model.progress import Progress
from exporter.model.schedules import ScheduleState
from exporter.model.time import Micros


class Memory:
    """A copy of what the ledger has of one target; it changes only after the ledger did."""

    def __init__(self, record: TargetRecord, label: Callable[[str], str] = str) -> None:
        """Take over *record*; launch plans that have one *label* are one in the index."""
        self._label = label
        self.progress = record.progress
        self._plans = record.plans
        self._named: dict[str, set[str]] = {}
        for name in record.plans:
            self._named.setdefault(label(name), set()).add(name)
        self._schedules = record.schedules
        self._deactivated: dict[str, Micros] = {}
        self._off: dict[str, set[str]] = {}
        self._switch_off(record.deactivated)
        self._rows = record.rows
        self.get: Callable[[ExecutionId], Tracked | None] = record.rows.get
        """Returns what is known of one execution. The dict's own, as it is asked for every row."""
        self._live: dict[str, dict[ExecutionId, Tracked]] = {}
        self._label_of: dict[ExecutionId, str] = {}
        for key, row in record.rows.items():
            if row.is_live:
                self._admit(key, row)

    @property
    def plans(self) -> Mapping[str, PlanState]:
        """The states of the target's launch plans, by their true names."""
        return self._plans

    def plans_of(self, label: str) -> Mapping[str, PlanState]:
        """Return the states of the launch plans that have *label*, by their true names."""
        return {name: self._plans[name] for name in self._named.get(label, ())}

    def plan_labels(self) -> list[str]:
        """Return the labels of the launch plans that have a state."""
        return list(self._named)

    def was_switched_off(self, label: str) -> bool:
        """Whether a launch plan that has *label* was active once, and is not any more."""
        return label in self._off

    @property
    def schedules(self) -> Mapping[str, ScheduleState]:
        """How the target's launch plans keep their schedules."""
        return self._schedules

    def live(self) -> Iterator[ExecutionId]:
        """Return the live set."""
        return iter(self._label_of)

    def live_count(self) -> int:
        """Return how many executions are live."""
        return len(self._label_of)

    def live_among(self, rows: Mapping[ExecutionId, Tracked]) -> AbstractSet[ExecutionId]:
        """Return which of *rows* are in the live set so far."""
        # Of the two, the live set is nearly always by far the smaller.
        return self._label_of.keys() & rows.keys()

    def live_rows(self) -> Iterator[Tracked]:
        """Yield what is known of all live executions."""
        for rows in self._live.values():
            yield from rows.values()

    def live_rows_of(self, launch_plan: str) -> Mapping[ExecutionId, Tracked]:
        """Return the live executions of *launch_plan*, by its true name."""
        live = self._live.get(self._label(launch_plan), {})
        return {key: row for key, row in live.items() if row.launch_plan == launch_plan}

    def live_of(self, label: str) -> Iterable[Tracked]:
        """Return what is known of the live executions whose launch plan has *label*."""
        return self._live.get(label, {}).values()

    def has_live(self, label: str) -> bool:
        """Whether a launch plan that has *label* has live executions."""
        return label in self._live

    def labels(self) -> list[str]:
        """Return the labels of the launch plans that have live executions."""
        return list(self._live)

    def remember(self, rows: Mapping[ExecutionId, Tracked], progress: Progress | None) -> set[str]:
        """
        Take over what was committed.

        Returns:
            The labels of the launch plans whose part of the live set changed.
        """
        touched: set[str] = set()
        for key in self.live_among(rows):
            label = self._label_of.pop(key)
            touched.add(label)
            live = self._live[label]
            del live[key]
            if not live:
                del self._live[label]
        self._rows.update(rows)
        for key, row in rows.items():
            if row.phase not in TERMINAL and row.is_live:
                touched.add(self._admit(key, row))
        if progress is not None:
            self._forget_before(progress)
        return touched

    def remember_schedules(
        self, changed: Mapping[str, ScheduleState], forgotten: Collection[str]
    ) -> None:
        """Take over what was committed of how launch plans keep their schedules."""
        self._schedules.update(changed)
        for launch_plan in forgotten:
            self._schedules.pop(launch_plan, None)

    def remember_plans(self, changed: Mapping[str, PlanState], forgotten: Collection[str]) -> None:
        """Take over what was committed of how launch plans fared."""
        for launch_plan in changed.keys() - self._plans.keys():
            self._named.setdefault(self._label(launch_plan), set()).add(launch_plan)
        self._plans.update(changed)
        for launch_plan in forgotten:
            if self._plans.pop(launch_plan, None) is not None:
                label = self._label(launch_plan)
                self._named[label].discard(launch_plan)
                if not self._named[label]:
                    del self._named[label]

    def remember_activations(
        self, activated: Iterable[str], deactivated: Iterable[str], now: Micros
    ) -> None:
        """Take over what was committed of which launch plans became active, or are no longer."""
        self._switch_on(activated)
        if off := dict.fromkeys(deactivated, now):
            self._switch_off(off)
            oldest, known = oldest_deactivation(now), self._plans
            # As the ledger does.
            self._switch_on(
                [
                    name
                    for name, at in self._deactivated.items()
                    if at < oldest and name not in known
                ]
            )

    def _switch_off(self, deactivated: Mapping[str, Micros]) -> None:
        self._deactivated.update(deactivated)
        for name in deactivated:
            self._off.setdefault(self._label(name), set()).add(name)

    def _switch_on(self, launch_plans: Iterable[str]) -> None:
        for name in launch_plans:
            if self._deactivated.pop(name, None) is not None:
                label = self._label(name)
                self._off[label].discard(name)
                if not self._off[label]:
                    del self._off[label]

    def _admit(self, key: ExecutionId, row: Tracked) -> str:
        """Have *row* in the live set; return the label of its launch plan."""
        label = self._label_of[key] = self._label(row.launch_plan)
        self._live.setdefault(label, {})[key] = row
        return label

    def _forget_before(self, progress: Progress) -> None:
        raised = self.progress is None or progress.retained_from > self.progress.retained_from
        self.progress = progress
        if not raised:
            return
        bound = progress.retained_from
        old = [
            key
            for key, row in self._rows.items()
            if key.created_at < bound and (row.phase in TERMINAL or not row.is_live)
        ]
        for key in old:
            del self._rows[key]
