"""Programs that a measurement starts, and stops whatever happens."""

import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.server import LISTENING
from bench.worlds import Crowd, to_argument

COMMAND = str(Path(sys.executable).with_name("flyte-exporter"))
"""The command as it was installed beside this Python."""

_ROOT = Path(__file__).parents[1]
_PATIENCE_SECONDS = 120.0
_LAST_WORDS = 4000
"""Characters of a program's stderr that are shown when a measurement breaks."""


@contextmanager
def program(command: Sequence[str], *, orders: bool = False) -> Iterator[subprocess.Popen[str]]:
    """
    Run *command* while the block runs.

    With *orders* its stdin is ours to write, and it ends when that does: so it is not left behind
    even when we are killed, and cleans up after itself. Others are terminated.
    """
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            cwd=_ROOT,
        )
        with process:
            try:
                yield process
            except BaseException:
                complaints.seek(0)
                print(complaints.read()[-_LAST_WORDS:], file=sys.stderr)
                raise
            finally:
                if process.stdin is None:
                    process.terminate()
                else:
                    process.stdin.close()
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def serving(crowds: list[Crowd]) -> Iterator[str]:
    """Have `bench.server` answer for *crowds*; yields its address."""
    command = [sys.executable, "-m", "bench.server", to_argument(crowds)]
    with program(command, orders=True) as process:
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
