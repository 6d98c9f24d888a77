"""What the exporter tells of itself and of its Admin is held against the world outside."""

import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import exporter as product
from exporter.sim.projects import VERSION
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import Flyte, Simulator
from tests.e2e.programs import settled, until

_FINISHED = "flyte_executions_finished_total"
_CALLS_PER_SECOND = 8
"""Fewer than a hurried exporter wants to make."""


class Scene(NamedTuple):
    """An exporter that has to wait for its turn, the Admin behind it, and the ledger's file."""

    flyte: Flyte
    exporter: Exporter
    ledger: Path

    def value(self, name: str) -> float:
        """Return the one sample called *name*, which must be there."""
        found = self.exporter.value(name)
        assert found is not None, f"{name} is not shown"
        return found


@pytest.fixture(scope="module")
def scene(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return a scene that all tests of this file share."""
    directory = tmp_path_factory.mktemp("self")
    with Flyte(simulator.address) as flyte:
        flyte.add_project("mirror")
        flyte.add_launch_plan("mirror", "ingest")
        config = write_config(
            directory,
            endpoint=simulator.address,
            admin={"rate_limit": f"{_CALLS_PER_SECOND}/s", "burst": 1},
            discovery={"include": ["mirror/production"]},
        )
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            yield Scene(flyte, exporter, directory / "exporter.db")


def test_the_build_is_the_one_that_runs(scene: Scene) -> None:
    """Its version, and that of Python."""
    found = {"version": product.__version__, "python": platform.python_version()}
    assert scene.exporter.value("flyte_exporter_build_info", **found) == 1


def test_the_version_of_admin_is_the_one_that_it_tells(scene: Scene) -> None:
    """There is one, as soon as discovery has asked."""

    def told() -> list[dict[str, str]]:
        samples = scene.exporter.samples()
        return [sample.labels for sample in samples if sample.name == "flyte_admin_info"]

    expected = [{"version": VERSION, "build": "simulated"}]
    assert settled(told, expected, within=10) == expected


def test_a_commit_is_told_with_its_time(scene: Scene) -> None:
    """When it was, that it was one more, and that it was rendered; in no more time than passed."""
    families = ("flyte_exporter_ledger_commit_duration", "flyte_exporter_render_duration")
    before = {family: scene.value(f"{family}_seconds_count") for family in families}
    spent = {family: scene.value(f"{family}_seconds_sum") for family in families}
    began = time.time()
    scene.flyte.whole_life("mirror", "ingest")
    deeds = sum(scene.flyte.deeds.finished.values())
    until(lambda: scene.exporter.counts(_FINISHED).total() == deeds, within=10, what="the count")
    assert began <= scene.value("flyte_exporter_ledger_last_commit_timestamp_seconds")
    assert scene.value("flyte_exporter_ledger_last_commit_timestamp_seconds") <= time.time()
    for family in families:
        assert scene.value(f"{family}_seconds_count") > before[family]
        assert 0 < scene.value(f"{family}_seconds_sum") - spent[family] < time.time() - began


def test_the_ledger_is_as_large_as_its_files(scene: Scene) -> None:
    """That of SQLite, and its journal."""

    def is_right() -> bool:
        files = (scene.ledger, scene.ledger.with_name(f"{scene.ledger.name}-wal"))
        return scene.value("flyte_exporter_ledger_size_bytes") == sum(
            file.stat().st_size for file in files
        )

    # Between our two looks it may grow.
    until(is_right, within=5, what="the size of the files")


def test_waiting_for_a_turn_is_told(scene: Scene) -> None:
    """The seconds that calls waited grow while the limit on calls is felt."""
    name = "flyte_admin_rate_limit_wait_seconds_total"
    before = scene.value(name)
    until(lambda: scene.value(name) > before, within=10, what="a call that waits")
