"""
Logs: one event name and its fields a line, as logfmt or JSON, on standard error.

INFO is a change of state, WARNING is something that a person may have to act upon, DEBUG is every
poll. Nothing is said per execution.
"""

import logging
import sys
from typing import Any

import structlog


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
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
