"""What we write, Prometheus reads back as it was meant."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import catalog, text
from exporter.metrics.catalog import FAMILIES, Family, Kind
from exporter.metrics.formats import Format

_values = st.text(max_size=20) | st.text(alphabet='\\"\n{}=,# \rn', max_size=20)
_numbers = st.integers(0, 2**53) | st.floats(0, 1e18, allow_nan=False)
Read = list[tuple[str, dict[str, str], float]]


def read(media: Format, family: Family, lines: bytes) -> Read:
    """Return the samples of a document of one family, as a scraper reads them."""
    document = text.header(family, media) + lines
    if media is Format.OPENMETRICS:
        parsed = parse_openmetrics((document + text.END_OF_OPENMETRICS).decode())  # type: ignore[no-untyped-call]
    else:
        parsed = parse_text(document.decode())
    (found,) = parsed
    assert found.type == family.kind.value
    assert found.documentation == family.help
    assert found.name == family.stem
    if media is Format.OPENMETRICS:
        assert found.unit == family.unit
    return [(sample.name, sample.labels, sample.value) for sample in found.samples]


def told(family: Family, labels: list[str]) -> dict[str, str]:
    """Return the labels of a sample; to Prometheus an empty launch plan is none."""
    pairs = dict(zip(family.labels, labels, strict=True))
    return {name: value for name, value in pairs.items() if value or name != "launch_plan"}


@pytest.mark.parametrize("media", Format)
@pytest.mark.parametrize("family", [catalog.EXECUTIONS_FINISHED, catalog.EXECUTIONS_ACTIVE])
@given(data=st.data(), value=_numbers)
def test_any_label_text_comes_back(
    family: Family, media: Format, data: st.DataObject, value: float
) -> None:
    """Quotes, line feeds, backslashes, braces, any script: the value that was put in comes out."""
    labels = [data.draw(_values) for _ in family.labels]
    lines = text.sample(family, labels, value)
    expected = told(family, labels)
    assert read(media, family, lines) == [(family.name, expected, value)]


@pytest.mark.parametrize("media", Format)
@given(
    labels=st.lists(_values, min_size=3, max_size=3),
    buckets=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    total=_numbers,
)
def test_any_histogram_comes_back(
    media: Format, labels: list[str], buckets: list[int], total: float
) -> None:
    """Buckets by themselves go in, cumulative ones come out, and the last is the count."""
    family = catalog.EXECUTION_DURATION
    bounds = (0.5, 10.0, 3600.0)
    lines = text.histogram(family, labels, [text.bound(b) for b in bounds], buckets, total)
    own = told(family, labels)
    found = read(media, family, lines)
    cumulative = [sum(buckets[: place + 1]) for place in range(len(buckets))]
    assert [
        (float(sample_labels["le"]), value)
        for name, sample_labels, value in found
        if name.endswith("_bucket")
    ] == list(zip((*bounds, math.inf), cumulative, strict=True))
    assert [row for row in found if not row[0].endswith("_bucket")] == [
        (f"{family.name}_count", own, cumulative[-1]),
        (f"{family.name}_sum", own, total),
    ]


@given(_numbers)
def test_a_number_is_written_to_the_last_bit(value: float) -> None:
    """Sums that lost a digit would step back one day."""
    assert float(text.number(value)) == value


def test_whole_numbers_have_no_point() -> None:
    """As people write them."""
    assert [text.number(value) for value in (0, 0.0, 3.0, 1e15, 0.25)] == [
        "0",
        "0",
        "3",
        "1000000000000000",
        "0.25",
    ]


@pytest.mark.parametrize("media", Format)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_familys_header_is_read(family: Family, media: Format) -> None:
    """Name, type, unit and help of every family stand as they should in both formats."""
    assert read(media, family, b"") == []


def test_a_series_of_all_launch_plans_has_no_such_label() -> None:
    """Only that label is left out when it is empty: of the others an empty one says something."""
    labels = ("a", "", "", "RUNNING")
    assert text.sample(catalog.EXECUTIONS_ACTIVE, labels, 1) == (
        b'flyte_executions_active{project="a",domain="",phase="RUNNING"} 1\n'
    )


def test_the_lines_of_a_sample() -> None:
    """The escapes are those of the format, to the letter."""
    labels = ['a"b', "c\\d", "e\nf", "SUCCEEDED"]
    family = Family(
        "x_total",
        Kind.COUNTER,
        catalog.Source.LEDGER,
        "",
        ("q", "b", "n", "p"),
        question="",
        example="",
    )
    expected = rb'x_total{q="a\"b",b="c\\d",n="e\nf",p="SUCCEEDED"} 7' + b"\n"
    assert text.sample(family, labels, 7) == expected
