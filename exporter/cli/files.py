"""
Files that commands are given by their paths.

Only the reading says whether a file can be read, and why not: click would tell some of that in
advance, as wrong usage.
"""

from pathlib import Path

import click

FILE = click.Path(path_type=Path, readable=False)
FILE.name = "file"  # so it is called in `--help`, although a directory is not refused there
