"""What a call carries to Admin beside its message."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from grpc.aio import Metadata


class Carried(Metadata):
    """
    gRPC's metadata, of pairs that are known from the start.

    gRPC asks it for nothing but these. Its own kind sorts them by key first, and walks through all
    keys to count them: for the one pair by which a call tells its trace, that is a tenth of all
    that tracing costs.
    """

    def __init__(self, *pairs: tuple[str, str]) -> None:
        """Take the pairs; that of its base class would sort them."""
        self._pairs = pairs

    @cached_property
    def _metadata(self) -> Any:
        """What all other methods go by."""
        return Metadata(*self._pairs)._metadata  # type: ignore[attr-defined]  # noqa: SLF001

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Go through the pairs."""
        return iter(self._pairs)
