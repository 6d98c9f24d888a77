"""What can be seen of a running exporter from outside: its answers, and what it uses."""

import http.client
import socket
import time
from typing import NamedTuple

import psutil

from exporter.metrics.catalog import LAUNCH_PLAN_INFO, Family

_HTTP_SECONDS = 30.0


class Answer(NamedTuple):
    """What the web port said, and how long that took."""

    body: bytes
    seconds: float


def get(port: int, path: str, encoding: str = "identity", accept: str = "*/*") -> Answer:
    """
    Ask the web port.

    Raises:
        OSError: Nobody answered, or not with 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_SECONDS)
    began = time.perf_counter()
    try:
        connection.request("GET", path, headers={"Accept-Encoding": encoding, "Accept": accept})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise OSError(f"{path} answered {response.status}")
    return Answer(body, time.perf_counter() - began)


def wait_until_ready(port: int, *, seconds: float) -> None:
    """
    Wait until every target was tried.

    Raises:
        TimeoutError: They were not.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            get(port, "/-/ready")
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"not ready after {seconds:.0f} s")


def wait_until_listed(port: int, plans: int, *, seconds: float) -> None:
    """
    Wait until *plans* active launch plans are known.

    Raises:
        TimeoutError: They were not.
    """
    deadline = time.monotonic() + seconds
    while total(get(port, "/metrics").body, LAUNCH_PLAN_INFO) < plans:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{plans} launch plans were not listed in {seconds:.0f} s")
        time.sleep(1)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def total(document: bytes, family: Family, *having: str) -> int:
    """Return the sum of the samples of *family* in which all of *having* stands."""
    start = family.name.encode()
    wanted = [text.encode() for text in having]
    return sum(
        round(float(line.rpartition(b" ")[2]))
        for line in document.splitlines()
        if line.startswith((start + b"{", start + b" ")) and all(text in line for text in wanted)
    )


class Usage:
    """What a process uses."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def resident_bytes(self) -> int:
        """Return its memory."""
        resident: int = self._process.memory_info().rss
        return resident

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, in all its threads."""
        times = self._process.cpu_times()
        return float(times.user + times.system)
