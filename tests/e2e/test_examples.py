"""Every example of the catalog is an answer: a real Prometheus returns numbers, and no warning."""

import math
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from exporter.metrics.catalog import FAMILIES, Family
from tests.e2e.programs import Program, free_port, get, until
from tests.e2e.prometheus import Prometheus

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


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_an_example_is_answered(prometheus: Prometheus, family: Family) -> None:
    """With a number at least, and without a word of warning."""

    def numbers() -> list[float]:
        document = prometheus.answer("query", query=family.example)
        assert not {"warnings", "infos"} & document.keys(), document
        values = (float(found["value"][1]) for found in document["data"]["result"])
        return [value for value in values if math.isfinite(value)]

    assert until(numbers, within=10, what=f"an answer to: {family.question}")
