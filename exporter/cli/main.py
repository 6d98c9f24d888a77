"""
The commands.

Exit codes: 0 success, 1 an expected failure such as a bad configuration, 2 wrong usage, 3 a bug.
"""

import asyncio
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

import exporter
from exporter import app
from exporter.cli.check_config import check_config
from exporter.cli.demo import demo
from exporter.cli.doctor import doctor
from exporter.cli.files import FILE
from exporter.cli.sim import sim
from exporter.config.load import load
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings
from exporter.ledger.errors import LedgerError
from exporter.telemetry.log import configure
from exporter.web.server import ListenError

EXPECTED = (ConfigError, LedgerError, ListenError)
"""Failures that a person can mend; their text says how."""

_FAILURE, _BUG = 1, 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Prometheus exporter and alerting sidecar for Flyte Admin."""


@cli.command()
@click.option(
    "--config",
    "config",
    type=FILE,
    required=True,
    help="Configuration file (YAML).",
)
@click.option(
    "--adopt-ledger",
    is_flag=True,
    help="Take over a ledger of another endpoint: the same Admin under a new address.",
)
def run(config: Path, *, adopt_ledger: bool) -> None:
    """
    Run the exporter.

    SIGHUP and POST /-/reload have the configuration read again and put into effect, without an
    interruption of /metrics or a lost count. One that has a fault is refused, and the one from
    before goes on.
    """
    settings = load(config, os.environ)
    configure(level=settings.log.level, media=settings.log.format)

    def reread(running: Settings) -> Settings:
        return load(config, os.environ, running=running)

    asyncio.run(app.run(settings, adopt_ledger=adopt_ledger, reread=reread, started=lambda _: None))


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"flyte-exporter {exporter.__version__}")


for command in (check_config, demo, doctor, sim):
    cli.add_command(command)


def main() -> None:
    """Run a command; the one place where a failure becomes text and an exit code."""
    try:
        # Outside its standalone mode click returns the code of an exit instead of exiting with it.
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EXPECTED as error:
        click.echo(str(error), err=True)
        sys.exit(_FAILURE)
    except Exception as bug:  # noqa: BLE001  # the process's edge
        sys.exit(_report(bug))


def _report(error: Exception) -> int:
    """Say what to do about an error that nobody foresaw."""
    details = f"flyte-exporter {exporter.__version__}, Python {sys.version}\n" + "".join(
        traceback.format_exception(error)
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="flyte-exporter-", suffix=".log", delete=False, encoding="utf-8"
        ) as report:
            report.write(details)
        where = report.name
    except OSError:
        click.echo(details, err=True)
        where = "the lines above"
    click.echo(
        f"Unexpected: {type(error).__name__}: {error}\n"
        f"This is a bug; please report it with {where}.",
        err=True,
    )
    return _BUG
