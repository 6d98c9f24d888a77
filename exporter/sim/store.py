"""
Admin's tables in SQLite's memory, so that filters and sorts are what they are in Flyte: SQL.

Times are whole microseconds, which is what PostgreSQL keeps. The order of rows is arbitrary
wherever the server promises none, and differs from one request to the next: a client that
forgets to sort, or trusts ties, fails here rather than in production.
"""

import random
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from exporter.sim.filters import BYTES_LIKE, Value

_SCHEMA = """
CREATE TABLE projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    identifier TEXT UNIQUE, name TEXT, description TEXT, labels BLOB, state INTEGER
);
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    project TEXT, domain TEXT, name TEXT, version TEXT,
    closure BLOB, digest BLOB, type TEXT, short_description TEXT,
    UNIQUE (project, domain, name, version)
);
CREATE TABLE workflows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    project TEXT, domain TEXT, name TEXT, version TEXT,
    typed_interface BLOB, remote_closure_identifier TEXT, digest BLOB, short_description TEXT,
    UNIQUE (project, domain, name, version)
);
CREATE TABLE launch_plans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    project TEXT, domain TEXT, name TEXT, version TEXT,
    spec BLOB, workflow_id INTEGER, closure BLOB, state INTEGER, digest BLOB,
    schedule_type TEXT, launch_condition_type TEXT,
    UNIQUE (project, domain, name, version)
);
CREATE TABLE executions (
    place INTEGER PRIMARY KEY AUTOINCREMENT,  -- of the simulator: where the row lies
    id INTEGER UNIQUE,           -- drawn when the row is written; NULL while nobody can see it
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    execution_project TEXT, execution_domain TEXT, execution_name TEXT,
    launch_plan_id INTEGER, workflow_id INTEGER, task_id INTEGER,
    phase TEXT, closure BLOB, spec BLOB, started_at INTEGER,
    execution_created_at INTEGER, execution_updated_at INTEGER, duration INTEGER,
    abort_cause TEXT, mode INTEGER, source_execution_id INTEGER, parent_node_execution_id INTEGER,
    cluster TEXT, inputs_uri TEXT, user_inputs_uri TEXT, error_kind TEXT, error_code TEXT,
    user TEXT, state INTEGER, launch_entity TEXT,
    inputs BLOB,                 -- of the simulator: what Admin keeps in blob storage
    listed BLOB,                 -- of the simulator: the row as lists answer it
    UNIQUE (execution_project, execution_domain, execution_name)
);
CREATE INDEX executions_by_time
    ON executions (execution_project, execution_domain, execution_created_at);
CREATE INDEX executions_by_phase ON executions (execution_project, execution_domain, phase);
CREATE INDEX executions_by_creation ON executions (execution_created_at);
CREATE TABLE execution_tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    execution_project TEXT, execution_domain TEXT, execution_name TEXT, key TEXT, value TEXT,
    UNIQUE (execution_project, execution_domain, execution_name, key, value)
);
CREATE TABLE node_executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    execution_project TEXT, execution_domain TEXT, execution_name TEXT, node_id TEXT,
    phase TEXT, input_uri TEXT, closure BLOB, started_at INTEGER,
    node_execution_created_at INTEGER, node_execution_updated_at INTEGER, duration INTEGER,
    node_execution_metadata BLOB, parent_id INTEGER, parent_task_execution_id INTEGER,
    error_kind TEXT, error_code TEXT, cache_status TEXT,
    dynamic_workflow_remote_closure_reference TEXT, internal_data BLOB,
    UNIQUE (execution_project, execution_domain, execution_name, node_id)
);
CREATE INDEX node_executions_by_parent ON node_executions (parent_id);
CREATE INDEX node_executions_by_task ON node_executions (parent_task_execution_id)
    WHERE parent_task_execution_id IS NOT NULL;
CREATE TABLE task_executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER, updated_at INTEGER, deleted_at INTEGER,
    project TEXT, domain TEXT, name TEXT, version TEXT,
    execution_project TEXT, execution_domain TEXT, execution_name TEXT, node_id TEXT,
    retry_attempt INTEGER, phase TEXT, phase_version INTEGER, input_uri TEXT, closure BLOB,
    started_at INTEGER, task_execution_created_at INTEGER, task_execution_updated_at INTEGER,
    duration INTEGER,
    UNIQUE (execution_project, execution_domain, execution_name, node_id,
            project, domain, name, version, retry_attempt)
);
CREATE INDEX execution_tags_by_name ON execution_tags (execution_name);
"""

_SHUFFLE_PRIME = 2_147_483_647
"""Keeps the product below 2**63 for any number of rows that fits in memory."""


class Store:
    """The tables, and the arbitrariness of their order."""

    def __init__(self, *, seed: int = 0) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.executescript(_SCHEMA)
        # PostgreSQL's LIKE tells upper from lower case; SQLite's does not by itself.
        self._database.execute("PRAGMA case_sensitive_like = ON")
        self._database.create_function(BYTES_LIKE, 2, _bytes_like, deterministic=True)
        self._random = random.Random(f"order {seed}")

    def execute(self, sql: str, parameters: Sequence[Value | None] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._database.execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Value | None] = ()) -> list[Any]:
        """Return all rows of a query."""
        return self._database.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Value | None] = ()) -> Any:
        """Return the first row of a query, or None."""
        return self._database.execute(sql, parameters).fetchone()

    def insert(self, table: str, **values: Value | None) -> int:
        """
        Add a row and return its key.

        Raises:
            sqlite3.IntegrityError: A unique key is taken.
        """
        return self.insert_all(table, [values])

    def insert_all(self, table: str, rows: Sequence[Mapping[str, Value | None]]) -> int:
        """
        Add all *rows* or none of them, and return the key of the last.

        Args:
            table: Where to.
            rows: At least one, all with the same columns.

        Raises:
            sqlite3.IntegrityError: A unique key is taken.
        """
        columns = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join("?" * len(rows[0]))
        cursor = self._database.execute(
            f"INSERT INTO {table} ({columns}) VALUES {', '.join([f'({marks})'] * len(rows))}",  # noqa: S608 - our own names
            [value for row in rows for value in row.values()],
        )
        return int(cursor.lastrowid or 0)

    def order(self, keys: Iterable[str], *, unique: str) -> str:
        """
        Return an ORDER BY that is certain of *keys* and of nothing else.

        Args:
            keys: Sort expressions, most important first; may be empty.
            unique: A column of distinct whole numbers, by which ties are shuffled.
        """
        factor = self._random.randrange(1, _SHUFFLE_PRIME)
        return ", ".join([*keys, f"({unique} * {factor}) % {_SHUFFLE_PRIME}"])


def _bytes_like(value: bytes | None, pattern: bytes) -> bool | None:
    return None if value is None else _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=16)
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Return a LIKE pattern over bytes as a regular expression."""
    wildcards = {b"%": b".*", b"_": b"."}
    parts = re.findall(rb"\\?.", pattern, re.DOTALL)
    expression = b"".join(wildcards.get(part) or re.escape(part[-1:]) for part in parts)
    return re.compile(expression, re.DOTALL)
