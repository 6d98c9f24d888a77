"""What the demo shows is what Prometheus, its tools and its client library call well-formed."""

import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.catalog import FAMILIES, Family, Kind
from exporter.metrics.formats import Format
from tests.e2e.programs import COMMAND, Program, get, settled, until
from tests.e2e.prometheus import Prometheus


@contextmanager
def _demo(directory: Path) -> Iterator[int]:
    """Run the demo until every target was polled and counts something; yields the web port."""
    command = (str(COMMAND), "demo", "--listen=127.0.0.1:0", "--seed=1")
    # Killed at the end, it cannot tidy up.
    scratch = {"TMPDIR": str(directory)}
    with Program("demo", command, directory=directory, environment=scratch) as program:
        port = int(program.wait_for(r"http://localhost:(\d+)/metrics")[1])

        def complete() -> bool:
            ready, metrics = get(port, "/-/ready"), get(port, "/metrics")
            return (
                ready is not None
                and ready.status == 200
                and metrics is not None
                and "flyte_execution_duration_seconds_bucket" in metrics.body
            )

        until(complete, within=30, what="executions that have become metrics")
        yield port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the web port of a demo that has counted something."""
    with _demo(tmp_path_factory.mktemp("demo")) as port:
        yield port


def _scraped(port: int, media: Format) -> str:
    answer = get(port, "/metrics", accept=media.content_type)
    assert answer is not None
    assert answer.status == 200
    return answer.body


def test_promtool_finds_nothing_to_say(port: int, tool: Callable[[str], str]) -> None:
    """`promtool check metrics` knows the conventions for names, units and help texts."""
    checked = subprocess.run(
        (tool("promtool"), "check", "metrics"),
        input=_scraped(port, Format.TEXT),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (checked.stdout + checked.stderr, checked.returncode) == ("", 0)


def test_both_formats_say_the_same(port: int) -> None:
    """OpenMetrics' strict parser reads what the text format's reads, family by family."""

    def differing() -> Mapping[str, object]:
        # Between two scrapes a series may be born, so the two are compared until they agree.
        text = _shapes(parse_text(_scraped(port, Format.TEXT)))
        strict = _shapes(parse_openmetrics(_scraped(port, Format.OPENMETRICS)))  # type: ignore[no-untyped-call]  # the library's
        return {
            name: (text.get(name), strict.get(name))
            for name in text.keys() | strict.keys()
            if text.get(name) != strict.get(name)
        }

    none: Mapping[str, object] = {}
    assert settled(differing, none, within=5) == none


def test_nothing_is_exposed_that_the_catalog_does_not_know(port: int) -> None:
    """What is documented is all there is."""
    families = {family.name for family in parse_text(_scraped(port, Format.TEXT))}
    ours = {name for name in families if name.startswith("flyte_")}
    assert ours == {family.stem for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_of_the_catalog_is_exposed(port: int, family: Family) -> None:
    """With its type and its help, also while it has no samples."""
    assert f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind.value}\n" in (
        _scraped(port, Format.TEXT)
    )
    unit = f"# UNIT {family.stem} {family.unit}\n" if family.unit else ""
    lines = _scraped(port, Format.OPENMETRICS)
    assert f"# TYPE {family.stem} {family.kind.value}\n" in lines
    assert unit in lines


def test_no_series_tells_when_another_was_made(port: int) -> None:
    """`_created` samples would double the series of older servers for nothing."""
    for media in Format:
        assert not re.findall(r"^\w+_created\b.*", _scraped(port, media), re.MULTILINE)


def test_prometheus_takes_every_sample(
    port: int, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """The target is up, and nothing of it is a duplicate or out of order."""
    with Prometheus(tool("prometheus"), tmp_path, ports=[port]) as prometheus:
        prometheus.wait_until_scraping(port)

        def scraped() -> list[float]:
            return [
                n for series in prometheus.series("scrape_samples_scraped") for n in series.values
            ]

        until(lambda: len(scraped()) >= 3, within=10, what="three scrapes")
        assert prometheus.target(port)["lastError"] == ""
        families = parse_text(_scraped(port, Format.TEXT))
        assert scraped()[-1] >= 0.9 * sum(len(family.samples) for family in families)
        kept = prometheus.series("scrape_samples_post_metric_relabeling")
        assert scraped()[0] == kept[0].values[0]
        for trouble in ("duplicate_timestamp", "out_of_bounds", "out_of_order"):
            assert prometheus.own_counter(f"prometheus_target_scrapes_sample_{trouble}_total") == 0
        for name in (family.name for family in FAMILIES if family.kind is Kind.COUNTER):
            assert not [series.labels for series in prometheus.series(name) if series.falls]


def test_prometheus_keeps_the_exemplars(
    port: int, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """Each names an execution of the demo, and none was refused."""
    with Prometheus(
        tool("prometheus"), tmp_path, ports=[port], features=["exemplar-storage"]
    ) as prometheus:
        prometheus.wait_until_scraping(port)

        def kept() -> dict[str, list[dict[str, str]]]:
            found = prometheus.api(
                "query_exemplars",
                query='{__name__=~"flyte_execution.*"}',
                start=str(time.time() - 24 * 3600),
                end=str(time.time() + 3600),
            )
            names: dict[str, list[dict[str, str]]] = {}
            for series in found:
                own = names.setdefault(series["seriesLabels"]["__name__"], [])
                own += [exemplar["labels"] for exemplar in series["exemplars"]]
            return names

        expected = {
            family.name + ("_bucket" if family.kind is Kind.HISTOGRAM else "")
            for family in FAMILIES
            if family.exemplars
        }
        until(lambda: kept().keys() == expected, within=60, what="exemplars of every family")
        for labels in (labels for own in kept().values() for labels in own):
            assert labels.keys() == {"execution"}
            assert re.fullmatch("[af][0-9a-f]{19}", labels["execution"])
        out_of_order = "prometheus_tsdb_exemplar_out_of_order_exemplars_total"
        assert prometheus.own_counter(out_of_order) == 0
        assert prometheus.target(port)["lastError"] == ""


def _shapes(families: Iterable[Metric]) -> dict[str, object]:
    """Return what both formats must agree on: all but the values, which change meanwhile."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples},
        )
        for family in families
    }
