"""
What every test may use: files that hold the expected output of a whole document.

And what every test gets: logging as if it were the first.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

_GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts new output as the expected one."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the files in tests/golden instead of comparing with them; review the diff",
    )


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a test has done to logging, so that the next may read what is logged."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return `golden(name, text)`, which compares *text* with the file tests/golden/*name*."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = _GOLDEN / name
        if update:
            path.write_text(text, encoding="utf-8", newline="")
        elif not path.exists():
            pytest.fail(f"tests/golden/{name} is missing: run pytest with --update-golden")
        assert text == path.read_bytes().decode("utf-8"), (
            f"tests/golden/{name} differs: if the new text is right, run with --update-golden"
        )

    return compare
