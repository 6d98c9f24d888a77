"""What can be wrong with a ledger, each with the way out."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LedgerError(Exception):
    """The ledger could not be used; the message says what to do. Nothing was lost or restarted."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what befalls the ledger at *path* into an error that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(_sentence(path, error)) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        sentence = _full(path) if full else _unreliable(path, error.strerror or str(error))
        raise LedgerError(sentence) from error


def corrupt(path: Path, finding: str) -> LedgerError:
    """Return the error for a file that is there but cannot be read as a ledger."""
    return LedgerError(
        f"Ledger {path} is damaged ({finding}). Restore it from a backup, or move it away to begin"
        " counting from zero; nothing was changed."
    )


def _sentence(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    match name.removeprefix("SQLITE_").split("_")[0]:
        case "FULL":
            return _full(path)
        case "CORRUPT" | "NOTADB":
            return str(corrupt(path, str(error)))
        case "BUSY" | "LOCKED":
            return (
                f"Ledger {path} is locked by another program ({error}). Close whatever has it open,"
                " such as a database shell or a backup that holds a lock."
            )
        case "READONLY" | "PERM" | "AUTH" | "CANTOPEN":
            return (
                f"Ledger {path} cannot be written ({error}). Let this user write the file and its"
                " directory, or set ledger.path to where it may."
            )
        case "IOERR":
            return _unreliable(path, str(error))
        case _:
            return f"Ledger {path} failed: {error}."


def _full(path: Path) -> str:
    return (
        f"Ledger {path} cannot grow: the disk is full. Free some space;"
        " counting goes on from the last commit, nothing is lost."
    )


def _unreliable(path: Path, finding: str) -> str:
    # SQLite says the same of a broken disk, of a quota, and of no space for its shared memory.
    return (
        f"Ledger {path} could not be read or written ({finding}). Check the disk and the space"
        " that is left on it."
    )
