"""
Real programs: started, waited for by what they say or answer, and ended whatever happens.

Nothing here sleeps for luck. Everything waits for a condition, and fails with what was found when
it does not come about in time.
"""

import http.client
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import pytest

T = TypeVar("T")

COMMAND = Path(sys.executable).with_name("flyte-exporter")
"""The command as it was installed beside this Python."""

_PAUSE_SECONDS = 0.02
_HTTP_SECONDS = 5.0
_NUMBERS = itertools.count(1)


class Answer(NamedTuple):
    """What an HTTP server said."""

    status: int
    body: str


class Program:
    """
    A process; what it says on standard output and standard error goes to one file.

    A context manager: leaving it kills the process, if it is still there.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = directory / f"{next(_NUMBERS):03d}-{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return all that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str, *, within: float = 20.0) -> re.Match[str]:
        """Wait until it says something that *pattern* finds."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.said())
            if match is None and not self.is_running:
                pytest.fail(f"{self.name} ended without saying {pattern!r}:\n{self.said()}")
            return match

        return until(found, within=within, what=f"{self.name} saying {pattern!r}")

    def kill(self) -> None:
        """End it at once, as the kernel does with a process that takes too much memory."""
        self._process.kill()
        self._process.wait()

    def send(self, number: int) -> None:
        """Send it a signal, and wait for nothing."""
        self._process.send_signal(number)

    def terminate(self, *, within: float = 10.0, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.send(number)
        return self.exit_code(within=within)

    def exit_code(self, *, within: float = 20.0) -> int:
        """Wait until it ends by itself, and return its exit code."""
        try:
            return self._process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} did not end within {within} s:\n{self.said()}")


def run(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command, which is expected to end by itself; *environment* is all that it has."""
    return subprocess.run(
        (COMMAND, *arguments),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=environment,
    )


def until(
    condition: Callable[[], T | None], *, within: float, what: str, pause: float = _PAUSE_SECONDS
) -> T:
    """Return what *condition* returns as soon as that is true; fail if it takes too long."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {within} s in vain for {what}")
        time.sleep(pause)


def settled(read: Callable[[], T], expected: T, *, within: float) -> T:
    """Return what *read* returns once that is *expected*, or what it last did when time is up."""
    deadline = time.monotonic() + within
    found = read()
    while found != expected and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        found = read()
    return found


def get(
    port: int, path: str, *, accept: str = "*/*", method: str = "GET", within: float = _HTTP_SECONDS
) -> Answer | None:
    """Ask a server on this machine; None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nobody uses now; for addresses that must outlive a process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
