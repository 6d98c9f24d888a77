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


# Errors of ours say what failed and what was found, and then, in the next sentence or after the
# last semicolon, what to do.
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
    def skip(cls, reason: str, *, fix: str = "") -> Self:
        """Return why nothing was looked at, and what could be done about that."""
        return cls(status=Status.SKIP, summary=reason, fix=fix)

    @classmethod
    def of_error(cls, error: Exception) -> Self:
        """Return the failure that *error* tells of, apart from what it says to do about it."""
        summary, fix = parted(str(error))
        return cls.fail(summary, fix=fix)


def parted(text: str) -> tuple[str, str]:
    """Return what an error of ours found, and what it says to do; the latter may be empty."""
    text = text.removesuffix(".")
    summary, *advice = _NEXT_SENTENCE.split(text, maxsplit=1)
    if advice:
        return summary, advice[0][:1].lower() + advice[0][1:]
    summary, semicolon, fix = text.rpartition("; ")
    return (summary, fix) if semicolon else (text, "")


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
