"""A scrape gets pieces that exist, in a document that parses."""

import gc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import catalog, text
from exporter.metrics.catalog import FAMILIES, Kind, Source
from exporter.metrics.exposition import _SHEET_PIECES, Document, Exposition
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


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("put", "put with exemplars", "drop", "scrape")),
        # Mostly the same few, so that places are left and taken.
        st.integers(min_value=0, max_value=5) | st.integers(0, 2 * _SHEET_PIECES),
        st.binary(max_size=9).map(lambda text: text.hex().encode() + b";"),
    ),
    max_size=40,
)


@given(many=st.booleans(), changes=_CHANGES)
def test_every_scrape_is_of_its_moment(
    many: bool, changes: Sequence[tuple[str, int, bytes]]
) -> None:
    """Whatever is put and dropped, each has what was shown then, and says how long it is."""
    family = catalog.EXECUTIONS_FINISHED
    exposition = Exposition(Silence(), hidden=set(FAMILIES) - {family})
    shown: dict[int, bytes] = {}
    named: dict[int, bytes] = {}
    if many:
        for key in range(2 * _SHEET_PIECES):
            shown[key] = b"%d;" % key
            exposition.put(family, key, shown[key])
    taken: list[tuple[Document, list[bytes]]] = []
    for change, key, piece in changes:
        match change:
            case "scrape":
                for media, pieces in ((Format.TEXT, shown), (Format.OPENMETRICS, shown | named)):
                    ends = [text.END_OF_OPENMETRICS] if media is Format.OPENMETRICS else []
                    whole = [text.header(family, media), *pieces.values(), *ends]
                    taken.append((exposition.snapshot(media), whole))
            case "drop":
                exposition.drop(family, key)
                shown.pop(key, None)
                named.pop(key, None)
            case "put":
                exposition.put(family, key, piece)
                shown[key] = piece
                named.pop(key, None)
            case _:
                exposition.put(family, key, piece, with_exemplars=b"e" + piece)
                shown[key], named[key] = piece, b"e" + piece
    for document, whole in taken:
        found = b"".join(document)
        assert document.length == len(found) == sum(map(len, whole))
        assert found.startswith(whole[0])
        assert sorted(found.split(b";")) == sorted(b"".join(whole).split(b";"))


def test_a_place_that_was_left_is_taken_once(exposition: Exposition) -> None:
    """Who comes later takes the places of who went, and nobody's that is there."""
    family, number = catalog.TARGET_UP, 2 * _SHEET_PIECES
    for key in range(number):
        exposition.put(family, key, piece(key))
    for key in (3, 5, number - 1):
        exposition.drop(family, key)
    for key in range(number, number + 5):
        exposition.put(family, key, piece(key))
    wanted = [*set(range(number + 5)) - {3, 5, number - 1}]
    lines = b"".join(exposition.snapshot(Format.TEXT)).splitlines()
    assert sorted(float(line.split()[-1]) for line in lines if b"#" not in line) == wanted


def test_the_collector_does_not_look_into_sheets(exposition: Exposition) -> None:
    """However many pieces are new, or copied since a scrape: nothing of them is gone over."""
    family, number = catalog.EXECUTIONS_FINISHED, 20 * _SHEET_PIECES
    for _ in range(2):
        for key in range(number):
            exposition.put(family, key, piece(key))
        document = exposition.snapshot(Format.TEXT)
    gc.collect()
    before = len(gc.get_referents(*gc.get_objects(generation=0)))
    for key in range(number):
        exposition.put(family, key, piece(key))
    young = gc.get_objects(generation=0)
    assert len(gc.get_referents(*young)) - before < number / 10
    assert document.length > number


def test_what_stands_still_is_what_all_see_until_it_moves_on(exposition: Exposition) -> None:
    """Whatever is put, dropped or hidden meanwhile, for every scrape; then all of it is there."""

    def put(project: str, value: float) -> None:
        line = text.sample(catalog.TARGET_UP, (project, "production"), value)
        exposition.put(catalog.TARGET_UP, project, line)

    put("first", 1)
    put("other", 2)
    before = b"".join(exposition.snapshot(Format.TEXT))
    exposition.stand_still()
    put("first", 3)
    exposition.drop(catalog.TARGET_UP, "other")
    put("third", 4)
    exposition.set_hidden([catalog.EXECUTIONS_ACTIVE])
    for _ in range(2):
        assert b"".join(exposition.snapshot(Format.TEXT)) == before
    exposition.move_on()
    after = b"".join(exposition.snapshot(Format.TEXT))
    assert sorted(samples(after).values()) == [3, 4]
    assert catalog.EXECUTIONS_ACTIVE.name.encode() not in after


def test_a_family_that_comes_back_has_its_place_and_is_empty(exposition: Exposition) -> None:
    """The others keep what they have, and all stand in the order of the catalog."""
    before = b"".join(exposition.snapshot(Format.TEXT))
    exposition.put(catalog.EXECUTIONS_ACTIVE, 1, b"gone\n")
    exposition.set_hidden([catalog.EXECUTIONS_ACTIVE])
    assert not exposition.shows(catalog.EXECUTIONS_ACTIVE)
    exposition.drop(catalog.EXECUTIONS_ACTIVE, 1)
    exposition.put(catalog.TARGET_UP, 1, piece(1))
    exposition.set_hidden([])
    assert values(exposition) == [1]
    exposition.drop(catalog.TARGET_UP, 1)
    assert b"".join(exposition.snapshot(Format.TEXT)) == before
