"""What is known of one target, in memory: the ledger's rows, and an index of the live set."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from exporter.ledger.records import TargetRecord
from exporter.model.executions import TERMINAL, ExecutionId, Tracked
from exporter.model.progress import Progress


class Memory:
    """A copy of what the ledger has of one target; it changes only after the ledger did."""

    def __init__(self, record: TargetRecord, label: Callable[[str], str] = str) -> None:
        """Take over *record*; launch plans that have one *label* are one in the index."""
        self._label = label
        self.progress = record.progress
        self._rows = record.rows
        self.get: Callable[[ExecutionId], Tracked | None] = record.rows.get
        """Returns what is known of one execution. The dict's own, as it is asked for every row."""
        self._live: dict[str, dict[ExecutionId, Tracked]] = {}
        for key, row in record.rows.items():
            if row.is_live:
                self._live.setdefault(label(row.launch_plan), {})[key] = row

    def live(self) -> Iterator[ExecutionId]:
        """Yield the live set."""
        for rows in self._live.values():
            yield from rows

    def live_count(self) -> int:
        """Return how many executions are live."""
        return sum(len(rows) for rows in self._live.values())

    def live_rows(self) -> Iterator[Tracked]:
        """Yield what is known of all live executions."""
        for rows in self._live.values():
            yield from rows.values()

    def live_of(self, label: str) -> Iterable[Tracked]:
        """Return what is known of the live executions whose launch plan has *label*."""
        return self._live.get(label, {}).values()

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
        # Most rows were not known and are over: neither loop has a turn for them.
        for key in self._rows.keys() & rows.keys():
            before = self._rows[key]
            if before.is_live:
                label = self._label(before.launch_plan)
                touched.add(label)
                live = self._live[label]
                del live[key]
                if not live:
                    del self._live[label]
        self._rows.update(rows)
        for key, row in rows.items():
            if row.phase not in TERMINAL and row.is_live:
                label = self._label(row.launch_plan)
                touched.add(label)
                self._live.setdefault(label, {})[key] = row
        if progress is not None:
            self._forget_before(progress)
        return touched

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
