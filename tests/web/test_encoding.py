"""Which clients get gzip, and that no byte is lost on the way."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.encoding import accepts_gzip, blocks, gzipped


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=0.5, br", True),
        ("*", True),
        ("identity;q=0.1, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*, gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=high", False),
        ("deflate, br", False),
        ("gzipped", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_only_to_who_accepts_it(accept_encoding: str | None, expected: bool) -> None:
    """Gzip is sent only where the header allows it with a weight above 0."""
    assert accepts_gzip(accept_encoding) is expected


@given(pieces=st.lists(st.binary(max_size=50)), size=st.integers(min_value=1, max_value=40))
def test_blocks_keep_every_byte_and_the_size(pieces: list[bytes], size: int) -> None:
    """Blocks join to what the pieces join to; only the last is small."""
    joined = list(blocks(pieces, size))
    assert b"".join(joined) == b"".join(pieces)
    assert all(len(block) >= size for block, _ in pairwise(joined))
    assert all(0 < len(block) < size + 50 for block in joined)


@given(st.lists(st.binary(max_size=50)))
def test_gzip_round_trip(pieces: list[bytes]) -> None:
    """What was compressed piece by piece is one gzip document that holds every byte."""
    assert gzip.decompress(b"".join(gzipped(pieces))) == b"".join(pieces)
