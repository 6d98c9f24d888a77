"""
OpenTelemetry's variables, read as their specification says: what cannot be used counts as not set.

Nothing here fails: whoever set a variable for a whole cluster did not have this program in mind.
What is wrong is told in a sentence that names the variable.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

_PREFIX = "OTEL_"
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name: of gRPC as well as of HTTP."""
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_T = TypeVar("_T", int, float)


class Given(NamedTuple):
    """What a variable says, and which of several names it was found under."""

    variable: str
    text: str


@dataclass(frozen=True, slots=True)
class Variables:
    """
    The environment, and what was found wrong with it so far.

    Where a method takes several names, the first that is set wins.
    """

    environ: Mapping[str, str] = field(repr=False)
    problems: list[str] = field(default_factory=list)

    def text(self, *names: str) -> Given | None:
        """Return the first that is set; empty is not."""
        for name in names:
            if value := self.environ.get(name, "").strip():
                return Given(name, value)
        return None

    def choice(self, *names: str, known: Collection[str]) -> str | None:
        """Return a word out of *known*, in lower case."""
        given = self.text(*names)
        if given is None:
            return None
        if given.text.lower() in known:
            return given.text.lower()
        self.ignore(given, f"expected {' or '.join(known)}")
        return None

    def switch(self, *names: str) -> bool | None:
        """Return whether it is `true`; anything else is false, as the specification has it."""
        given = self.text(*names)
        if given is None:
            return None
        if given.text.lower() not in ("true", "false"):
            self.ignore(given, "expected true or false")
            return None
        return given.text.lower() == "true"

    def whole(self, name: str, *, default: int) -> int:
        """Return a whole number of at least 1."""
        return self._number(name, default=default, kind=int, least=1, words="a whole number")

    def ratio(self, name: str, *, default: float) -> float:
        """Return a number from 0 to 1."""
        words = "a number from 0 to 1"
        return self._number(name, default=default, kind=float, least=0, most=1, words=words)

    def seconds(self, *names: str, default: float) -> float:
        """Return a time that the variable gives in milliseconds."""
        given = self.text(*names)
        if given is None:
            return default
        words = "a number of milliseconds"
        found = self._number(given.variable, default=0, kind=float, least=1, words=words)
        return found / 1000 or default

    def pairs(self, *names: str) -> dict[str, str]:
        """Return what `key=value,key=value` says, with %-escapes undone."""
        given = self.text(*names)
        found: dict[str, str] = {}
        for pair in given.text.split(",") if given else ():
            key, equals, value = pair.partition("=")
            if equals and key.strip():
                found[unquote(key.strip())] = unquote(value.strip())
            elif pair.strip() and given:
                # Some are secrets, so nothing of any is shown.
                self.note(given.variable, "expected key=value pairs parted by commas; one has none")
        return found

    def headers(self, *names: str) -> dict[str, str]:
        """Return pairs that can be sent as headers, their names in lower case."""
        given = self.text(*names)
        found: dict[str, str] = {}
        for key, value in self.pairs(*names).items():
            if _TOKEN.fullmatch(key.lower()) and _PRINTABLE.fullmatch(value):
                found[key.lower()] = value
            elif given:
                self.note(given.variable, "one of its headers holds characters that none may have")
        return found

    def ignore(self, given: Given, expected: str) -> None:
        """Take note that a value is of no use; it is shown, so it must be no secret."""
        self.note(given.variable, f'{expected}, got "{given.text}"')

    def note(self, variable: str, sentence: str) -> None:
        """Take note of what is wrong with *variable*."""
        self.problems.append(f"{variable}: {sentence}; ignored.")

    def _number(
        self,
        name: str,
        *,
        default: _T,
        kind: type[_T],
        least: float,
        words: str,
        most: float = 1e12,
    ) -> _T:
        given = self.text(name)
        if given is None:
            return default
        try:
            value = kind(given.text)
        except ValueError:
            value = kind(-1)
        # Not a number is not within any bounds.
        if not least <= value <= most:
            self.ignore(given, f"expected {words}")
            return default
        return value


@contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Have this process see no variables of OpenTelemetry but these while the block runs."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_PREFIX)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(hidden)
