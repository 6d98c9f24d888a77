"""
Whoever copies an expression from our pages gets an answer.

A real Prometheus, that has watched an exporter for a while, is asked every one of them. To those
whose answer decides whether somebody is woken, the right one is known.
"""

import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.metrics.catalog import FAMILIES, PLAN_FRESHNESS_LIMIT, SCHEDULE_LAST_DUE
from tests.e2e.past import NEVER_RUN
from tests.e2e.programs import Program, free_port, get, until
from tests.e2e.prometheus import Prometheus

_ROOT = Path(__file__).parents[2]
_INCIDENTS = (
    "late-rows@1m+3m",  # found by reconciles
    "tokens-revoked@5m+1m",
    "admin-unknown@7m+3m",  # some calls are tried again, and some polls fail
    "failure-spike@10m+1h",
)


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]
) -> Iterator[Prometheus]:
    """Return a Prometheus that has watched an exporter through some minutes of trouble."""
    binary, directory = tool("prometheus"), tmp_path_factory.mktemp("examples")
    # Known beforehand, so that Prometheus need not wait: it takes seconds to begin.
    port = free_port()
    command = (sys.executable, "-m", "tests.e2e.past", str(directory), str(port), *_INCIDENTS)
    with (
        Program("past", command, directory=directory) as past,
        Prometheus(binary, directory, ports=[port]) as prometheus,
    ):
        prometheus.wait_until_scraping(port)
        until(lambda: _is_ready(port), within=20, what="readiness")
        past.send(signal.SIGUSR1)
        past.wait_for("caught up")
        yield prometheus


def _is_ready(port: int) -> bool:
    answer = get(port, "/-/ready")
    return answer is not None and answer.status == 200


def _written_by_hand() -> list[Any]:
    """Return each expression that a page shows beside those of the catalog."""
    pages = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
    return [
        pytest.param(expression, id=f"{page.name}-{number}")
        for page in pages
        if page.name != "metrics.md"
        for number, expression in enumerate(
            re.findall(r"```promql\n(.+?)```", page.read_text(encoding="utf-8"), re.DOTALL), start=1
        )
    ]


@pytest.mark.parametrize(
    "expression",
    [
        *(pytest.param(family.example, id=family.name) for family in FAMILIES),
        *_written_by_hand(),
    ],
)
def test_an_example_is_answered(prometheus: Prometheus, expression: str) -> None:
    """With a number at least, and without a word of warning."""

    def numbers() -> list[float]:
        document = prometheus.answer("query", query=expression)
        assert not {"warnings", "infos"} & document.keys(), document
        values = (float(found["value"][1]) for found in document["data"]["result"])
        return [value for value in values if math.isfinite(value)]

    assert until(numbers, within=10, what=f"an answer to {expression}")


def test_a_schedule_that_never_ran_is_behind_since_its_activation(prometheus: Prometheus) -> None:
    """And not since 1970."""

    def behind() -> list[float]:
        found = prometheus.api("query", query=SCHEDULE_LAST_DUE.example)["result"]
        return [
            float(each["value"][1]) for each in found if each["metric"]["launch_plan"] == NEVER_RUN
        ]

    (seconds,) = until(behind, within=10, what="a schedule that never ran")
    assert 0 < seconds < 3600


_NOW = 1_790_000_000
_THREE_WEEKS = 21 * 86_400
_SUCCEEDED = 'last_finished_timestamp_seconds|phase="SUCCEEDED"'
_SINCE = "active_since_timestamp_seconds"
_LIMIT = "freshness_limit_seconds"
_DUE = "schedule_last_due_timestamp_seconds"
_RAN = "schedule_last_run_timestamp_seconds"


def confirm(
    promtool: str,
    path: Path,
    example: str,
    plans: Mapping[str, Mapping[str, float]],
    expected: Mapping[str, float],
) -> None:
    """
    Have Prometheus's own engine confirm what it answers to *example*.

    Args:
        promtool: Where it is.
        path: A file to write the question to.
        example: PromQL.
        plans: What /metrics has of each launch plan, by the rest of a family's name; further
            labels stand behind a stroke.
        expected: The answer for each launch plan.
    """
    target = 'project="etl",domain="production"'
    series = {f"flyte_exporter_target_last_success_timestamp_seconds{{{target}}}": float(_NOW)}
    for plan, values in plans.items():
        for name, value in values.items():
            family, _, labels = name.partition("|")
            of_plan = f'{target},launch_plan="{plan}",{labels}'
            # As while one exporter takes over from another.
            for instance in ("a:1", "b:1"):
                key = f'flyte_launch_plan_{family}{{instance="{instance}",{of_plan}}}'
                series[key] = value
    question = {
        "interval": "1m",
        "input_series": [{"series": key, "values": f"{at:.0f}"} for key, at in series.items()],
        "promql_expr_test": [
            {
                "expr": example,
                "eval_time": "0m",
                "exp_samples": [
                    {"labels": f'{{{target},launch_plan="{plan}"}}', "value": value}
                    for plan, value in expected.items()
                ],
            }
        ],
    }
    path.write_text(yaml.safe_dump({"tests": [question]}), encoding="utf-8")
    done = subprocess.run(
        (promtool, "test", "rules", str(path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_share_of_the_freshness_limit_counts_from_the_newer(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    """Of the newest success and the activation: a rest of three weeks wakes nobody."""
    limit, long_active = {_LIMIT: 7_200}, {_SINCE: _NOW - 10 * _THREE_WEEKS}
    plans = {
        "succeeds": {**limit, **long_active, _SUCCEEDED: _NOW - 3_600},
        "overdue": {**limit, **long_active, _SUCCEEDED: _NOW - 14_400},
        "new": {**limit, _SINCE: _NOW - 1_800},
        "active-again": {**limit, _SUCCEEDED: _NOW - _THREE_WEEKS, _SINCE: _NOW - 720},
        "never-active": {**limit, _SUCCEEDED: _NOW - 10_800},
        "without-a-limit": {**long_active, _SUCCEEDED: _NOW - 3_600},
    }
    expected = {
        "succeeds": 0.5,
        "overdue": 2.0,
        "new": 0.25,
        "active-again": 0.1,
        "never-active": 1.5,
    }
    example = PLAN_FRESHNESS_LIMIT.example
    confirm(tool("promtool"), tmp_path / "test.yml", example, plans, expected)


def test_how_far_a_schedule_is_behind_counts_from_the_newer(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    """Of its last run and its activation: it was owed nothing while it was off."""
    due, long_active = {_DUE: _NOW - 300}, {_SINCE: _NOW - 10 * _THREE_WEEKS}
    plans = {
        "on-time": {**due, **long_active, _RAN: _NOW - 300},
        "ahead": {**due, **long_active, _RAN: _NOW - 60},
        "behind": {**due, **long_active, _RAN: _NOW - 300 - 7_200},
        "new": {**due, _SINCE: _NOW - 900},
        "active-again": {**due, _RAN: _NOW - _THREE_WEEKS, _SINCE: _NOW - 1_200},
        "without-a-schedule": long_active,
    }
    expected = {"on-time": 0, "ahead": 0, "behind": 7_200, "new": 600, "active-again": 900}
    example = SCHEDULE_LAST_DUE.example
    confirm(tool("promtool"), tmp_path / "test.yml", example, plans, expected)
