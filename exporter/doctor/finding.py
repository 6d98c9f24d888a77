"""What a check found, and what to do about it."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Self


class Status(Enum):
    """How a check ended; the values are those of `--json`."""

    OK = "ok"
    WARN = "warn"
    """It works, but not well, or not for long."""
    FAIL = "fail"
    SKIP = "skip"
    """There is nothing to look at, or no way to look."""


# Errors of ours are sentences: what failed and what was found, then what to do.
_NEXT_SENTENCE = re.compile(r"\.\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What a check has to say.

    Attributes:
        summary: What was found; one line.
        fix: What to do, a line for each thing; empty when there is nothing to do.
    """

    status: Status
    summary: str
    fix: str = ""

    @classmethod
    def ok(cls, summary: str) -> Self:
        """Return that all is well."""
        return cls(status=Status.OK, summary=summary)

    @classmethod
    def warn(cls, summary: str, *, fix: str) -> Self:
        """Return that somebody should act, but need not."""
        return cls(status=Status.WARN, summary=summary, fix=fix)

    @classmethod
    def fail(cls, summary: str, *, fix: str) -> Self:
        """Return that somebody must act."""
        return cls(status=Status.FAIL, summary=summary, fix=fix)

    @classmethod
    def skip(cls, reason: str) -> Self:
        """Return why nothing was looked at."""
        return cls(status=Status.SKIP, summary=reason)

    @classmethod
    def of_error(cls, error: Exception) -> Self:
        """Return the failure that *error* tells of: its first sentence, and then its advice."""
        summary, *advice = _NEXT_SENTENCE.split(str(error), maxsplit=1)
        fix = advice[0] if advice else ""
        return cls(
            status=Status.FAIL,
            summary=summary.removesuffix("."),
            fix=fix[:1].lower() + fix[1:].removesuffix("."),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    A check that is over.

    Attributes:
        name: Of the check.
        seconds: How long it took.
    """

    name: str
    finding: Finding
    seconds: float
