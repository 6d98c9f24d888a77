"""A configuration that is changed between two starts renames what was counted, losing nothing."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import Flyte, Simulator
from tests.e2e.programs import settled

_PROJECT = "renamed"
_STARTED = "flyte_executions_started_total"


def _launched(exporter: Exporter) -> Callable[[], Counts]:
    """Return what asks for the launches of our project by launch plan."""

    def ask() -> Counts:
        labels = ("project", "launch_plan")
        counts = exporter.counts("flyte_executions_launched_total", *labels)
        return Counts({key: count for key, count in counts.items() if key[0] == _PROJECT})

    return ask


def test_rules_that_are_added_at_a_restart(simulator: Simulator, tmp_path: Path) -> None:
    """Yesterday's reports move to the name that today's is counted under, once and for all."""
    names = [f"daily_2026_11_2{day}" for day in (1, 2, 3)]
    plain = write_config(tmp_path, endpoint=simulator.address)
    with Flyte(simulator.address) as flyte:
        flyte.add_project(_PROJECT)
        for name in names:
            flyte.add_launch_plan(_PROJECT, name)
        with Exporter(plain) as exporter:
            exporter.wait_until_ready()
            for name in names[:2]:
                flyte.launch(_PROJECT, name)
            expected = Counts({(_PROJECT, name): 1 for name in names[:2]})
            assert settled(_launched(exporter), expected, within=20) == expected
            assert exporter.program.terminate() == 0
        changed = write_config(
            tmp_path,
            endpoint=simulator.address,
            metrics={
                "relabel": [{"match": r"(.*)_\d{4}_\d{2}_\d{2}", "replacement": "$1"}],
                "families": {_STARTED: {"enabled": False}},
            },
        )
        for launches in (3, 4):
            with Exporter(changed) as exporter:
                exporter.wait_until_ready()
                flyte.launch(_PROJECT, names[2])
                expected = Counts({(_PROJECT, "daily"): launches})
                assert settled(_launched(exporter), expected, within=20) == expected
                assert f"\n{_STARTED}" not in exporter.ask("/metrics").body
                assert exporter.program.terminate() == 0
