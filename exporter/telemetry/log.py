"""
Logs: one event name and its fields a line, as logfmt or JSON, on standard error.

INFO is a change of state, WARNING is something that a person may have to act upon, DEBUG is every
poll. Nothing is said per execution.
"""

import contextlib
import logging
import sys
from typing import Any

import structlog

from exporter.telemetry.context import trace_ids


def get_logger(name: str) -> Any:
    """Return the logger of the module called *name*."""
    return structlog.get_logger(module=name.removeprefix("exporter."))


def configure(*, level: str, media: str) -> None:
    """
    Set up logging for the process.

    Args:
        level: Least level that is written: debug, info, warning or error.
        media: `logfmt` or `json`.
    """
    renderer: structlog.typing.Processor
    if media == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "event"], drop_missing=True, bool_as_flag=False
        )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace_ids,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )


def add_trace_ids(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Say in which span a line was written, if in any, so that a trace leads to its lines."""
    event.update(trace_ids())
    return event


class _StandardError:
    """Writes lines to standard error. One that cannot be written is lost, and nothing with it."""

    def __init__(self, *_: Any) -> None:
        """Take the arguments that structlog passes on."""

    def msg(self, line: str) -> None:
        """Write one *line*."""
        # A full disk under a log file must not stop what it is the log of.
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)  # noqa: T201  # this is how logs are written

    debug = info = warning = error = critical = exception = msg
