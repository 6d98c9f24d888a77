"""A ledger can be looked at without a trace, whoever looks and whoever has it open."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.ledger.errors import LedgerError
from exporter.ledger.inspection import Inspection, inspect
from exporter.ledger.migrations import VERSION
from exporter.ledger.records import Activity, Commit
from exporter.model.targets import Target
from tests.ledger.conftest import ENDPOINT, opened
from tests.rows import NOON, TARGET

_NOBODY = 65_534
_STRANGER = f"""
import os, sys
from pathlib import Path
from exporter.ledger.inspection import inspect
if os.geteuid() == 0:
    os.setuid({_NOBODY})
try:
    print(inspect(Path(sys.argv[1]), endpoint="{ENDPOINT}", seconds=5))
except Exception as error:
    print(os.geteuid(), error)
"""


def look(path: Path, endpoint: str = ENDPOINT, seconds: float = 5.0) -> Inspection:
    """Inspect, and insist that nothing beside or in the ledger has changed."""
    before = trace(path)
    try:
        return inspect(path, endpoint=endpoint, seconds=seconds)
    finally:
        assert trace(path) == before


def trace(path: Path) -> dict[str, bytes]:
    """Return what the files are that hold the ledger; SQLite's index is the same in other bytes."""
    return {
        file.name: b"" if file.name.endswith("-shm") else file.read_bytes()
        for file in path.parent.iterdir()
        if file.is_file()
    }


def refusal(path: Path, endpoint: str = ENDPOINT) -> str:
    """Return what a person is told of the ledger at *path*."""
    with pytest.raises(LedgerError) as refused:
        look(path, endpoint)
    return str(refused.value)


def test_none_yet(path: Path) -> None:
    """A first start makes one; a look does not."""
    assert look(path) == Inspection()


def test_one_that_nobody_has_open(path: Path) -> None:
    """Size and schema are told."""
    with opened(path):
        pass
    assert look(path) == Inspection(size_bytes=path.stat().st_size, version=VERSION)


def test_one_in_use(path: Path) -> None:
    """A running exporter is named, and is not disturbed: it commits on, and can start again."""
    with opened(path) as ledger:
        assert look(path).holder == str(os.getpid())
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
        assert look(path).version == VERSION
    assert look(path).holder == ""
    with opened(path) as ledger:
        assert ledger.activity() == [Activity(TARGET, "nightly", NOON)]


def test_what_a_crash_left_is_read_with_it(path: Path, tmp_path: Path) -> None:
    """Log and index stay for the exporter that starts next."""
    (tmp_path / "after").mkdir()
    after = tmp_path / "after" / "ledger.db"
    with opened(path) as ledger:
        ledger.commit([Commit(activity=[Activity(TARGET, "nightly", NOON)])])
        for suffix in ("", "-wal", "-shm"):
            source = path.with_name(path.name + suffix)
            after.with_name(after.name + suffix).write_bytes(source.read_bytes())
    found = look(after)
    assert (found.version, found.complete) == (VERSION, True)
    after.with_name("ledger.db-shm").unlink()
    found = look(after)
    assert (found.version, found.complete) == (VERSION, False)
    with opened(after) as ledger:
        assert ledger.activity() == [Activity(TARGET, "nightly", NOON)]


def test_another_admins(path: Path) -> None:
    """The same words as at a start."""
    with opened(path):
        pass
    assert refusal(path, "other:81").startswith(
        f"Ledger {path} belongs to the Admin at {ENDPOINT}, not to other:81. Set ledger.path"
    )


def test_a_newer_one(path: Path) -> None:
    """A downgrade is told before it is tried."""
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {VERSION + 1}")
    assert f"(schema {VERSION + 1}, this one knows {VERSION})" in refusal(path)


def test_something_else(path: Path) -> None:
    """No database, an empty file, and somebody else's database."""
    path.write_bytes(b"not a database, whatever it is" * 200)
    assert "is damaged (file is not a database)" in refusal(path)
    path.write_bytes(b"")
    assert "is damaged (it is empty)" in refusal(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    assert "not a ledger of flyte-exporter" in refusal(path)


def large(path: Path) -> None:
    """Make a ledger with many pages."""
    with opened(path) as ledger:
        rows = [Activity(Target("p", "d"), f"plan {number}", NOON) for number in range(5000)]
        ledger.commit([Commit(activity=rows)])


def test_damage_is_found(path: Path) -> None:
    """A page in the middle, as after a failing disk."""
    large(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    assert refusal(path).startswith(f"Ledger {path} is damaged (")


def test_looking_for_damage_ends_in_time(path: Path) -> None:
    """A ledger that is too large for the time is as good as the part that was seen."""
    large(path)
    found = look(path, seconds=1e-9)
    assert (found.version, found.complete) == (VERSION, False)


def test_no_directory(tmp_path: Path) -> None:
    """The directory is named, and that it must be made."""
    path = tmp_path / "missing" / "ledger.db"
    with pytest.raises(LedgerError) as refused:
        inspect(path, endpoint=ENDPOINT, seconds=5)
    assert str(refused.value) == (
        f"Ledger {path} has no directory {path.parent}. Create it and let this user write it, or"
        " set ledger.path."
    )


@pytest.fixture
def shared() -> Iterator[Path]:
    """Yield a directory that every user may enter, and only its owner may write."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(stat.S_IRWXU)


def as_stranger(path: Path) -> str:
    """Return what a user who does not own *path* is told."""
    if os.geteuid():
        path.parent.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", _STRANGER, str(path)],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout


def test_a_directory_that_cannot_be_written(shared: Path) -> None:
    """The user is named, because a look as root and a start as another see different things."""
    assert "needs its directory" in as_stranger(shared / "ledger.db")
    assert "to be writable by this user (uid " in as_stranger(shared / "ledger.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_files_of_another_user(shared: Path) -> None:
    """What root's run has left behind keeps the exporter out; both files are looked at."""
    path = shared / "ledger.db"
    with opened(path):
        pass
    shared.chmod(0o777)
    assert f"cannot be locked: {path}.lock is not writable" in as_stranger(path)
    path.with_name("ledger.db.lock").chmod(0o666)
    assert "cannot be read and written by this user" in as_stranger(path)
    path.chmod(0o666)
    assert "Inspection(" in as_stranger(path)
