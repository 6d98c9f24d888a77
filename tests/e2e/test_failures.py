"""
Admin fails in many ways. None of them takes /metrics down, hides its age or loses a count.

Between the exporter and the simulated Admin stands a proxy that misbehaves on command, while the
test goes on using the Admin behind it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.model.executions import Phase
from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import DOMAIN, Flyte, Simulator
from tests.e2e.programs import free_port, settled, until
from tests.e2e.proxy import SLOW_SECONDS, Proxy, State, Trouble

_FINISHED = "flyte_executions_finished_total"
_LABELS = ("project", "launch_plan", "mode", "phase")
_UP = "flyte_exporter_target_up"
_BREAKER_OPEN = "flyte_admin_breaker_open"
_POLL_DURATION = "flyte_exporter_target_poll_duration_seconds"
_LAST_SUCCESS = "flyte_exporter_target_last_success_timestamp_seconds"


class Scene(NamedTuple):
    """An exporter of two targets, and the way to its Admin."""

    flyte: Flyte
    proxy: Proxy
    exporter: Exporter

    def finished(self) -> Counts:
        """Return what the exporter shows as finished."""
        return self.exporter.counts(_FINISHED, *_LABELS)

    def of_target(self, name: str, project: str) -> float | None:
        """Return what the exporter shows of a target."""
        return self.exporter.value(name, project=project, domain=DOMAIN)

    def is_up(self, project: str) -> bool:
        """Whether the exporter says that it gets at a target."""
        return self.of_target(_UP, project) == 1

    def failed_polls(self) -> float:
        """Return how many polls found no answer."""
        outcomes = ("admin_error", "timeout")
        polls = "flyte_exporter_polls_total"
        return sum(self.exporter.value(polls, outcome=outcome) or 0 for outcome in outcomes)

    def use(self, project: str) -> None:
        """Have executions end, which the exporter may see or not."""
        for end in (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED):
            self.flyte.whole_life(project, "ingest", end=end)

    def assert_complete(self) -> None:
        """Wait until all is counted, and compare it with what Admin itself lists."""
        deeds = self.flyte.deeds.finished
        assert settled(self.finished, deeds, within=15) == deeds
        for project in ("steady", "troubled"):
            assert _of(project, self.finished()) == self.flyte.ended(project)


@pytest.fixture(scope="module")
def scene(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return a scene that all tests of this file share; each leaves it in order."""
    directory = tmp_path_factory.mktemp("scene")
    with Flyte(simulator.address) as flyte, Proxy(simulator.address) as proxy:
        for project in ("steady", "troubled"):
            flyte.add_project(project)
            flyte.add_launch_plan(project, "ingest")
        include = [f"steady/{DOMAIN}", f"troubled/{DOMAIN}"]
        config = write_config(directory, endpoint=proxy.address, discovery={"include": include})
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            yield Scene(flyte, proxy, exporter)


@pytest.fixture(autouse=True)
def _order(scene: Scene) -> Iterator[None]:
    yield
    scene.proxy.state = State()


@pytest.mark.parametrize(
    ("trouble", "admin_up", "breaker_open"),
    [(Trouble.UNAVAILABLE, 0, 1), (Trouble.HANG, 0, 0), (Trouble.UNKNOWN, 1, 0)],
    ids=["unavailable", "hang", "unknown"],
)
def test_an_outage_shows_and_loses_nothing(
    scene: Scene, trouble: Trouble, admin_up: int, breaker_open: int
) -> None:
    """While Admin fails, what is shown is old and says so; afterwards all is counted."""
    scene.use("steady")
    scene.assert_complete()
    before = scene.finished()

    scene.proxy.state = State(trouble)
    until(lambda: not scene.is_up("steady"), within=20, what="the target being down")
    seen_at = scene.of_target(_LAST_SUCCESS, "steady")
    failed = scene.failed_polls()
    scene.use("steady")
    scene.use("troubled")
    until(lambda: scene.failed_polls() >= failed + 4, within=25, what="more polls that fail")
    assert scene.exporter.value("flyte_admin_up") == admin_up
    assert scene.exporter.value(_BREAKER_OPEN) == breaker_open
    assert scene.of_target(_LAST_SUCCESS, "steady") == seen_at
    assert scene.finished() == before
    assert scene.exporter.ask("/-/healthy").status == 200

    scene.proxy.state = State()
    scene.assert_complete()
    until(lambda: scene.is_up("steady") and scene.is_up("troubled"), within=5, what="both being up")
    # A call that began before may end in failure even now; the next one tells better.
    until(lambda: scene.exporter.value("flyte_admin_up") == 1, within=5, what="Admin being up")
    assert scene.exporter.value(_BREAKER_OPEN) == 0
    assert (scene.of_target(_LAST_SUCCESS, "steady") or 0) > (seen_at or 0)


def test_a_slow_admin_is_waited_for(scene: Scene) -> None:
    """Answers that come late but in time are no failure, and are counted as they come."""
    failed = scene.failed_polls()
    scene.proxy.state = State(Trouble.SLOW)
    scene.use("steady")
    scene.assert_complete()

    def took() -> float:
        return scene.of_target(_POLL_DURATION, "steady") or 0

    # A poll tells it when it is over, which is after what it counted is shown.
    until(lambda: took() >= SLOW_SECONDS, within=5, what="a poll that took its time")
    assert scene.failed_polls() == failed


