"""`check-config` answers before a restart what a restart would have answered."""

import os
from pathlib import Path

import click

from exporter.cli.files import FILE
from exporter.config.load import load
from exporter.config.problems import ConfigError


@click.command("check-config")
@click.argument("file", type=FILE)
def check_config(file: Path) -> None:
    """
    Say whether FILE, with the environment variables that are set, can be used.

    Exits with 1 and lists every problem if it cannot. Nothing is started or contacted.
    """
    try:
        load(file, os.environ)
    except ConfigError as error:
        click.echo(error, err=True)
        raise click.exceptions.Exit(1) from error
    click.echo(f"{click.format_filename(file)}: configuration is valid")
