# ruff: noqa: INP001  # a script of the repository, not a package that is shipped
"""
Pages that can be written from the code are, so that they cannot disagree with it.

    python -m docs.generate           writes them
    python -m docs.generate --check   exits with 1 if one is out of date, and changes nothing
"""

from collections.abc import Callable
from pathlib import Path

import click

from exporter.cli import reference as commands
from exporter.config import reference as configuration
from exporter.metrics import reference as metrics

_ROOT = Path(__file__).resolve().parent.parent


def readme() -> str:
    """Return the README with its table of metrics; all else in it is written by hand."""
    return metrics.embed((_ROOT / "README.md").read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "README.md": readme,
    "docs/commands.md": commands.reference,
    "docs/configuration.md": configuration.reference,
    "docs/metrics.md": metrics.reference,
}
"""What writes each page, by its path from the top of the repository."""


@click.command()
@click.option("--check", is_flag=True, help="Only say which pages are out of date.")
def generate(*, check: bool) -> None:
    """Write every generated page that has changed."""
    stale = {name: text for name, text in _pages().items() if _current(name) != text}
    for name, text in stale.items():
        if not check:
            (_ROOT / name).write_text(text, encoding="utf-8")
        click.echo(f"{name}: {'out of date; run: make docs' if check else 'written'}")
    if check and stale:
        raise click.exceptions.Exit(1)


def _pages() -> dict[str, str]:
    return {name: write() for name, write in PAGES.items()}


def _current(name: str) -> str | None:
    path = _ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    generate()
