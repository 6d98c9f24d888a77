"""A ledger of an earlier release goes on: with all that it has, and the schema of this one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exporter.ledger import opening
from exporter.ledger.errors import LedgerError
from exporter.ledger.migrations import VERSION
from exporter.ledger.records import Commit, TargetRecord, Value
from exporter.model.executions import OVER, ExecutionId, Phase
from exporter.model.launch_plans import PlanState
from exporter.model.progress import Progress
from exporter.model.targets import Target
from exporter.model.time import Micros
from tests.ledger.conftest import ENDPOINT, opened
from tests.rows import NOON

_SCHEMA_1 = Path(__file__).with_name("schema-1.sql").read_text(encoding="utf-8")
"""What the release with version 1 made its ledgers by."""
_FILLED = """
INSERT INTO target VALUES ('etl', 'production', 1, 2, 3);
INSERT INTO execution VALUES ('etl', 'production', 5, 'x', 4, -1, '', 0, 0, 0, 0);
INSERT INTO series VALUES (7, 'flyte_executions_started_total', '["etl", "production"]', '', 3, 1, NULL);
"""  # noqa: E501  # a row as it is
T = Target("etl", "production")


@pytest.fixture
def old(path: Path) -> Path:
    """Return a ledger as version 1 left it."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.executescript(_SCHEMA_1 + _FILLED)
        raw.execute("INSERT INTO meta VALUES ('endpoint', ?)", (ENDPOINT,))
        raw.execute(f"PRAGMA application_id = {opening._APPLICATION_ID}")
        raw.execute("PRAGMA user_version = 1")
        raw.commit()
    return path


def schema(path: Path) -> list[tuple[object, ...]]:
    """Return version, tables, columns and indexes of a ledger."""
    with closing(sqlite3.connect(path)) as raw:
        version = raw.execute("PRAGMA user_version").fetchone()
        tables = raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        indexes = raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").fetchall()
        return [
            version,
            *sorted((name, " ".join(sql.split())) for name, sql in indexes if sql),
            *(
                (name, *map(str, column))
                for (name,) in tables.fetchall()
                for column in raw.execute(f"PRAGMA table_info({name})")
            ),
        ]


def test_an_old_ledger_comes_to_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    """Table by table and column by column, whichever way it came there."""
    new = tmp_path / "new.db"
    with opened(old), opened(new):
        pass
    assert schema(old) == schema(new)
    assert schema(old)[0] == (VERSION,)


def test_an_old_ledger_keeps_what_it_has(old: Path) -> None:
    """No count, no cursor and no execution is lost on the way, and new things can be written."""
    state = PlanState(ended_at=NOON, failed_at=NOON, failures=(NOON,))
    rows = {ExecutionId("x", Micros(5)): OVER[Phase.SUCCEEDED]}
    known = TargetRecord(Progress(Micros(1), Micros(2), Micros(3)), rows, {}, {})
    with opened(old) as ledger:
        assert ledger.target(T) == known
        ledger.commit([Commit(target=T, plans={"nightly": state})])
    with opened(old) as ledger:
        assert ledger.target(T) == known._replace(plans={"nightly": state})
        assert [(row.id, row.value) for row in ledger.series()] == [(7, Value(3))]


@pytest.mark.parametrize(("stored", "at_once"), [(0, None), (-1, 0), (3, 3)])
def test_limits_of_policies_mean_what_they_meant(
    path: Path, stored: int, at_once: int | None
) -> None:
    """The 0 of an earlier release was a launch plan without a policy, and that it stays."""
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as raw:
        row = ("etl", "production", "hourly", "v1", "w", "0 * * * *", stored, 5)
        raw.execute("INSERT INTO active_plan VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        raw.commit()
    with opened(path) as ledger:
        assert ledger.active_plans()[T]["hourly"].plan.at_once == at_once


def test_an_upgrade_that_fails_leaves_the_old_ledger(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it or none: the earlier release can still be gone back to."""
    before = schema(old)
    monkeypatch.setattr(opening, "MIGRATIONS", ("CREATE TABLE plan (x); SELECT nothing;",))
    with pytest.raises(LedgerError, match="nothing"), opened(old):
        pass
    assert schema(old) == before
    monkeypatch.undo()
    with opened(old) as ledger:
        assert ledger.target(T).progress == Progress(1, 2, 3)  # type: ignore[arg-type]


def test_another_admins_old_ledger_is_not_touched(old: Path) -> None:
    """It is refused before it is upgraded."""
    before = schema(old)
    with pytest.raises(LedgerError, match="belongs to the Admin"), opened(old, "other:81"):
        pass
    assert schema(old) == before
