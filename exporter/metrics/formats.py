"""A scraper says what it can read and how gladly; one of our two formats answers it."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple

_WEIGHT = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")
_TEXT_VERSIONS = frozenset({None, "0.0.4"})
_OPENMETRICS_VERSIONS = frozenset({None, "0.0.1", "1.0.0"})
# The later names the format more closely, so its weight wins whatever the order they come in.
_TEXT_RANGES = ("*/*", "text/*", "text/plain")


class Format(Enum):
    """A way to write metrics; the value is its media type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def content_type(self) -> str:
        """What `Content-Type` says of a document in this format."""
        return self.value


class Wish(NamedTuple):
    """One element of an `Accept` or `Accept-Encoding` header."""

    name: str
    """In lower case: a media range such as `text/*`, or a coding such as `gzip`."""
    parameters: Mapping[str, str]
    weight: float
    """From 0 (never) to 1 (gladly)."""


def wishes(header: str) -> Iterator[Wish]:
    """
    Yield the elements of an `Accept` or `Accept-Encoding` *header*.

    An element whose weight cannot be read counts as never, so that nobody is sent what they may
    not have asked for.

    Source: RFC 9110, sections 12.4.2 and 12.5.
    """
    for element in header.split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        weight = parameters.pop("q", "1")
        yield Wish(name.lower(), parameters, float(weight) if _WEIGHT.fullmatch(weight) else 0.0)


def negotiate(accept: str | None) -> Format:
    """
    Choose the format to answer an `Accept` header with.

    OpenMetrics goes only to who names it, and likes it no less than text: a browser's `*/*` gets
    what a person can read without a new tool. Who accepts neither is sent text, because a refusal
    would help nobody.
    """
    openmetrics = 0.0
    text: dict[str, float] = {}
    for wish in wishes(accept or ""):
        version = wish.parameters.get("version")
        if wish.name == "application/openmetrics-text" and version in _OPENMETRICS_VERSIONS:
            openmetrics = max(openmetrics, wish.weight)
        elif wish.name in _TEXT_RANGES and version in _TEXT_VERSIONS:
            text[wish.name] = max(text.get(wish.name, 0.0), wish.weight)
    closest = max(text, key=_TEXT_RANGES.index, default=None)
    plain = text[closest] if closest else 0.0
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= plain else Format.TEXT
