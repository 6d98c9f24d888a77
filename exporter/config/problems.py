"""A configuration is refused with everything that is wrong with it, each fault where it stands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SHOWN = 80
"""Characters of somebody's text that we repeat: enough to recognise it, one line of a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands."""

    path: str = ""
    """The setting, such as `scrape.interval`; empty when it concerns the whole file."""
    file: Path | None = None
    line: int | None = None
    """Counted from 1; None when no place in the file can be named."""
    column: int | None = None
    variable: str | None = None
    """The environment variable that holds the value, when the file does not."""

    def problem(self, sentence: str) -> "Problem":
        """Return what is wrong with the value that stands here."""
        return Problem(
            sentence=sentence,
            path=self.path,
            file=self.file,
            line=self.line,
            column=self.column,
            variable=self.variable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Place):
    """One thing that is wrong, where it stands, and what to do about it."""

    sentence: str

    def __str__(self) -> str:
        if self.variable is not None:
            return f"environment variable {self.variable}: {self.sentence}"
        place = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return ": ".join(filter(None, (":".join(place), self.path, self.sentence)))


class ConfigError(Exception):
    """
    The configuration cannot be used; its text is ready to be shown to a person.

    Attributes:
        problems: Everything that is wrong: each file from top to bottom, in the order in which
            they come; then the environment.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        told = list(problems)
        files = list(dict.fromkeys(problem.file for problem in told))
        self.problems = tuple(
            sorted(told, key=lambda each: _reading_order(each, files.index(each.file)))
        )
        super().__init__(self.problems)

    def __str__(self) -> str:
        return self.told("nothing was started")

    def told(self, consequence: str) -> str:
        """Return every problem on a line of its own, and what comes of them on the last."""
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        return "\n".join([*map(str, self.problems), f"{count} {noun}; {consequence}."])


def shown(text: str) -> str:
    """Return *text* fit to stand in a message: no control characters, cut to one short line."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    if len(printable) > _LONGEST_SHOWN:
        return printable[: _LONGEST_SHOWN - 1] + "…"
    return printable


def without_credentials(text: str) -> str:
    """Return *text* with `***` for the user information and the query of a URL in it."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    _, at, address = rest.rpartition("@")
    if at:
        rest = f"***@{address}"
    if separator:
        rest = re.sub(r"([?#]).*", r"\1***", rest, flags=re.DOTALL)
    return f"{scheme}{separator}{rest}"


def found(value: object, *, confidential: bool = False) -> str:
    """
    Name *value* the way a person would who looks at the file.

    Args:
        value: What YAML held.
        confidential: Whether it may be a secret, so that only its kind is told.
    """
    match value:
        case None:
            name = "nothing"
        case bool():
            name = str(value).lower()
        case str() if confidential:
            name = "text that is not shown here" if value else "empty text"
        case str():
            name = f'"{shown(without_credentials(value))}"'
        case int() | float() if confidential:
            name = "a number"
        case list():
            name = f"a list of {len(value)}" if value else "an empty list"
        case dict():
            name = "a mapping"
        case _:
            name = shown(str(value))
    return name


def dotted(path: tuple[str | int, ...]) -> str:
    """Return *path* as text: `metrics.duration_buckets[3]`."""
    text = ""
    for part in path:
        match part:
            case int():
                text += f"[{part}]"
            case str():
                text += f".{shown(part)}" if text else shown(part)
    return text


def _reading_order(problem: Problem, of_file: int) -> tuple[bool, int, int, int, str]:
    return (
        problem.variable is not None,
        of_file,
        problem.line or 0,
        problem.column or 0,
        problem.variable or problem.path,
    )