_NONSENSE = {
    Trouble.DENIED: "failed with PERMISSION_DENIED: not for you; allow this client to make",
    Trouble.HANG: "failed with DEADLINE_EXCEEDED",
    Trouble.GARBAGE: "ListExecutions for troubled/production failed with INTERNAL",
    Trouble.UNSORTED: "answered with rows that are not in order of their creation",
    Trouble.NAMELESS: "answered with an execution ",
    Trouble.TIMELESS: "that no calendar has",
    # Last, because it makes the pages of the target small for good.
    Trouble.OVERSIZED: "is larger than we can receive; it stays uncounted",
}
"""What can be wrong with one target, and what the log says of it."""


@pytest.mark.parametrize(
    ("trouble", "said"), _NONSENSE.items(), ids=[trouble.value for trouble in _NONSENSE]
)
def test_nonsense_of_one_target_stays_with_it(scene: Scene, trouble: Trouble, said: str) -> None:
    """What Admin does to one target delays no other, is told, and is made up for."""
    scene.assert_complete()
    until(lambda: scene.is_up("troubled"), within=10, what="a good beginning")

    scene.use("troubled")
    scene.proxy.state = State(trouble, project="troubled")
    scene.use("troubled")
    until(lambda: not scene.is_up("troubled"), within=20, what="the troubled target being down")
    scene.use("steady")
    steady = _of("steady", scene.flyte.deeds.finished)
    counted = _finished_of(scene.exporter, "steady")
    assert settled(counted, steady, within=5) == steady
    until(lambda: scene.is_up("steady"), within=5, what="the steady target being up")
    assert not scene.is_up("troubled")
    until(lambda: said in scene.exporter.program.said(), within=10, what="the log saying so")

    scene.proxy.state = State()
    scene.assert_complete()
    until(lambda: scene.is_up("troubled"), within=5, what="the troubled target being up again")


def test_without_an_admin_the_ledger_is_shown(tmp_path: Path) -> None:
    """Started while nobody answers, we are alive, not ready, and show what was counted before."""
    port = free_port()
    config = write_config(tmp_path, endpoint=f"127.0.0.1:{port}")

    with (
        Simulator(tmp_path, listen=f"127.0.0.1:{port}") as simulator,
        Flyte(simulator.address) as flyte,
    ):
        flyte.add_project("orders")
        flyte.add_launch_plan("orders", "ingest")
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            flyte.whole_life("orders", "ingest")
            finished = _finished_of(exporter, "orders")
            assert settled(finished, flyte.deeds.finished, within=10) == flyte.deeds.finished
            assert exporter.program.terminate() == 0

    with Exporter(config) as exporter:
        until(lambda: exporter.value("flyte_admin_up") == 0, within=5, what="a first try")
        assert exporter.value("flyte_admin_info") is None
        assert exporter.ask("/-/healthy").status == 200
        answer = until(lambda: _unready(exporter), within=20, what="a discovery that failed")
        assert "refused" in answer
        assert _finished_of(exporter, "orders")() == flyte.deeds.finished

        with Simulator(tmp_path, listen=f"127.0.0.1:{port}"):
            exporter.wait_until_ready()
            assert exporter.value("flyte_admin_up") == 1
            assert _finished_of(exporter, "orders")() == flyte.deeds.finished


def test_a_simulated_outage_loses_nothing(tmp_path: Path) -> None:
    """What ends while the simulator plays an outage is counted after it, by Admin's own list."""
    arguments = ("--drive", "--speed=10", "--incident=admin-unavailable@10s+8s")
    with Simulator(tmp_path, *arguments) as simulator, Flyte(simulator.address) as flyte:
        flyte.add_project("orders")
        flyte.add_launch_plan("orders", "ingest")
        with Exporter(write_config(tmp_path, endpoint=simulator.address)) as exporter:
            exporter.wait_until_ready()
            for _ in range(40):
                flyte.launch("orders", "ingest")

            def is_up() -> bool:
                return exporter.value(_UP, project="orders", domain=DOMAIN) == 1

            until(lambda: not is_up(), within=25, what="the outage")
            until(is_up, within=25, what="its end")
            until(lambda: flyte.ended("orders").total() == 40, within=20, what="all having ended")
            ended = flyte.ended("orders")
            assert settled(_finished_of(exporter, "orders"), ended, within=10) == ended


def _finished_of(exporter: Exporter, project: str) -> Callable[[], Counts]:
    def read() -> Counts:
        return _of(project, exporter.counts(_FINISHED, *_LABELS))

    return read


def _unready(exporter: Exporter) -> str:
    """Return why the exporter is not ready, once it knows."""
    answer = exporter.ask("/-/ready")
    assert answer.status == 503
    known = answer.body.startswith("The first discovery is not complete (ListProjects ")
    return answer.body if known else ""


def _of(project: str, counts: Counts) -> Counts:
    return Counter({key: count for key, count in counts.items() if key[0] == project})
