"""
What is known of executions, in the ledger.

Whoever may still change has a row: the live set, and those of which there is more to be said than
that they are over. An execution that was over when it was first seen is told of once and never
again. A backlog is made of those, and so they are written together, by the thousand in a document:
that takes a tenth of what rows of their own would.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import orjson

from exporter.ledger.documents import document
from exporter.model.executions import (
    OVER,
    TERMINAL,
    VANISHED_AFTER,
    ExecutionId,
    Mode,
    Phase,
    Tracked,
)
from exporter.model.targets import Target
from exporter.model.time import Micros

_MOST_TOGETHER = 10_000
"""Executions in one document: some 2 ms to read, in which the interpreter can do nothing else."""

_UPSERT = """
INSERT INTO execution
SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
       value ->> 5, value ->> 6, value ->> 7, value ->> 8
FROM json_each(?) WHERE TRUE
ON CONFLICT DO UPDATE SET
    phase = excluded.phase, mode = excluded.mode, launch_plan = excluded.launch_plan,
    since = excluded.since, started = excluded.started, absences = excluded.absences,
    stepped_back = excluded.stepped_back
"""
_INSERT_FINISHED = """
INSERT INTO finished (project, domain, newest, executions) VALUES (?, ?, ?, ?)
"""
_PRUNE = """
DELETE FROM execution
WHERE project = ? AND domain = ? AND created_at < ?
  AND (phase IN (SELECT value FROM json_each(?)) OR absences >= ?)
"""
_PRUNE_FINISHED = "DELETE FROM finished WHERE project = ? AND domain = ? AND newest < ?"


def write(
    connection: sqlite3.Connection,
    target: Target,
    rows: Mapping[ExecutionId, Tracked],
    were_live: AbstractSet[ExecutionId],
) -> None:
    """
    Write what is now known of *rows*.

    Args:
        connection: In a transaction.
        target: Whose they are.
        rows: Executions.
        were_live: All of them that were in the live set until now. They have a row, and what became
            of them must stand there: left as it was, it would be live again after a start.
    """
    others = [(key.created_at, key.name, *rows[key]) for key in were_live]
    if were_live:
        rows = {key: row for key, row in rows.items() if key not in were_live}
    items = iter(rows.items())
    for _ in range(0, len(rows), _MOST_TOGETHER):
        finished = _finished(islice(items, _MOST_TOGETHER), others)
        if finished:
            newest = max(max(times.values()) for times in finished.values())
            connection.execute(_INSERT_FINISHED, (*target, newest, document(finished)))
    if others:
        connection.execute(_UPSERT, (*target, document(others)))


def _finished(
    items: Iterable[tuple[ExecutionId, Tracked]], others: list[tuple[Any, ...]]
) -> dict[str, dict[str, Micros]]:
    """
    Return those of *items* that go into a document, by phase and name; the rest joins *others*.

    A name may come twice, with another creation time; an object holds it once.
    """
    # By identity, because every finished execution shares what is kept of it.
    finished: dict[int, dict[str, Micros]] = {id(over): {} for over in OVER.values()}
    for (name, created_at), row in items:
        times = finished.get(id(row))
        if times is None or times.setdefault(name, created_at) != created_at:
            others.append((created_at, name, *row))
    phases = zip(OVER, finished.values(), strict=True)
    return {str(int(phase)): times for phase, times in phases if times}


def read(connection: sqlite3.Connection, target: Target) -> dict[ExecutionId, Tracked]:
    """Read what is known of the executions of *target*."""
    rows: dict[ExecutionId, Tracked] = {}
    for (executions,) in connection.execute(
        "SELECT executions FROM finished WHERE project = ? AND domain = ?", target
    ):
        for phase, times in orjson.loads(executions).items():
            over = OVER[Phase(int(phase))]
            rows.update((ExecutionId(*execution), over) for execution in times.items())
    for row in connection.execute(
        "SELECT name, created_at, phase, mode, launch_plan, since, started, absences,"
        " stepped_back FROM execution WHERE project = ? AND domain = ?",
        target,
    ):
        key, tracked = _tracked(row)
        # Over is for ever.
        if tracked.phase in TERMINAL or key not in rows:
            rows[key] = tracked
    return rows


def prune(connection: sqlite3.Connection, target: Target, retained_from: Micros) -> None:
    """
    Forget those that are over, or gone, and were created before *retained_from*.

    A document is kept for as long as one of those in it is: more may be known after a start than
    before it, and never less.
    """
    bounds = (retained_from, document(sorted(TERMINAL)), VANISHED_AFTER)
    connection.execute(_PRUNE, (*target, *bounds))
    connection.execute(_PRUNE_FINISHED, (*target, retained_from))


def _tracked(
    row: tuple[str, int, int, int, str, int, int, int, int],
) -> tuple[ExecutionId, Tracked]:
    name, created_at, phase, mode, launch_plan, since, started, absences, stepped_back = row
    key = ExecutionId(name, Micros(created_at))
    over = OVER.get(Phase(phase))
    if over is not None:
        return key, over if not stepped_back else over._replace(stepped_back=True)
    return key, Tracked(
        Phase(phase), Mode(mode), launch_plan, Micros(since), bool(started), absences
    )
