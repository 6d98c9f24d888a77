"""A ledger in the test's own directory, and the many parts that one commit can have."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from exporter.ledger.opening import open_ledger
from exporter.ledger.store import Ledger

ENDPOINT = "flyteadmin:81"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger is."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Yield a new ledger."""
    with opened(path) as one:
        yield one


def opened(path: Path, endpoint: str = ENDPOINT) -> AbstractContextManager[Ledger]:
    """Open the ledger at *path*."""
    return open_ledger(path, endpoint=endpoint)
