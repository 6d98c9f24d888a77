"""Which Prometheus there is, and what the programs said when a test of them fails."""

import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.flyte import Flyte, Simulator

_TAIL_LINES = 60
_BEGAN = pytest.StashKey[float]()


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """
    Return `tool(name)`, which finds prometheus or promtool: PROMETHEUS, PROMTOOL, or on the path.

    Where it is missing the test is skipped; where CI=true it fails, because there nobody would see
    that it was.
    """

    def find(name: str) -> str:
        wanted = os.environ.get(name.upper(), name)
        found = shutil.which(wanted)
        if found is None:
            reason = f"{wanted} is not installed: install it, or set {name.upper()} to its path"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return found

    return find


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Return a simulated Admin that the tests of one file share, each in a project of its own."""
    with Simulator(tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


@pytest.fixture
def flyte(simulator: Simulator) -> Iterator[Flyte]:
    """Return a client of the shared Admin, whose deeds begin at none."""
    with Flyte(simulator.address) as flyte:
        yield flyte


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when the test began, to know which logs it wrote to."""
    item.stash[_BEGAN] = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what every program has said."""
    report = yield
    if report.failed:
        base = _base_directory(item)
        for log in sorted(base.rglob("*.log")) if base else ():
            if log.stat().st_mtime >= item.stash[_BEGAN] - 1:
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                report.sections.append((f"log {log.name}", "\n".join(lines[-_TAIL_LINES:])))
    return report


def _base_directory(item: pytest.Item) -> Path | None:
    factory = getattr(item, "funcargs", {}).get("tmp_path_factory")
    path = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(factory, pytest.TempPathFactory):
        return factory.getbasetemp()
    return path.parent if isinstance(path, Path) else None
