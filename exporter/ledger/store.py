"""
The ledger file. Synchronous: `ledger.journal` keeps it off the event loop.

Rows travel to SQLite as one JSON document for each statement. A statement for each row would give
up and take back the interpreter's lock for every one of them, and a busy event loop can make each
of these waits 5 ms long. For the same reason parameters go by place: each that is looked up by its
name is such a turn, too. And the event loop waits for as long as documents are made, which is why
that is orjson's work, at an eighth of what the standard library takes.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from exporter.ledger import executions, plans, schedules
from exporter.ledger.documents import document
from exporter.ledger.errors import explained
from exporter.ledger.records import (
    Activity,
    Commit,
    DiscoveredRow,
    Discovery,
    SeriesDelta,
    SeriesRow,
    TargetRecord,
    Value,
)
from exporter.model.executions import ExecutionId
from exporter.model.launch_plans import Activation, ActivePlan, oldest_deactivation
from exporter.model.progress import Progress
from exporter.model.schedules import parse_schedule
from exporter.model.targets import Target
from exporter.model.tasks import Due
from exporter.model.time import Micros

_SERIES_AT_ONCE = 2_000
"""Where all of a company's are written anew, one document of them would take 30 MiB."""

_UPSERT_SERIES = """
INSERT INTO series (id, family, labels, layout, total, born_at, shown)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(?) WHERE TRUE
ON CONFLICT (id) DO UPDATE SET total = total + excluded.total, shown = excluded.shown
"""
_UPSERT_BUCKETS = """
INSERT INTO bucket (series, place, count)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_UPSERT_ACTIVITY = """
INSERT INTO activity (project, domain, launch_plan, last_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at)
"""
_UPSERT_PLANS = """
INSERT INTO plan (project, domain, launch_plan, state)
SELECT ?, ?, value ->> 0, value -> 1 FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET state = excluded.state
"""
_UPSERT_SCHEDULES = """
INSERT INTO schedule (project, domain, launch_plan, state)
SELECT ?, ?, value ->> 0, value -> 1 FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET state = excluded.state
"""
_FORGET_PLANS = """
DELETE FROM plan
WHERE project = ? AND domain = ?
  AND launch_plan IN (SELECT value FROM json_each(?))
"""
_FORGET_SCHEDULES = """
DELETE FROM schedule
WHERE project = ? AND domain = ?
  AND launch_plan IN (SELECT value FROM json_each(?))
"""
_UPSERT_PROGRESS = """
INSERT INTO target (project, domain, cursor, reconciled, retained_from)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    cursor = excluded.cursor, reconciled = excluded.reconciled,
    retained_from = excluded.retained_from
"""
_UPSERT_ACTIVE = """
INSERT INTO active_plan
    (project, domain, launch_plan, version, workflow, schedule, exclusive, active_since)
SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    value ->> 5
FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET
    version = excluded.version, workflow = excluded.workflow, schedule = excluded.schedule,
    exclusive = excluded.exclusive, active_since = excluded.active_since
"""
_DELETE_ACTIVE = """
DELETE FROM active_plan
WHERE project = ? AND domain = ?
  AND launch_plan IN (SELECT value FROM json_each(?))
"""
_UPSERT_DEACTIVATED = """
INSERT INTO deactivated_plan (project, domain, launch_plan, deactivated_at)
SELECT ?, ?, key, value FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET deactivated_at = excluded.deactivated_at
"""
_FORGET_DEACTIVATED = """
DELETE FROM deactivated_plan
WHERE project = ? AND domain = ? AND deactivated_at < ?
  AND launch_plan NOT IN (SELECT launch_plan FROM plan WHERE project = ? AND domain = ?)
"""
_DELETE_DEACTIVATED = """
DELETE FROM deactivated_plan
WHERE project = ? AND domain = ?
  AND launch_plan IN (SELECT value FROM json_each(?))
