"""A scrape gets pieces that exist, in a document that parses."""

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import catalog, text
from exporter.metrics.catalog import FAMILIES, Kind, Source
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from tests.metrics.conftest import Silence, samples
from tests.rows import TARGET

_PARSERS = {Format.TEXT: parse_text, Format.OPENMETRICS: parse_openmetrics}


@pytest.fixture
def exposition() -> Exposition:
    """Return an empty document."""
    return Exposition(Silence())


def piece(value: float) -> bytes:
    """Return the text of one series."""
    return text.sample(catalog.TARGET_UP, TARGET, value)


def values(exposition: Exposition) -> list[float]:
    """Return what a scrape sees."""
    return list(samples(b"".join(exposition.snapshot(Format.TEXT))).values())


@pytest.mark.parametrize("media", Format)
def test_a_document_with_every_family_parses(exposition: Exposition, media: Format) -> None:
    """Each family is there once, under its name, in both formats."""
    shown = [family for family in FAMILIES if family.source is not Source.PROCESS]
    for family in shown:
        labels = [f"{label} of a thing" for label in family.labels]
        line = (
            text.histogram(family, labels, ["1.0"], [1, 2], 4.5)
            if family.kind is Kind.HISTOGRAM
            else text.sample(family, labels, 1)
        )
        exposition.put(family, 1, line)
    document = b"".join(exposition.snapshot(media)).decode()
    found = list(_PARSERS[media](document))  # type: ignore[no-untyped-call]
    assert [family.name for family in found] == [family.stem for family in shown]
    assert all(family.samples for family in found)
    assert "_created" not in document
    assert document.endswith("# EOF\n") is (media is Format.OPENMETRICS)


@pytest.mark.parametrize("media", Format)
def test_an_empty_document_parses(exposition: Exposition, media: Format) -> None:
    """Before the first poll there are headers, and no samples."""
    document = b"".join(exposition.snapshot(media)).decode()
    found = list(_PARSERS[media](document))  # type: ignore[no-untyped-call]
    assert [sample for family in found for sample in family.samples] == []


def test_a_piece_takes_the_place_of_the_one_before(exposition: Exposition) -> None:
    """Under one key there is one piece."""
    exposition.put(catalog.TARGET_UP, "key", piece(0))
    exposition.put(catalog.TARGET_UP, "key", piece(1))
    assert values(exposition) == [1]


def test_a_dropped_piece_is_gone(exposition: Exposition) -> None:
    """And dropping it again, or one that never was, is no fault."""
    exposition.put(catalog.TARGET_UP, "key", piece(1))
    for key in ("key", "key", "never"):
        exposition.drop(catalog.TARGET_UP, key)
    assert values(exposition) == []


def test_a_scrape_that_is_being_written_does_not_change(exposition: Exposition) -> None:
    """A snapshot is as of the moment it was taken, whatever is put meanwhile."""
    exposition.put(catalog.TARGET_UP, "key", piece(0))
    taken = exposition.snapshot(Format.TEXT)
    exposition.put(catalog.TARGET_UP, "key", piece(1))
    exposition.put(catalog.TARGET_UP, "other", piece(1))
    assert list(samples(b"".join(taken)).values()) == [0]
