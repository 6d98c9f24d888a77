"""
Opening a ledger: everything that could make a count wrong is refused here, by name.

A ledger belongs to one process and to one Admin. It is never started anew unless there is no file
at all: an unreadable one stops the exporter, because counters that silently begin at zero lie.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from exporter.ledger.errors import LedgerError, corrupt, explained
from exporter.ledger.migrations import MIGRATIONS, VERSION
from exporter.ledger.store import Ledger

_APPLICATION_ID = 0x466C7945
"""`FlyE`: tells a ledger from any other SQLite file."""

_OLDEST_SQLITE = (3, 38, 0)
"""The first with the `->>` operator."""


@contextmanager
def open_ledger(path: Path, *, endpoint: str, adopt: bool = False) -> Iterator[Ledger]:
    """
    Open the ledger at *path*, which is made if there is none.

    Args:
        path: The file.
        endpoint: Address of the Admin whose executions are counted.
        adopt: Take over a ledger that belongs to another endpoint, because it is the same Admin
            under a new address.

    Raises:
        LedgerError: It is locked, damaged, newer than we are, another Admin's, or read-only.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise LedgerError(
            f"SQLite {sqlite3.sqlite_version} is too old: the ledger needs 3.38. Use a newer Python"
            " or a newer libsqlite3."
        )
    with _locked(path):
        if not path.exists():
            _create(path, endpoint)
        elif path.stat().st_size == 0:
            raise corrupt(path, "it is empty")
        with explained(path):
            connection = _connect(path)
        with closing(connection):
            with explained(path):
                refuse_damaged(connection, path)
                refuse_strange(connection, path)
                refuse_another_admins(connection, path, endpoint, adopt=adopt)
                _upgrade(connection)
            yield Ledger(connection, path)


def lock_of(path: Path) -> Path:
    """Return the file whose lock stands for the ledger at *path*; it names who holds it."""
    return path.with_name(path.name + ".lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the ledger for this process; a lock dies with its process, however that ends."""
    lock = lock_of(path)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LedgerError(
            f"Ledger {path} cannot be opened: {lock}: {error.strerror}. Create the directory and"
            " let this user write it, or set ledger.path."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            raise LedgerError(
                f"Ledger {path} is locked by another exporter (pid {holder or 'unknown'}). Run one"
                " replica, or give this one its own ledger.path."
            ) from error
        with explained(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are ours to begin and end; one thread at a time uses the connection, not always
    # the one that made it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Writing the log back costs two more waits for the disk: in a backlog, not after every few
    # commits. 8,000 pages are 32 MiB.
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    return connection


def _create(path: Path, endpoint: str) -> None:
    """Make a ledger beside *path* and move it there, so that none is ever seen half made."""
    draft = path.with_name(path.name + ".new")
    with explained(path):
        draft.unlink(missing_ok=True)
        with closing(_connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            schema = resources.files("exporter.ledger").joinpath("schema.sql").read_text("utf-8")
            connection.executescript(schema)
            connection.execute("INSERT INTO meta (key, value) VALUES ('endpoint', ?)", (endpoint,))
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        # What is left of a ledger that was moved away would be replayed into this one.
        for left in ("-wal", "-shm"):
            path.with_name(path.name + left).unlink(missing_ok=True)
        draft.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring the file of an earlier release to our schema: all of the way, or none of it."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    steps = "".join(MIGRATIONS[version - 1 :])
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"
        )
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `LedgerError` for a file that SQLite finds damaged; reads all of it."""
    finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        # SQLite puts a heading on a line of its own before what it found.
        raise corrupt(path, str(finding).splitlines()[-1])


def refuse_strange(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `LedgerError` for a file that is no ledger, or one that we are too old for."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise LedgerError(
            f"{path} is a SQLite file, but not a ledger of flyte-exporter. Set ledger.path to"
            " another file; this one was not touched."
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LedgerError(
            f"Ledger {path} was written by a newer flyte-exporter (schema {version}, this one knows"
            f" {VERSION}). Go back to the newer release, or give this one its own ledger.path."
        )


def refuse_another_admins(
    connection: sqlite3.Connection, path: Path, endpoint: str, *, adopt: bool
) -> None:
    """Raise `LedgerError` for a ledger of another endpoint; *adopt* it, and it is this one's."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'endpoint'").fetchone()
    if row is None:
        raise corrupt(path, "it does not say which Admin it belongs to")
    owner = row[0]
    if owner == endpoint:
        return
    if not adopt:
        raise LedgerError(
            f"Ledger {path} belongs to the Admin at {owner}, not to {endpoint}. Set ledger.path to"
            " another file for another Admin; if it is the same one under a new address, start once"
            " with --adopt-ledger."
        )
    connection.execute("UPDATE meta SET value = ? WHERE key = 'endpoint'", (endpoint,))
