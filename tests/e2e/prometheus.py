"""A real Prometheus, and what it has stored: the last word on what a person will see."""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import yaml

from tests.e2e.programs import Program, get, until

Counts = Counter[tuple[str, ...]]
"""Whole numbers by label values."""


class Series(NamedTuple):
    """One series as it was scraped."""

    labels: dict[str, str]
    values: list[float]

    @property
    def increase(self) -> int:
        """What it grew by between its first sample and its last, resets taken into account."""
        grown = (
            later - earlier if later >= earlier else later
            for earlier, later in pairwise(self.values)
        )
        return int(sum(grown))

    @property
    def falls(self) -> int:
        """How often a sample was lower than the one before."""
        return sum(later < earlier for earlier, later in pairwise(self.values))


class Prometheus:
    """A Prometheus that scrapes ports of this machine; a context manager."""

    def __init__(
        self, binary: str, directory: Path, *, ports: Iterable[int], interval: str = "250ms"
    ) -> None:
        targets = [f"127.0.0.1:{port}" for port in ports]
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [
                {"job_name": "flyte-exporter", "static_configs": [{"targets": targets}]}
            ],
        }
        path = directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        self.program = Program(
            "prometheus",
            (
                binary,
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'prometheus'}",
                "--web.listen-address=127.0.0.1:0",
            ),
            directory=directory,
        )
        pattern = r'msg="Listening on".* address=127\.0\.0\.1:(\d+)'
        self.port = int(self.program.wait_for(pattern)[1])
        self.program.wait_for("Server is ready to receive web requests")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    def wait_until_scraping(self, port: int) -> None:
        """Wait until *port* was scraped; Prometheus takes its time to begin."""
        until(
            lambda: self.target(port).get("health") == "up",
            within=20,
            what=f"Prometheus scraping port {port}",
        )

    def target(self, port: int) -> dict[str, Any]:
        """Return what it knows of *port*; nothing, as long as it does not know of it."""
        for target in self.api("targets")["activeTargets"]:
            if target["labels"]["instance"].endswith(f":{port}"):
                return dict(target)
        return {}

    def series(self, name: str) -> list[Series]:
        """Return the raw samples of every series called *name*."""
        return [
            Series(found["metric"], [float(value) for _, value in found["values"]])
            for found in self.api("query", query=f"{name}[1h]")["result"]
        ]

    def increases(self, name: str, *labels: str) -> Counts:
        """Return by how much the series called *name* grew, by *labels*; without those at 0."""
        found: Counts = Counter()
        for series in self.series(name):
            found[tuple(series.labels[label] for label in labels)] += series.increase
        return +found

    def api(self, call: str, **parameters: str) -> Any:
        """Ask its HTTP API, and return the data."""
        return self.answer(call, **parameters)["data"]

    def answer(self, call: str, **parameters: str) -> dict[str, Any]:
        """Ask its HTTP API, and return all that it says, warnings included."""
        answer = get(self.port, f"/api/v1/{call}?{urlencode(parameters)}")
        assert answer is not None, "Prometheus does not answer"
        document: dict[str, Any] = json.loads(answer.body)
        assert document["status"] == "success", document
        return document

    def own_counter(self, name: str) -> float:
        """Return a counter that it keeps about itself."""
        answer = get(self.port, "/metrics")
        assert answer is not None, "Prometheus does not answer"
        lines = [line for line in answer.body.splitlines() if line.startswith(f"{name} ")]
        assert len(lines) == 1, f"this Prometheus has no {name}"
        return float(lines[0].split()[1])
