"""Whatever could make a count wrong is refused, in a sentence that says the way out."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.ledger.errors import LedgerError, explained
from exporter.ledger.migrations import VERSION
from exporter.ledger.opening import open_ledger
from exporter.ledger.records import Activity, Commit, TargetRecord
from exporter.ledger.store import Ledger
from exporter.model.targets import Target
from tests.ledger.conftest import ENDPOINT, opened
from tests.rows import NOON, TARGET

_HOLDER = """
import sys
from pathlib import Path
from exporter.ledger.opening import open_ledger
with open_ledger(Path(sys.argv[1]), endpoint="flyteadmin:81"):
    print("open", flush=True)
    sys.stdin.read()
"""
_ROOT = Path(__file__).parents[2]


def refusal(path: Path, endpoint: str = ENDPOINT) -> str:
    """Return what a person is told who opens *path*."""
    with pytest.raises(LedgerError) as refused, opened(path, endpoint):
        pass
    return str(refused.value)


@pytest.fixture
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Yield another process that has the ledger open."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_exporter_is_refused_by_pid(path: Path, holder: "subprocess.Popen[str]") -> None:
    """Two would count everything twice; the message says who the first one is."""
    assert refusal(path) == (
        f"Ledger {path} is locked by another exporter (pid {holder.pid}). Run one replica, or give"
        " this one its own ledger.path."
    )


def test_a_second_opening_in_the_same_process_is_refused(path: Path) -> None:
    """The lock belongs to the opening, not to the process."""
    with opened(path):
        assert f"(pid {os.getpid()})" in refusal(path)


def test_the_lock_of_a_killed_exporter_is_free(path: Path, holder: "subprocess.Popen[str]") -> None:
    """A lock dies with its process, however that ends; the file it left says nothing."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with opened(path):
        assert path.with_name("ledger.db.lock").read_text() == str(os.getpid())


def test_a_lock_file_of_nobody_is_no_lock(path: Path) -> None:
    """A pid in the file, shorter or longer than ours, is only overwritten."""
    lock = path.with_name("ledger.db.lock")
    lock.write_text("99999999999999")
    with opened(path):
        assert lock.read_text() == str(os.getpid())


def test_a_holder_who_has_not_signed_is_unknown(path: Path) -> None:
    """Between locking and signing the message has no pid, and does not invent one."""
    with opened(path):
        path.with_name("ledger.db.lock").write_text("")
        assert "(pid unknown)" in refusal(path)


def test_a_ledger_can_be_opened_again(path: Path) -> None:
    """Leaving lets go of lock and file."""
    for _ in range(2):
        with opened(path) as ledger:
            assert ledger.target(TARGET) == TargetRecord(None, {}, {}, {})


def test_another_admins_ledger_is_refused(path: Path) -> None:
    """Executions of two Admins in one ledger could never be told apart again."""
    with opened(path):
        pass
    assert refusal(path, "other:81") == (
        f"Ledger {path} belongs to the Admin at {ENDPOINT}, not to other:81. Set ledger.path to"
        " another file for another Admin; if it is the same one under a new address, start once"
        " with --adopt-ledger."
    )


def test_an_adopted_ledger_changes_hands(path: Path) -> None:
    """What it holds goes on; the old address is another one from then on."""
    with opened(path) as ledger:
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
    with open_ledger(path, endpoint="other:81", adopt=True) as ledger:
        assert ledger.activity() == [Activity(TARGET, "nightly", NOON)]
    with opened(path, "other:81"):
        pass
    assert "belongs to the Admin at other:81" in refusal(path)


def test_no_directory(tmp_path: Path) -> None:
    """The directory is named, and that it must be made."""
    path = tmp_path / "missing" / "ledger.db"
    assert refusal(path) == (
        f"Ledger {path} cannot be opened: {path}.lock: No such file or directory. Create the"
        " directory and let this user write it, or set ledger.path."
    )


def test_an_empty_file_is_not_begun_anew(path: Path) -> None:
    """It is the remains of something: counters that begin at zero for that would lie."""
    path.touch()
    assert refusal(path) == (
        f"Ledger {path} is damaged (it is empty). Restore it from a backup, or move it away to"
        " begin counting from zero; nothing was changed."
    )
    assert path.stat().st_size == 0


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    """Any text under that name is left alone."""
    path.write_bytes(b"not a database, whatever it is" * 200)
    assert refusal(path) == (
        f"Ledger {path} is damaged (file is not a database). Restore it from a backup, or move it"
        " away to begin counting from zero; nothing was changed."
    )


