"""Programs that a measurement starts, and stops whatever happens."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.server import LISTENING
from bench.worlds import Crowd, to_argument

_ROOT = Path(__file__).parents[1]
_PATIENCE_SECONDS = 120.0


@contextmanager
def program(arguments: Sequence[str], *, log: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run `python ARGUMENTS` while the block runs; what it says on stderr goes to *log*."""
    with (log or Path(os.devnull)).open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors if log else None,
            text=True,
            cwd=_ROOT,
        )
        with process:
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def serving(crowds: list[Crowd]) -> Iterator[str]:
    """Have `bench.server` answer for *crowds*; yields its address."""
    with program(["-m", "bench.server", to_argument(crowds)]) as process:
        yield awaited(process, LISTENING)


def awaited(process: subprocess.Popen[str], beginning: str) -> str:
    """
    Return the rest of the line of *process* that starts with *beginning*.

    Raises:
        RuntimeError: It ended, or took too long, without saying so.
    """
    stdout: IO[str] | None = process.stdout
    if stdout is None:
        raise RuntimeError("started without a pipe to read from")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if not select.select([stdout], [], [], 0.2)[0]:
            continue
        line = stdout.readline()
        if not line:
            break
        if line.startswith(beginning):
            return line.removeprefix(beginning).strip()
    raise RuntimeError(f'{process.args!r} never said "{beginning}"')
