"""
Names are changed by rules, in the words of Prometheus' `relabel_configs`.

A pattern is RE2's, as in Prometheus, and must match the whole name. RE2 takes time in proportion to
the length of a name, whatever the pattern: a name that somebody in Flyte chose holds nothing up.
"""

import re
from collections.abc import Sequence
from typing import Any

import re2

_LONGEST = 500
"""Characters of a pattern or of a replacement: far more than any name has."""

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))?", re.ASCII)
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # they are raised; RE2 would write them to stderr as well


class RenamingError(ValueError):
    """A pattern or a replacement cannot be used; the text says why, without its end mark."""


class Renaming:
    """
    One rule.

    Args:
        match: A pattern of RE2.
        replacement: Text with `$1`, `${1}` or `${name}` for the groups of the pattern, and `$$`
            for a dollar sign.

    Raises:
        RenamingError: One of the two cannot be used.
    """

    def __init__(self, match: str, replacement: str) -> None:
        self.match = match
        self.replacement = replacement
        self._pattern = pattern(match)
        self._parts = _parts(replacement, self._pattern)

    def renamed(self, name: str) -> str | None:
        """Return what *name* becomes; None when the rule is not about it."""
        found = self._pattern.fullmatch(name)
        if found is None:
            return None
        groups: Sequence[str] = (name, *found.groups(""))
        return "".join(groups[part] if isinstance(part, int) else part for part in self._parts)


def pattern(match: str) -> Any:
    """
    Return the compiled pattern *match*, which has no types.

    Raises:
        RenamingError: It is none.
    """
    if len(match) > _LONGEST:
        raise RenamingError(f"it is longer than {_LONGEST} characters")
    try:
        return re2.compile(match, _OPTIONS)
    except re2.error as error:
        (reason,) = error.args
        raise RenamingError(f"RE2 says {reason.decode(errors='replace')!r}") from error
    except UnicodeError as error:
        raise RenamingError("it holds half a character") from error


def _parts(replacement: str, compiled: Any) -> Sequence[str | int]:
    """Take *replacement* apart, into text and numbers of groups."""
    if len(replacement) > _LONGEST:
        raise RenamingError(f"it is longer than {_LONGEST} characters")
    found: list[str | int] = []
    end = 0
    for reference in _REFERENCE.finditer(replacement):
        found.append(replacement[end : reference.start()])
        found.append("$" if reference[1] else _group(reference[2] or reference[3], compiled))
        end = reference.end()
    return [*found, replacement[end:]]


def _group(name: str | None, compiled: Any) -> int:
    """Return the number of the group that a replacement names."""
    if name is None:
        raise RenamingError("write a dollar sign as $$")
    if name in compiled.groupindex:
        return int(compiled.groupindex[name])
    if name.isdecimal() and int(name) <= compiled.groups:
        return int(name)
    number, rest = re.fullmatch(r"([0-9]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    if number and rest and int(number) <= compiled.groups:
        # A name goes on for as long as it can, in Prometheus too.
        raise RenamingError(f'match has no group "{name}"; write ${{{number}}}{rest}')
    raise RenamingError(f'match has no group "{name}"')
