"""Executions come back as they were, whether they had a row or stood in a document."""

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ledger import executions
from exporter.ledger.documents import document
from exporter.ledger.records import Commit
from exporter.ledger.store import Ledger
from exporter.model.executions import (
    OVER,
    TERMINAL,
    VANISHED_AFTER,
    ExecutionId,
    Mode,
    Phase,
    Tracked,
)
from exporter.model.progress import Progress
from exporter.model.time import Micros
from tests.ledger.conftest import opened
from tests.rows import NOON, TARGET, after

_KEYS = [
    ExecutionId(name, after(second)) for name in ("a", "b", '"\u00e9\\\n') for second in (0, 1)
]
_RUNNING = Tracked(Phase.RUNNING, Mode.SCHEDULED, "nightly", NOON, started=True)
_KNOWN = [
    *OVER.values(),
    OVER[Phase.FAILED]._replace(stepped_back=True),
    _RUNNING,
    _RUNNING._replace(phase=Phase.UNRECOGNIZED, absences=1),
    _RUNNING._replace(absences=VANISHED_AFTER),
]


def _may_follow(before: Tracked | None, row: Tracked) -> bool:
    """Whether `track.executions` ever makes *row* of what was known *before*: over is for ever."""
    return before is None or before.phase not in TERMINAL or row.stepped_back


def _counted(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as raw:
        (count,) = raw.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # ours
    return int(count)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(_KNOWN)), max_size=8))
def test_whatever_becomes_of_executions_is_what_is_read(
    history: Sequence[Mapping[ExecutionId, Tracked]],
) -> None:
    """However they were stored before, the last that was known of each is what is known."""
    known: dict[ExecutionId, Tracked] = {}
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patched:
        patched.setattr(executions, "_MOST_TOGETHER", 2)
        path = Path(directory) / "ledger.db"
        with opened(path) as ledger:
            for told in history:
                rows = {k: row for k, row in told.items() if _may_follow(known.get(k), row)}
                live = {key for key, row in known.items() if row.is_live}
                ledger.commit([Commit(target=TARGET, rows=rows, were_live=live & rows.keys())])
                known.update(rows)
                assert ledger.target(TARGET).rows == known
        with opened(path) as ledger:
            assert ledger.target(TARGET).rows == known


@pytest.mark.parametrize(("most", "documents"), [(1000, 1), (999, 2), (100, 10)])
def test_a_backlog_is_a_few_documents(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, most: int, documents: int
) -> None:
    """Executions that were over when they were first seen have no rows of their own."""
    monkeypatch.setattr(executions, "_MOST_TOGETHER", most)
    rows = {
        ExecutionId(f"x{number}", after(number)): OVER[sorted(TERMINAL)[number % len(TERMINAL)]]
        for number in range(1000)
    }
    ledger.commit([Commit(target=TARGET, rows=rows)])
    assert ledger.target(TARGET).rows == rows
    assert (_counted(path, "execution"), _counted(path, "finished")) == (0, documents)


def test_who_was_live_keeps_its_one_row(ledger: Ledger, path: Path) -> None:
    """An execution that ends is in one place still, so that a live set leaves nothing behind."""
    key = ExecutionId("a", NOON)
    for row, live in ((_RUNNING, set()), (OVER[Phase.SUCCEEDED], {key})):
        ledger.commit([Commit(target=TARGET, rows={key: row}, were_live=live)])
    assert ledger.target(TARGET).rows == {key: OVER[Phase.SUCCEEDED]}
    assert (_counted(path, "execution"), _counted(path, "finished")) == (1, 0)


def test_over_outweighs_a_row_that_was_left_behind(ledger: Ledger) -> None:
    """An execution that vanished has a row for good; when it turns up finished, it is finished."""
    key = ExecutionId("a", NOON)
    gone = _RUNNING._replace(absences=VANISHED_AFTER)
    for row in (gone, OVER[Phase.FAILED]):
        ledger.commit([Commit(target=TARGET, rows={key: row})])
    assert ledger.target(TARGET).rows == {key: OVER[Phase.FAILED]}


def test_a_document_goes_with_the_last_that_a_list_may_show(ledger: Ledger, path: Path) -> None:
    """It is kept while one in it is at or above the bound, and gone when none is."""
    rows = {ExecutionId(name, after(at)): OVER[Phase.FAILED] for name, at in (("a", -9), ("b", 0))}
    ledger.commit([Commit(target=TARGET, rows=rows)])
    for bound, documents in ((NOON, 1), (Micros(NOON + 1), 0)):
        progress = Progress(NOON, NOON, retained_from=bound)
        ledger.commit([Commit(target=TARGET, progress=progress)])
        assert _counted(path, "finished") == documents
    assert ledger.target(TARGET).rows == {}


def test_what_json_has_no_word_for_is_refused() -> None:
    """A set would come back as a list, in any order: whoever wrote it is told instead."""
    assert document({"a": _KEYS[0]}) == f'{{"a":["a",{NOON}]}}'
    with pytest.raises(TypeError):
        document({1, 2})
