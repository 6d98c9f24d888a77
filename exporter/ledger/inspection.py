"""
A look at a ledger from outside, which leaves no trace: nothing is made, and nothing held.

Root may look where an exporter without rights runs. A file that SQLite made beside the ledger on
the way, belonging to root, would stop that exporter.
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from exporter.ledger.errors import LedgerError, corrupt, explained
from exporter.ledger.opening import (
    lock_of,
    refuse_another_admins,
    refuse_damaged,
    refuse_strange,
)

_STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite between two looks at the clock: some milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """
    What was seen of a ledger that can be used.

    Attributes:
        size_bytes: Of the file; None when there is none yet.
        version: Of its schema; None when there is none yet.
        holder: Process id of the exporter that has it open; empty when none has.
        complete: Whether there was time to look for damage everywhere.
    """

    size_bytes: int | None = None
    version: int | None = None
    holder: str = ""
    complete: bool = True


def inspect(path: Path, *, endpoint: str, seconds: float) -> Inspection:
    """
    Say whether an exporter could use the ledger at *path*.

    Args:
        path: The file.
        endpoint: Address of the Admin whose executions are to be counted.
        seconds: How long to look for damage; 0 for not at all.

    Raises:
        LedgerError: It could not; the text says why.
    """
    _check_place(path)
    holder = _holder(path)
    if not path.exists():
        return Inspection(holder=holder)
    with explained(path):
        size = path.stat().st_size
        if size == 0:
            raise corrupt(path, "it is empty")
        if not os.access(path, os.R_OK | os.W_OK):
            raise LedgerError(
                f"Ledger {path} cannot be read and written by this user (uid {os.geteuid()}). Give"
                " it the file, or run this as the user of the exporter."
            )
        log, index = _has(path, "-wal"), _has(path, "-shm")
        # The rest of a crash is read with the ledger, where all of it is there.
        with closing(_connect(path, alone=not holder and not (log and index))) as connection:
            # Without its log a file may look damaged that is not.
            patience = 0.0 if log and not index else seconds
            version, complete = _look(connection, path, endpoint, patience)
    return Inspection(size_bytes=size, version=version, holder=holder, complete=complete)


def _check_place(path: Path) -> None:
    directory = path.parent
    if not directory.is_dir():
        raise LedgerError(
            f"Ledger {path} has no directory {directory}. Create it and let this user write it, or"
            " set ledger.path."
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise LedgerError(
            f"Ledger {path} needs its directory {directory} to be writable by this user (uid"
            f" {os.geteuid()}). Let it write there, set ledger.path, or run this as the user of the"
            " exporter."
        )
    lock = lock_of(path)
    if lock.exists() and not os.access(lock, os.R_OK | os.W_OK):
        raise LedgerError(
            f"Ledger {path} cannot be locked: {lock} is not writable by this user (uid"
            f" {os.geteuid()}). Give it the file, or run this as the user of the exporter."
        )


def _holder(path: Path) -> str:
    """Return who holds the ledger; empty when nobody does."""
    try:
        descriptor = os.open(lock_of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        # The only way to ask is to try. It is given back at once: an exporter that starts within
        # these microseconds would be refused, and starts again.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
    else:
        return ""
    finally:
        os.close(descriptor)


def _connect(path: Path, *, alone: bool) -> sqlite3.Connection:
    """Open the file for reading; *alone* when nobody else has it open."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if alone:
        # SQLite is told that nothing will change, or it would make files in order to read.
        uri += "&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1.0)


def _has(path: Path, suffix: str) -> bool:
    """Whether there is anything in a file that SQLite keeps beside the ledger."""
    beside = path.with_name(path.name + suffix)
    return beside.exists() and beside.stat().st_size > 0


def _look(
    connection: sqlite3.Connection, path: Path, endpoint: str, seconds: float
) -> tuple[int, bool]:
    """Return the version of the schema, and whether all of the file was looked at."""
    refuse_strange(connection, path)
    refuse_another_admins(connection, path, endpoint, adopt=False)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if not seconds:
        return version, False
    deadline = monotonic() + seconds
    connection.set_progress_handler(lambda: monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        refuse_damaged(connection, path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return version, False
    return version, True
