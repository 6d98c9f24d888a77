"""The exporter as its users have it: a command, a configuration file, a web port."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.e2e.programs import COMMAND, Answer, Program, get, until

HOLD_SECONDS = 0.5
"""Where no Prometheus looks, a hold only has to be there."""

Counts = Counter[tuple[str, ...]]
"""Whole numbers by label values."""


def write_config(
    directory: Path, *, endpoint: str, name: str = "exporter", **sections: dict[str, Any]
) -> Path:
    """
    Write a configuration for a hurried exporter, and return its path.

    Args:
        directory: Where it goes, and the ledger with it.
        endpoint: Of the Admin, without TLS.
        name: Of both files.
        sections: Settings that are to be otherwise, by section.
    """
    settings: dict[str, dict[str, Any]] = {
        "admin": {"endpoint": endpoint, "insecure": True, "timeout": "1s"},
        "discovery": {"interval": "1s"},
        "scrape": {
            "interval": "200ms",
            "overlap": "5s",
            "reconcile_interval": "2s",
            "reconcile_window": "10s",
        },
        "metrics": {"first_sample_hold": f"{HOLD_SECONDS}s"},
        "ledger": {"path": str(directory / f"{name}.db")},
        "web": {"listen": "127.0.0.1:0"},
    }
    for section, changed in sections.items():
        settings.setdefault(section, {}).update(changed)
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def start(config: Path, *arguments: str) -> Program:
    """Start `flyte-exporter run`, and wait for nothing."""
    return Program(
        "exporter", (str(COMMAND), "run", f"--config={config}", *arguments), directory=config.parent
    )


class Exporter:
    """A started `flyte-exporter run` and its web port; a context manager like its program."""

    def __init__(self, config: Path, *arguments: str) -> None:
        self.program = start(config, *arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    @cached_property
    def port(self) -> int:
        """The web port, which it tells once that is open."""
        return int(self.program.wait_for(r"event=started .*\bport=(\d+)")[1])

    def ask(self, path: str) -> Answer:
        """Ask the web port, which must answer."""
        answer = get(self.port, path)
        assert answer is not None, f"{path} was not answered"
        return answer

    def reload(self) -> Answer:
        """Have it read its configuration again, and return its answer."""
        answer = get(self.port, "/-/reload", method="POST", within=20)
        assert answer is not None, "the reload was not answered"
        return answer

    def wait_until_ready(self) -> Self:
        """Wait until every target was polled once."""
        until(lambda: self.ask("/-/ready").status == 200, within=20, what="readiness")
        return self

    def samples(self) -> list[Sample]:
        """Scrape it."""
        return [
            sample
            for family in text_string_to_metric_families(self.ask("/metrics").body)
            for sample in family.samples
        ]

    def counts(self, name: str, *labels: str) -> Counts:
        """Return the totals of the series called *name* by *labels*; without those at 0."""
        found: Counts = Counter()
        for sample in self.samples():
            if sample.name == name:
                found[tuple(sample.labels[label] for label in labels)] += int(sample.value)
        return +found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample of *name* with *labels*; None when there is none."""
        for sample in self.samples():
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
        return None
