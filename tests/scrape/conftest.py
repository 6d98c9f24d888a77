"""A rig whose ledger lives in the test's own directory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import ScrapeSettings
from tests.rig import Rig


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Return `make_rig(**scrape_settings)`."""
    rigs: list[Rig] = []

    def make(**changed: Any) -> Rig:
        rigs.append(Rig(tmp_path, settings=ScrapeSettings(**changed)))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.die()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """Return a rig with the default settings."""
    return make_rig()
