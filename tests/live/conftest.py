"""
Which Admin the suites run against: ADMIN=HOST:PORT, or a simulator in a process of its own.

No test knows which of them it is.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.trace import NoOpTracer

from exporter.admin.client import AdminClient
from exporter.admin.opening import open_client
from exporter.model.executions import Phase
from exporter.model.time import Micros
from exporter.telemetry.clock import SystemClock
from tests.calls import Calls
from tests.e2e.flyte import Simulator
from tests.live.flyte import HOURLY, NIGHTLY, Project
from tests.live.polling import settings_for
from tests.live.samples import Sample, find_samples

_MAY_WRITE = not os.environ.get("ADMIN") or os.environ.get("WRITE") == "1"
_SPEED = 60
"""A simulator this fast has something going on in the seconds that a test looks at it."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave an Admin that we were only shown as it is."""
    if item.get_closest_marker("write") and not _MAY_WRITE:
        pytest.skip("this test changes what the Admin holds: set WRITE=1 to allow it")


@pytest.fixture(scope="session")
def admin_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where the Admin under test listens."""
    if address := os.environ.get("ADMIN"):
        yield address
        return
    with Simulator(tmp_path_factory.mktemp("simulator"), f"--speed={_SPEED}") as simulator:
        yield simulator.address
        assert simulator.program.terminate() == 0


@pytest.fixture
def calls() -> Calls:
    """Return the list of calls that `client` makes."""
    return Calls()


@pytest.fixture
async def client(admin_address: str, calls: Calls) -> AsyncIterator[AdminClient]:
    """Return a client of the Admin under test."""
    async with open_client(
        settings_for(admin_address), clock=SystemClock(), observer=calls, tracer=NoOpTracer()
    ) as client:
        yield client


@pytest.fixture
def project(admin_address: str) -> Iterator[Project]:
    """Return a project of the test's own, where nothing has happened yet."""
    with Project(admin_address) as project:
        yield project


@pytest.fixture(scope="session")
def own_sample(admin_address: str) -> Iterator[Sample | None]:
    """Return a stretch of history that we made ourselves, so that an empty Admin has one too."""
    if not _MAY_WRITE:
        yield None
        return
    with Project(admin_address) as project:
        for end in (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED) * 4:
            project.archive(project.whole_life(end=end))
            project.whole_life(HOURLY, end=end)
            project.launch(NIGHTLY)
            task = project.launch_task()
            project.report(task, Phase.RUNNING, after=0.5)
            project.report(task, end, after=3)
        created = [Micros(run.created_ns // 1000) for run in project.runs.values()]
        yield Sample(project.target, created[0], Micros(created[-1] + 1))


@pytest.fixture(scope="session")
def _found() -> list[Sample]:
    return []


@pytest.fixture
async def samples(
    client: AdminClient, own_sample: Sample | None, _found: list[Sample]
) -> list[Sample]:
    """Return a few stretches of history to which nothing is added any more."""
    if not _found:
        _found += await find_samples(client, now=SystemClock().now())
        _found += [own_sample] if own_sample is not None else []
    if not _found:
        pytest.skip("this Admin has had no executions in the last day: nothing to read")
    return _found
