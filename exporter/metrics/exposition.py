"""
The document that a scrape gets, kept in pieces that already exist.

Each piece is the finished text of one series, or of a few that change together. A commit swaps the
pieces that it changed. They lie on sheets of a few hundred: a scrape takes the sheets, and joins
them when it writes them, in a thread of its own. A sheet that a scrape has is not changed any more,
but replaced by a copy. Nothing is rendered for a scrape but the few samples about this process.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Protocol

from exporter.metrics import text
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.formats import Format

_PIECEWISE = tuple(family for family in FAMILIES if family.source is not Source.PROCESS)
_HEADERS = {
    media: {family: text.header(family, media) for family in _PIECEWISE} for media in Format
}

_SHEET_PIECES = 256
"""A copy of so many takes some 10 us, and 250,000 series are no more than a thousand sheets."""


class ProcessMetrics(Protocol):
    """Samples about this process, rendered when asked for."""

    def render(self, media: Format) -> bytes:
        """Return complete families, without OpenMetrics' end mark."""


class Exposition:
    """
    All pieces, by family.

    Args:
        process: Renders the samples about this process.
        hidden: Families that there are not, so that nothing is said of them.
    """

    def __init__(self, process: ProcessMetrics, *, hidden: Collection[Family] = ()) -> None:
        self._process = process
        self._sections: dict[Family, _Section] = {}
        self._still: dict[Family, Sequence[_Sheet]] | None = None
        self.set_hidden(hidden)

    def set_hidden(self, hidden: Collection[Family]) -> None:
        """Have all families but *hidden*; nothing is shown yet of one that there was not."""
        self._sections = {
            family: self._sections.get(family) or _Section()
            for family in _PIECEWISE
            if family not in hidden
        }

    def stand_still(self) -> None:
        """
        Have scrapes be told of nothing that is put, dropped or hidden, until `move_on`.

        What stands still is not touched meanwhile: a thread may do all that while others scrape.
        """
        self._still = {family: [*section.give()] for family, section in self._sections.items()}

    def move_on(self) -> None:
        """Have scrapes be told how it is now."""
        self._still = None

    def shows(self, family: Family) -> bool:
        """Whether there is *family* at all."""
        return family in self._sections

    def put(
        self, family: Family, key: Hashable, piece: bytes, *, with_exemplars: bytes | None = None
    ) -> None:
        """
        Show *piece*, in place of what was shown under the same *key*.

        Args:
            family: Whose samples it has.
            key: Tells the pieces of a family apart.
            piece: The text.
            with_exemplars: The same for OpenMetrics, where that differs.
        """
        self._sections[family].put(key, piece, with_exemplars)

    def drop(self, family: Family, key: Hashable) -> None:
        """Show nothing under *key* any more; of a family that there is not, nothing is."""
        section = self._sections.get(family)
        if section is not None:
            section.drop(key)

    def snapshot(self, media: Format) -> "Document":
        """Return the whole document as of now, or as of when it was told to stand still."""
        sheets = self._still
        if sheets is None:
            sheets = {family: section.give() for family, section in self._sections.items()}
        parts: list[bytes | _Sheet] = []
        for family, own in sheets.items():
            parts.append(_HEADERS[media][family])
            parts.extend(own)
        parts.append(self._process.render(media))
        if media is Format.OPENMETRICS:
            parts.append(text.END_OF_OPENMETRICS)
        return Document(parts, media)


class Document:
    """
    A document as of one moment, whatever is put meanwhile.

    It is joined while it is read, which may be done in another thread and take its time.
    """

    def __init__(self, parts: "Sequence[bytes | _Sheet]", media: Format) -> None:
        self._parts = parts
        self._media = media

    @property
    def length(self) -> int:
        """Return how many bytes it has."""
        return sum(
            len(part) if isinstance(part, bytes) else part.length(self._media)
            for part in self._parts
        )

    def __iter__(self) -> Iterator[bytes]:
        """Yield it in parts of any size."""
        for part in self._parts:
            yield part if isinstance(part, bytes) else part.joined(self._media)


class _Section:
    """The pieces of one family, each at a place on one of its sheets."""

    def __init__(self) -> None:
        self._places: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._sheets: list[_Sheet] = []

    def put(self, key: Hashable, piece: bytes, with_exemplars: bytes | None) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._free.pop() if self._free else len(self._places)
            if place == len(self._sheets) * _SHEET_PIECES:
                self._sheets.append(_Sheet())
        self._sheet_of(place).put(place, piece, with_exemplars)

    def drop(self, key: Hashable) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        sheet = self._sheet_of(place)
        sheet.drop(place)
        self._free.append(place)
        if sheet.is_empty:
            # A dictionary keeps the room that it once needed.
            self._sheets[place // _SHEET_PIECES] = _Sheet()

    def give(self) -> "Sequence[_Sheet]":
        """Return all sheets as they are now, to somebody who reads them later."""
        for sheet in self._sheets:
            sheet.given = True
        return self._sheets

    def _sheet_of(self, place: int) -> "_Sheet":
        """Return the sheet with *place*, one that may be changed."""
        number = place // _SHEET_PIECES
        if self._sheets[number].given:
            self._sheets[number] = self._sheets[number].copy()
        return self._sheets[number]


class _Sheet:
    """
    Pieces that are given away together.

    Their places are numbers, for Python's collector of cycles never looks into a dictionary that
    has but numbers and bytes, however young it is; a list of the pieces it would go over.
    """

    __slots__ = ("_length", "_length_with_exemplars", "_pieces", "_with_exemplars", "given")

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._with_exemplars: dict[int, bytes] = {}
        """Those that differ in OpenMetrics."""
        self._length = self._length_with_exemplars = 0
        self.given = False

    @property
    def is_empty(self) -> bool:
        return not self._pieces

    def put(self, place: int, piece: bytes, with_exemplars: bytes | None) -> None:
        before = self._pieces.get(place, b"")
        had = self._with_exemplars.pop(place, before)
        self._pieces[place] = piece
        has = piece
        if with_exemplars is not None:
            has = self._with_exemplars[place] = with_exemplars
        self._length += len(piece) - len(before)
        self._length_with_exemplars += len(has) - len(had)

    def drop(self, place: int) -> None:
        piece = self._pieces.pop(place)
        self._length -= len(piece)
        self._length_with_exemplars -= len(self._with_exemplars.pop(place, piece))

    def copy(self) -> "_Sheet":
        sheet = _Sheet()
        sheet._pieces = self._pieces.copy()
        sheet._with_exemplars = self._with_exemplars.copy()
        sheet._length = self._length
        sheet._length_with_exemplars = self._length_with_exemplars
        return sheet

    def length(self, media: Format) -> int:
        return self._length_with_exemplars if media is Format.OPENMETRICS else self._length

    def joined(self, media: Format) -> bytes:
        if media is Format.OPENMETRICS and self._with_exemplars:
            # Each stands in the place of the one without, and none is touched by Python.
            return b"".join((self._pieces | self._with_exemplars).values())
        return b"".join(self._pieces.values())
