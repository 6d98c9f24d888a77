"""
Why an execution failed, in words that are few enough to count by.

What propeller reports is a kind, a code and a text. None of them can be taken as it is: a failure
that was tried again until there were no attempts left is always the user's, whatever it was; codes
are an open set and hold what user code chose to raise.
"""

import re
from enum import IntEnum
from typing import NamedTuple

NO_CODE = "none"
"""The code of a failure that Admin gives none for."""

_LONGEST_CODE = 64
_RETRIES_EXHAUSTED = "RetriesExhausted"
_LISTED_MESSAGE_BYTES = 100
"""Where lists cut an error's message; a single row has all of it, and must come to the same."""
_ATTEMPTS = re.compile(
    r"(?:\[\d+/\d+\] currentAttempt done\. Last Error: (UNKNOWN|USER|SYSTEM)::)+"
)
"""How propeller begins the message when there are no attempts left; nested, the last is true."""


class ErrorKind(IntEnum):
    """
    `ExecutionError.ErrorKind` with Flyte's own numbers: whose fault it is.

    Source: flyteidl `core/execution.proto`.
    """

    UNRECOGNIZED = -1
    UNKNOWN = 0
    USER = 1
    SYSTEM = 2


class Failure(NamedTuple):
    """
    What an execution failed with.

    Attributes:
        kind: Of the last attempt, also where the retries were exhausted.
        code: As `normal` returns it.
    """

    kind: ErrorKind
    code: str


NO_ERROR = Failure(ErrorKind.UNKNOWN, NO_CODE)
"""What an execution failed with for which Admin has no error."""


def failure(kind: ErrorKind, code: str, message: str) -> Failure:
    """
    Return what is behind an error as propeller reported it.

    Source: flytepropeller `pkg/controller/nodes/executor.go`: once the attempts are used up, the
    kind is USER, the code `RetriesExhausted|<code>`, and the message begins with
    `[n/m] currentAttempt done. Last Error: <kind>::`.
    """
    if code.startswith(_RETRIES_EXHAUSTED):
        head = message.encode()[:_LISTED_MESSAGE_BYTES].decode(errors="ignore")
        if found := _ATTEMPTS.search(head):
            kind = ErrorKind[found[1]]
    return Failure(kind, normal(code))


def normal(code: str) -> str:
    """
    Return *code* as a label may have it: the innermost of its parts, printable, not too long.

    Codes are joined by bars, the cause last: `RetriesExhausted|OOMKilled` is `OOMKilled`.
    """
    printable = "".join(filter(str.isprintable, code))
    parts = [part.strip() for part in printable.split("|")]
    innermost = next((part for part in reversed(parts) if part), NO_CODE)
    return innermost[:_LONGEST_CODE].rstrip()