"""
_SELECT_PLANS = """
SELECT project, domain, launch_plan FROM plan
UNION SELECT project, domain, launch_plan FROM schedule
UNION SELECT project, domain, launch_plan FROM active_plan
UNION SELECT project, domain, launch_plan FROM deactivated_plan
UNION SELECT project, domain, launch_plan FROM execution
ORDER BY project, domain, launch_plan
"""
_FORGET_ACTIVE = """
DELETE FROM active_plan
WHERE (project, domain) NOT IN (SELECT project, domain FROM discovered WHERE included)
"""
_INSERT_DUE = """
INSERT INTO task_backlog (project, domain, name, created_at, launch_plan)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
FROM json_each(?) WHERE TRUE
ON CONFLICT DO NOTHING
"""
_DELETE_DONE = """
DELETE FROM task_backlog
WHERE (project, domain, name, created_at) IN
    (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?))
"""


class Ledger:
    """An open ledger, which this process alone has; `ledger.opening` makes one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def commit(self, commits: Sequence[Commit]) -> None:
        """
        Make all of *commits* true in one durable transaction, or none of them.

        Raises:
            LedgerError: Nothing was changed.
        """
        with explained(self.path), self._transaction():
            for commit in commits:
                self._write(commit)

    def size_bytes(self) -> int:
        """Return what the ledger's files take on disk."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def target(self, target: Target) -> TargetRecord:
        """Read what is known of *target*."""
        with explained(self.path):
            row = self._connection.execute(
                "SELECT cursor, reconciled, retained_from FROM target"
                " WHERE project = ? AND domain = ?",
                target,
            ).fetchone()
            rows = executions.read(self._connection, target)
            states = {
                launch_plan: plans.read(orjson.loads(state))
                for launch_plan, state in self._connection.execute(
                    "SELECT launch_plan, state FROM plan WHERE project = ? AND domain = ?", target
                )
            }
            kept = {
                launch_plan: schedules.read(orjson.loads(state))
                for launch_plan, state in self._connection.execute(
                    "SELECT launch_plan, state FROM schedule WHERE project = ? AND domain = ?",
                    target,
                )
            }
            deactivated = {
                launch_plan: Micros(at)
                for launch_plan, at in self._connection.execute(
                    "SELECT launch_plan, deactivated_at FROM deactivated_plan"
                    " WHERE project = ? AND domain = ?",
                    target,
                )
            }
        progress = Progress(*map(Micros, row)) if row else None
        return TargetRecord(progress, rows, states, kept, deactivated)

    def series(self) -> list[SeriesRow]:
        """Read every series."""
        with explained(self.path):
            buckets: dict[int, dict[int, int]] = {}
            for series, place, count in self._connection.execute(
                "SELECT series, place, count FROM bucket"
            ):
                buckets.setdefault(series, {})[place] = count
            return [
                SeriesRow(
                    id=series,
                    family=family,
                    labels=tuple(orjson.loads(labels)),
                    layout=layout,
                    value=Value(total, _dense(layout, buckets.get(series, {}))),
                    born_at=Micros(born_at),
                    shown=_value(orjson.loads(shown)) if shown else None,
                )
                for series, family, labels, layout, total, born_at, shown in (
                    self._connection.execute(
                        "SELECT id, family, labels, layout, total, born_at, shown FROM series"
                        " ORDER BY family, labels"
                    )
                )
            ]

    def labelling(self) -> str:
        """Read by which rules the series are named; empty when by none."""
        with explained(self.path):
            return self._meta("labelling") or ""

    def launch_plans(self) -> dict[Target, list[str]]:
        """Read the launch plans of which something is known, by target and true name."""
        found: dict[Target, list[str]] = {}
        with explained(self.path):
            for project, domain, name in self._connection.execute(_SELECT_PLANS):
                found.setdefault(Target(project, domain), []).append(name)
        return found

    def newest_cursor(self) -> Micros | None:
        """Return how far the furthest target has come; None when there is none."""
        with explained(self.path):
            (cursor,) = self._connection.execute("SELECT max(cursor) FROM target").fetchone()
        return None if cursor is None else Micros(cursor)

    def activity(self) -> list[Activity]:
        """Read when something last happened to which launch plan."""
        with explained(self.path):
            return [
                Activity(Target(project, domain), launch_plan, Micros(last_at))
                for project, domain, launch_plan, last_at in self._connection.execute(
                    "SELECT project, domain, launch_plan, last_at FROM activity"
                )
            ]

    def discovery(self) -> Discovery | None:
        """Read the last complete discovery; None when there was none yet."""
        with explained(self.path):
            at = self._meta("discovered_at")
            if at is None:
                return None
            rows = {
                Target(project, domain): DiscoveredRow(bool(included), misses)
                for project, domain, included, misses in self._connection.execute(
                    "SELECT project, domain, included, misses FROM discovered"
                )
            }
        return Discovery(Micros(int(at)), rows)

    def active_plans(self) -> dict[Target, dict[str, Activation]]:
        """Read which launch plans were active when last listed, by target and name."""
        found: dict[Target, dict[str, Activation]] = {}
        with explained(self.path):
            for (
                project,
                domain,
                name,
                version,
                workflow,
                schedule,
                limit,
                since,
            ) in self._connection.execute(
                "SELECT project, domain, launch_plan, version, workflow, schedule,"
                " exclusive, active_since FROM active_plan"
            ):
                at_once = plans.limit_read(limit)
                plan = ActivePlan(name, version, workflow, parse_schedule(schedule), at_once)
                active = found.setdefault(Target(project, domain), {})
                active[name] = Activation(plan, Micros(since))
        return found

    def tasks_due(self) -> list[Due]:
        """Read which finished executions' tasks are still to be counted, the oldest first."""
        with explained(self.path):
            return [
                Due(Target(project, domain), ExecutionId(name, Micros(created_at)), launch_plan)
                for project, domain, name, created_at, launch_plan in self._connection.execute(
                    "SELECT project, domain, name, created_at, launch_plan FROM task_backlog"
                    " ORDER BY place"
                )
            ]

    def _write(self, commit: Commit) -> None:
        self._remove(commit)
        if commit.target is not None:
            self._write_target(commit.target, commit)
        for start in range(0, len(commit.deltas), _SERIES_AT_ONCE):
            self._write_series(commit.deltas[start : start + _SERIES_AT_ONCE])
        if commit.activity:
            rows = [(*row.target, row.launch_plan, row.last_at) for row in commit.activity]
            self._connection.execute(_UPSERT_ACTIVITY, (document(rows),))
        for statement, dues in ((_INSERT_DUE, commit.tasks_due), (_DELETE_DONE, commit.tasks_done)):
            if dues:
                due = [(*due.target, *due.id, due.launch_plan) for due in dues]
                self._connection.execute(statement, (document(due),))
        if commit.released:
            self._connection.execute(
                "UPDATE series SET shown = NULL WHERE id IN (SELECT value FROM json_each(?))",
                (document(list(commit.released)),),
            )
        if commit.labelling is not None:
            self._set_meta("labelling", commit.labelling)
        if commit.discovery is not None:
            self._write_discovery(commit.discovery)
        for target, progress in commit.begun.items():
            self._begin(target, progress)

    def _remove(self, commit: Commit) -> None:
        """Remove what is over: before anything else, for the same commit may bring it back."""
        if commit.removed:
            ids = (document(list(commit.removed)),)
            for table, column in (("series", "id"), ("bucket", "series")):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",  # noqa: S608  # both are literals of ours
                    ids,
                )
        for target, launch_plan in commit.inactive:
            self._connection.execute(
                "DELETE FROM activity WHERE project = ? AND domain = ? AND launch_plan = ?",
                (*target, launch_plan),
            )
            if not launch_plan and commit.target is None:
                # Nothing was heard of the whole target for so long: it begins anew if it returns.
                # Where the commit is a poll's, it has returned.
                self._begin(target, None)

    def _begin(self, target: Target, progress: Progress | None) -> None:
        if progress is not None:
            self._connection.execute(
                "INSERT INTO target VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*target, *progress),
            )
            return
        for table in ("target", "execution", "finished", "plan", "schedule", "deactivated_plan"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE project = ? AND domain = ?",  # noqa: S608  # ours
                target,
            )

    def _write_target(self, target: Target, commit: Commit) -> None:
        if commit.rows:
            executions.write(self._connection, target, commit.rows, commit.were_live)
        if commit.progress is not None:
            self._write_progress(target, commit.progress)
        if commit.plans:
            states = [(plan, plans.written(state)) for plan, state in commit.plans.items()]
            self._connection.execute(_UPSERT_PLANS, (*target, document(states)))
        if commit.schedules:
            kept = [(plan, schedules.written(state)) for plan, state in commit.schedules.items()]
            self._connection.execute(_UPSERT_SCHEDULES, (*target, document(kept)))
        for statement, forgotten in (
            (_FORGET_PLANS, commit.forgotten_plans),
            (_FORGET_SCHEDULES, commit.forgotten_schedules),
        ):
            if forgotten:
                self._connection.execute(statement, (*target, document(list(forgotten))))
        if commit.deactivated:
            names = document(list(commit.deactivated))
            self._connection.execute(_DELETE_ACTIVE, (*target, names))
            self._connection.execute(_UPSERT_DEACTIVATED, (*target, document(commit.deactivated)))
            oldest = oldest_deactivation(max(commit.deactivated.values()))
            self._connection.execute(_FORGET_DEACTIVATED, (*target, oldest, *target))
        if commit.activations:
            activations = [
                (name, version, workflow, str(schedule or ""), plans.limit_written(at_once), since)
                for (name, version, workflow, schedule, at_once), since in commit.activations
            ]
            self._connection.execute(_UPSERT_ACTIVE, (*target, document(activations)))
            names = document([activation.plan.name for activation in commit.activations])
            self._connection.execute(_DELETE_DEACTIVATED, (*target, names))

    def _write_progress(self, target: Target, progress: Progress) -> None:
        before = self._connection.execute(
            "SELECT retained_from FROM target WHERE project = ? AND domain = ?",
            target,
        ).fetchone()
        self._connection.execute(_UPSERT_PROGRESS, (*target, *progress))
        if before is None or before[0] < progress.retained_from:
            executions.prune(self._connection, target, progress.retained_from)

    def _write_series(self, deltas: Sequence[SeriesDelta]) -> None:
        rows = [
            (
                delta.id,
                delta.family,
                document(delta.labels),
                delta.layout,
                delta.total,
                delta.born_at,
                None if delta.shown is None else document(delta.shown),
            )
            for delta in deltas
        ]
        self._connection.execute(_UPSERT_SERIES, (document(rows),))
        buckets = [
            (delta.id, place, count) for delta in deltas for place, count in delta.buckets.items()
        ]
        if buckets:
            self._connection.execute(_UPSERT_BUCKETS, (document(buckets),))

    def _write_discovery(self, discovery: Discovery) -> None:
        self._connection.execute("DELETE FROM discovered")
        self._connection.executemany(
            "INSERT INTO discovered (project, domain, included, misses) VALUES (?, ?, ?, ?)",
            [(*target, row.included, row.misses) for target, row in discovery.rows.items()],
        )
        self._connection.execute(_FORGET_ACTIVE)
        self._set_meta("discovered_at", str(discovery.at))

    def _meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, key: str, value: str) -> None:
        self._connection.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, value),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # an earlier end of one failed
            self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _value(stored: tuple[float, list[int]]) -> Value:
    total, buckets = stored
    return Value(total, tuple(buckets))


def _dense(layout: str, counts: Mapping[int, int]) -> tuple[int, ...]:
    """Return one count for each bucket of *layout*, the one without bound included."""
    if not layout:
        return ()
    return tuple(counts.get(place, 0) for place in range(layout.count(",") + 2))
