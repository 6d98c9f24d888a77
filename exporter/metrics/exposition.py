"""
The document that a scrape gets, kept in pieces that already exist.

Each piece is the finished text of one series, or of a few that change together. A commit swaps the
pieces that it changed; a scrape takes the list of them and writes it. Nothing is rendered then, but
for the few samples about this process itself.
"""

from collections.abc import Collection, Hashable
from typing import Protocol

from exporter.metrics import text
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.formats import Format

_PIECEWISE = tuple(family for family in FAMILIES if family.source is not Source.PROCESS)
_HEADERS = {
    media: {family: text.header(family, media) for family in _PIECEWISE} for media in Format
}


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
        self._pieces: dict[Family, dict[Hashable, bytes]] = {
            family: {} for family in _PIECEWISE if family not in hidden
        }

    def shows(self, family: Family) -> bool:
        """Whether there is *family* at all."""
        return family in self._pieces

    def put(self, family: Family, key: Hashable, piece: bytes) -> None:
        """Show *piece*, in place of what was shown under the same *key*."""
        self._pieces[family][key] = piece

    def drop(self, family: Family, key: Hashable) -> None:
        """Show nothing under *key* any more."""
        self._pieces[family].pop(key, None)

    def snapshot(self, media: Format) -> list[bytes]:
        """Return the whole document as of now; joined, the pieces are it."""
        document: list[bytes] = []
        for family, pieces in self._pieces.items():
            document.append(_HEADERS[media][family])
            document.extend(pieces.values())
        document.append(self._process.render(media))
        if media is Format.OPENMETRICS:
            document.append(text.END_OF_OPENMETRICS)
        return document
