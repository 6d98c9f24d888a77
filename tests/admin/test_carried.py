"""What a call carries is to gRPC what its own metadata is."""

import pytest
from grpc.aio import Metadata

from exporter.admin.carried import Carried

_PAIRS = (("authorization", "Bearer x"), ("traceparent", "00-1-2-01"), ("authorization", "other"))


@pytest.mark.parametrize("pairs", [(), _PAIRS[:1], _PAIRS[:2]])
def test_it_is_the_same_as_grpcs_own(pairs: tuple[tuple[str, str], ...]) -> None:
    """Gone through, counted, and asked for a key."""
    own, other = Carried(*pairs), Metadata(*pairs)
    assert isinstance(own, Metadata)
    assert tuple(own) == tuple(other) == pairs
    assert len(own) == len(other)
    assert own == other
    for key in ("authorization", "traceparent"):
        assert own.get_all(key) == other.get_all(key)


def test_a_key_may_come_twice() -> None:
    """Both values travel, in the order in which they were given."""
    own = Carried(*_PAIRS)
    assert tuple(own) == _PAIRS
    assert own.get_all("authorization") == ["Bearer x", "other"]
    assert len(own) == 3
