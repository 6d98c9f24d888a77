"""`doctor` looks at everything that a start needs, and says how to mend what is wrong."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Protocol

import click
from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from exporter.cli.files import FILE
from exporter.doctor import report
from exporter.doctor.finding import Result, Status
from exporter.doctor.visit import visit
from exporter.telemetry.clock import SystemClock
from exporter.telemetry.log import configure
from exporter.threads import DaemonThreads

_STYLES = {
    Status.OK: "green",
    Status.WARN: "bold yellow",
    Status.FAIL: "bold red",
    Status.SKIP: "dim",
}


class Screen(Protocol):
    """Where results are shown as they come."""

    def begins(self, name: str) -> None:
        """Show what is being looked at."""

    def ended(self, result: Result) -> None:
        """Show what was found."""


@click.command()
@click.option(
    "--config",
    "config",
    type=FILE,
    required=True,
    help="Configuration file (YAML).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def doctor(*, config: Path, as_json: bool) -> None:
    """
    Look at everything that a start needs, and say how to mend what is wrong.

    Checks the configuration, the way to Flyte Admin, what may be asked there, and what is needed
    here, one line each. Nothing is changed. Exits with 1 if any check failed; warnings are none.
    """
    # The results say it; what else is logged would stand between them.
    configure(level="error", media="logfmt")
    results: list[Result] = []
    with _screen(as_json=as_json) as screen:
        asyncio.run(_run(config, screen, results))
    if as_json:
        click.echo(json.dumps(report.document(results), indent=2))
    if report.failed(results):
        raise click.exceptions.Exit(1)


async def _run(config: Path, screen: Screen, results: list[Result]) -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    clock = SystemClock()
    async with aclosing(visit(config, os.environ, clock=clock, begins=screen.begins)) as coming:
        async for result in coming:
            results.append(result)
            screen.ended(result)


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Screen]:
    """Yield where to show results: a terminal is told what is going on, a file only what was."""
    if as_json:
        yield Nothing()
    elif sys.stdout.isatty():
        console = Console(highlight=False, soft_wrap=True)
        with console.status("") as spinner:
            yield Terminal(console, spinner)
    else:
        yield Lines()


class Nothing:
    """Shows nothing; a document is printed when it is complete."""

    def begins(self, name: str) -> None:
        """Show nothing."""

    def ended(self, result: Result) -> None:
        """Show nothing."""


class Lines:
    """Prints lines, each at once: whoever reads a log may be waiting, too."""

    def begins(self, name: str) -> None:
        """Show nothing."""

    def ended(self, result: Result) -> None:
        """Print the lines of a check."""
        for line in report.lines(result):
            click.echo(line)


class Terminal:
    """Prints lines in colour, and below them what is being looked at."""

    def __init__(self, console: Console, spinner: Spinner) -> None:
        self._console = console
        self._spinner = spinner

    def begins(self, name: str) -> None:
        """Show what is being looked at."""
        self._spinner.update(Text(name))

    def ended(self, result: Result) -> None:
        """Print the lines of a check."""
        status = result.finding.status
        first, *advice = report.lines(result)
        line = Text(first)
        line.stylize(_STYLES[status], 0, len(report.WORDS[status]))
        self._console.print(line)
        for text in advice:
            self._console.print(Text(text))
