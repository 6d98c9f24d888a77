"""
Whoever copies an expression from our pages gets an answer.

A real Prometheus, that has watched an exporter for a while, is asked every one of them.
"""

import math
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.metrics.catalog import FAMILIES, SCHEDULE_LAST_DUE
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