def test_a_damaged_page_is_found(path: Path) -> None:
    """Damage is looked for before anything is counted on top of it."""
    with opened(path) as ledger:
        activity = [Activity(TARGET, f"plan {number}", NOON) for number in range(2000)]
        ledger.commit([Commit(activity=activity)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    assert refusal(path).startswith(f"Ledger {path} is damaged (")
    assert path.read_bytes() == bytes(content)


def test_somebody_elses_database_is_not_touched(path: Path) -> None:
    """A SQLite file without our mark is refused as it is."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    assert refusal(path) == (
        f"{path} is a SQLite file, but not a ledger of flyte-exporter. Set ledger.path to another"
        " file; this one was not touched."
    )
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(path: Path) -> None:
    """A downgrade cannot know what the newer release keeps."""
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {VERSION + 1}")
    assert refusal(path) == (
        f"Ledger {path} was written by a newer flyte-exporter (schema {VERSION + 1}, this one knows"
        f" {VERSION}). Go back to the newer release, or give this one its own ledger.path."
    )


def test_a_directory_is_no_ledger(path: Path) -> None:
    """What cannot be opened says so, and what to set."""
    path.mkdir()
    assert refusal(path) == (
        f"Ledger {path} cannot be written (unable to open database file). Let this user write the"
        " file and its directory, or set ledger.path to where it may."
    )


def test_a_sqlite_that_is_too_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is named before any file is touched."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.37.2")
    assert refusal(path) == (
        "SQLite 3.37.2 is too old: the ledger needs 3.38. Use a newer Python or a newer libsqlite3."
    )
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_loses_nothing(ledger: Ledger, path: Path) -> None:
    """What does not fit is refused whole; what was committed is still there."""
    kept = Activity(TARGET, "kept", NOON)
    ledger.commit([Commit(activity=[kept])])
    # To SQLite this is what a full disk is: no page more.
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    flood = [Activity(Target("p", "d"), f"plan {number}", NOON) for number in range(5000)]
    with pytest.raises(LedgerError) as refused:
        ledger.commit([Commit(activity=flood)])
    assert str(refused.value) == (
        f"Ledger {path} cannot grow: the disk is full. Free some space; counting goes on from the"
        " last commit, nothing is lost."
    )
    assert ledger.activity() == [kept]
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    ledger.commit([Commit(activity=flood)])
    assert len(ledger.activity()) == 5001


def test_a_database_shell_that_writes_is_told_from_an_exporter(ledger: Ledger, path: Path) -> None:
    """A lock of SQLite's own says whom to look for: another program, not another replica."""
    ledger._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError) as refused:
            ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
    assert str(refused.value) == (
        f"Ledger {path} is locked by another program (database is locked). Close whatever has it"
        " open, such as a database shell or a backup that holds a lock."
    )
    ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])


def test_a_ledger_that_cannot_be_written(ledger: Ledger, path: Path) -> None:
    """The file's permissions are what to look at."""
    ledger._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError) as refused:
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
    assert str(refused.value) == (
        f"Ledger {path} cannot be written (attempt to write a readonly database). Let this user"
        " write the file and its directory, or set ledger.path to where it may."
    )


def named(name: str, text: str) -> sqlite3.Error:
    """Return an error of SQLite's with its symbolic name."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(
            named("SQLITE_IOERR_FSYNC", "disk I/O error"),
            "Ledger l.db could not be read or written (disk I/O error). Check the disk and the"
            " space that is left on it.",
            id="broken-disk",
        ),
        pytest.param(
            OSError(errno.EIO, "Input/output error"),
            "Ledger l.db could not be read or written (Input/output error). Check the disk and the"
            " space that is left on it.",
            id="broken-disk-outside-of-sqlite",
        ),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device"),
            "Ledger l.db cannot grow: the disk is full. Free some space; counting goes on from the"
            " last commit, nothing is lost.",
            id="full-disk-outside-of-sqlite",
        ),
        pytest.param(
            named("SQLITE_SCHEMA", "what nobody foresaw"),
            "Ledger l.db failed: what nobody foresaw.",
            id="anything-else",
        ),
    ],
)
def test_what_is_hard_to_bring_about_has_its_sentence(error: Exception, sentence: str) -> None:
    """Whatever the disk does is told as a fault of the ledger, with its cause attached."""
    with pytest.raises(LedgerError) as refused, explained(Path("l.db")):
        raise error
    assert str(refused.value) == sentence
    assert refused.value.__cause__ is error


def test_a_ledger_of_nobody_is_damaged(path: Path) -> None:
    """Without an owner nobody can say whose executions it counts."""
    with opened(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("DELETE FROM meta WHERE key = 'endpoint'")
    assert refusal(path).startswith(
        f"Ledger {path} is damaged (it does not say which Admin it belongs to)."
    )


def test_a_half_made_ledger_is_made_again(path: Path) -> None:
    """A crash while the first ledger was made leaves a draft, which nobody takes for one."""
    for suffix in (".new", ".new-wal"):
        path.with_name(f"ledger.db{suffix}").write_bytes(b"half of something")
    with opened(path) as ledger:
        assert ledger.target(TARGET) == TargetRecord(None, {}, {}, {})
    assert not path.with_name("ledger.db.new").exists()


def test_a_log_left_by_a_removed_ledger_is_not_replayed(path: Path) -> None:
    """Who moves a ledger away after a crash, but not its log, begins at zero all the same."""
    with opened(path) as ledger:
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
        log = path.with_name("ledger.db-wal").read_bytes()
    path.unlink()
    path.with_name("ledger.db-wal").write_bytes(log)
    with opened(path, "other:81") as ledger:
        assert ledger.activity() == []


def test_a_crash_is_followed_by_the_log(path: Path, tmp_path: Path) -> None:
    """A log that belongs to its ledger is replayed: that is where the newest commits are."""
    moved = tmp_path / "moved.db"
    with opened(path) as ledger:
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{moved}{suffix}")
    with opened(moved) as ledger:
        assert ledger.activity() == [Activity(TARGET, "nightly", NOON)]
