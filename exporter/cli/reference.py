"""The page of all commands: what each says of itself when asked with `--help`."""

from collections.abc import Iterator

import click

from exporter.cli.main import cli

_WIDTH = 80
_NAME = "flyte-exporter"
_INTRODUCTION = """\
<!-- Written by: make docs -->

# Commands

Exit codes: 0 success, 1 a failure that its message says how to mend, 2 wrong usage, 3 a bug.
"""


def reference() -> str:
    """Return the page as Markdown: one section for each command."""
    return "\n".join([_INTRODUCTION, *_sections(cli, None, _NAME)])


def _sections(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    """Yield the section of *command*, and those of the commands below it."""
    context = command.make_context(
        name,
        [],
        parent,
        resilient_parsing=True,
        # A page must not depend on the terminal in which it was written.
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
    )
    yield f"## `{context.command_path}`\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _sections(command.commands[below], context, below)
