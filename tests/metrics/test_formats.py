"""Which format a scraper gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.formats import Format, negotiate, wishes

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_NATIVE_HISTOGRAMS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_2_5 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(PROMETHEUS_2_5, Format.OPENMETRICS, id="prometheus-2.5"),
        pytest.param(PROMETHEUS_2_42, Format.OPENMETRICS, id="prometheus-2.42"),
        pytest.param(PROMETHEUS_2_42_NATIVE_HISTOGRAMS, Format.OPENMETRICS, id="protobuf-first"),
        pytest.param(PROMETHEUS_3, Format.OPENMETRICS, id="prometheus-3"),
        pytest.param("application/openmetrics-text", Format.OPENMETRICS, id="no-version"),
        pytest.param("Application/OpenMetrics-Text;Version=1.0.0", Format.OPENMETRICS, id="case"),
        pytest.param(
            'application/openmetrics-text;version="1.0.0"', Format.OPENMETRICS, id="quoted"
        ),
        pytest.param(
            "text/plain;q=0.5 , application/openmetrics-text ; q=0.6",
            Format.OPENMETRICS,
            id="spaces",
        ),
        pytest.param(
            "application/openmetrics-text,text/plain", Format.OPENMETRICS, id="liked-the-same"
        ),
        pytest.param(
            "application/openmetrics-text;q=0.3,*/*;q=1,text/plain;q=0.2",
            Format.OPENMETRICS,
            id="text-by-its-own-name-is-liked-less",
        ),
        pytest.param(
            "application/openmetrics-text;q=0.3,text/plain;q=0.5", Format.TEXT, id="text-preferred"
        ),
        pytest.param(
            "application/openmetrics-text;q=0.3,text/*;q=0.5", Format.TEXT, id="any-text-preferred"
        ),
        pytest.param("application/openmetrics-text;q=0", Format.TEXT, id="never"),
        pytest.param(
            "application/openmetrics-text;version=2.0.0", Format.TEXT, id="unknown-version"
        ),
        pytest.param("application/openmetrics-text;q=1.5", Format.TEXT, id="weight-above-1"),
        pytest.param("application/openmetrics-text;q=nan", Format.TEXT, id="weight-not-a-number"),
        pytest.param("text/plain;version=0.0.4", Format.TEXT, id="text"),
        pytest.param("*/*", Format.TEXT, id="curl"),
        pytest.param("application/*", Format.TEXT, id="openmetrics-not-named"),
        pytest.param(BROWSER, Format.TEXT, id="browser"),
        pytest.param("image/png", Format.TEXT, id="neither"),
        pytest.param(";;=,,;q=\x00", Format.TEXT, id="garbage"),
        pytest.param("", Format.TEXT, id="empty"),
        pytest.param(None, Format.TEXT, id="absent"),
    ],
)
def test_negotiation(accept: str | None, expected: Format) -> None:
    """OpenMetrics goes to who names a version we speak and likes it no less than text."""
    assert negotiate(accept) is expected


@given(st.text(alphabet=st.sampled_from('*/;,=q01." atextplinov-\t')) | st.text())
def test_no_header_makes_negotiation_fail(accept: str) -> None:
    """Whatever a client sends, it is answered, and no weight leaves the range 0 to 1."""
    assert negotiate(accept) in Format
    assert all(0 <= wish.weight <= 1 for wish in wishes(accept))


def test_content_types_are_those_prometheus_knows() -> None:
    """The media types are those of text format 0.0.4 and OpenMetrics 1.0.0, to the letter."""
    assert Format.TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert (
        Format.OPENMETRICS.content_type
        == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
