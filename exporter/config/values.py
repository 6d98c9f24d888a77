"""
Each kind of value knows how it is written, and says so when it is not.

What a value should have been is stated once, beside the type that checks it; messages and the
reference page both read it from there.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainValidator, Strict
from pydantic_core import PydanticCustomError

from exporter.config.problems import shown
from exporter.model.projects import label_name
from exporter.model.time import format_duration, parse_duration

LONGEST = timedelta(weeks=52)
"""No length of time in a configuration means more; far longer ones leave the calendar."""
HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
"""The name of a host, as far as its characters tell."""
LIST = Strict(strict=False)
"""Of a list: it may become a tuple, because YAML knows no tuples. Its items stay strict."""

_BEHIND_SCHEME = re.compile(r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(.*)")
_PATTERN = re.compile(r"[^\s/]+/[^\s/]+")
_PLAN_PATTERN = re.compile(r"[^\s/]+/[^\s/]+/\S+")
_HIGHEST_PORT = 65_535
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,316}")
_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)/([sm])")
_UNITS_OF_RATE = {"s": 1, "m": 60}
_LEAST_OFTEN, _MOST_OFTEN = 1 / 60, 10_000
_ANY_DURATION = f"a duration from 0s to {format_duration(LONGEST)}"
_ADD_A_UNIT = 'add a unit, as in "30s"'


@dataclass(frozen=True, slots=True)
class Expected:
    """What a value should have been, to follow "expected"."""

    words: str


@dataclass(frozen=True, slots=True)
class Confidential:
    """Marks where a secret may stand, by mistake at least: what is wrong there is not repeated."""

    masked: Callable[[Any], object] = lambda value: value
    """What may be shown of a value that is right."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a value stands in the file, where its type alone does not say it."""

    by: Callable[[Any], object]


class ListenAddress(NamedTuple):
    """Where a server listens."""

    host: str
    """A name, an IPv4 address, or an IPv6 address without brackets."""
    port: int
    """0 lets the system choose."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def unfit(*, expected: str = "", advice: str = "", item: int | None = None) -> PydanticCustomError:
    """
    Return the error for a value that cannot be meant.

    Args:
        expected: What is missing in this value, where the words of its kind say too little.
        advice: What to write instead.
        item: Index of the item at fault, when the value is a list.
    """
    told = f"expected {expected or 'another value'}" + (f"; {advice}" if advice else "")
    facts = {"expected": expected, "advice": advice, "item": item, "told": told}
    return PydanticCustomError("unfit", "{told}", facts)


def conflict(sentence: str, *, other: str, at_other: bool = False) -> PydanticCustomError:
    """
    Return the error for a value that does not go with that of the setting *other*.

    Args:
        sentence: What is wrong.
        other: A setting of the same section.
        at_other: Whether to tell it at the other one, even where both are set.
    """
    facts = {"sentence": sentence, "other": other, "at_other": at_other}
    return PydanticCustomError("conflict", "{sentence}", facts)


def read_duration(value: object) -> timedelta:
    """Read a duration with its unit; a bare number is refused, because 30 of what?"""
    match value:
        case timedelta():
            length = value
        case bool():
            raise unfit()
        case int() | float():
            raise unfit(advice=_ADD_A_UNIT)
        case str():
            length = _parsed(value)
        case _:
            raise unfit()
    if not timedelta() <= length <= LONGEST:
        raise unfit(expected=_ANY_DURATION)
    return length


def read_endpoint(value: object) -> str:
    """Read where Flyte Admin listens, in the forms of gRPC that name a port or a socket."""
    if not isinstance(value, str):
        raise unfit()
    scheme, separator, rest = value.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        host = rest.rpartition("@")[2].partition("/")[0] or "flyteadmin"
        port = "" if ":" in host else ":443" if scheme.lower() == "https" else ":80"
        advice = (
            f'write "dns:///{shown(host)}{port}" and let admin.insecure say whether TLS is used'
        )
        raise unfit(advice=advice)
    if re.fullmatch(r"unix:\S+", value):
        return value
    address = _address((_BEHIND_SCHEME.fullmatch(value) or [value, value])[1])
    if address is not None and address.port:
        return value
    bare = re.fullmatch(r"(?:dns:///)?[A-Za-z0-9_.-]+", value)
    # Without a port gRPC dials 443 and reports, minutes later, that nobody answers.
    raise unfit(advice="add the port; gRPC would dial 443" if bare else "")


def read_listen_address(value: object) -> ListenAddress:
    """Read HOST:PORT or [IPV6]:PORT."""
    if isinstance(value, ListenAddress):
        return value
    address = _address(value) if isinstance(value, str) else None
    if address is None:
        raise unfit()
    return address


def read_pattern(value: str) -> str:
    """Read a pattern for targets: one for the project, a slash, one for the domain."""
    if not _PATTERN.fullmatch(value):
        raise unfit()
    return value


def read_plan_pattern(value: str) -> str:
    """Read a pattern for launch plans: for the project, the domain and the launch plan."""
    if not _PLAN_PATTERN.fullmatch(value):
        raise unfit()
    return value


def read_label(value: str) -> str:
    """Read the key of a label, such as Kubernetes has them: `team`, `example.com/cost-center`."""
    if not _LABEL.fullmatch(value):
        raise unfit()
    return value


def read_path(value: object) -> Path:
    """Read the path of a file; a leading `~` is the home directory."""
    match value:
        case Path():
            return value
        case str() if value and value.isprintable():
            try:
                return Path(value).expanduser()
            except RuntimeError as error:
                advice = "nobody knows that home directory; write the path without ~"
                raise unfit(advice=advice) from error
        case _:
            raise unfit()


def read_ledger_path(value: object) -> Path:
    """Read the path of a file that outlives the process."""
    if str(value) == ":memory:":
        raise unfit(advice="a ledger in memory would forget every count at a restart")
    return read_path(value)


def read_rate(value: object) -> float:
    """Read how often something may happen, such as `50/s` or `600/m`, as times in a second."""
    match value:
        case float():
            often = value
        case str() if parts := _RATE.fullmatch(value):
            often = float(parts[1]) / _UNITS_OF_RATE[parts[2]]
        case int() if not isinstance(value, bool):
            raise unfit(advice=f'say in which time, as in "{value}/s"')
        case _:
            raise unfit()
    if not _LEAST_OFTEN <= often <= _MOST_OFTEN:
        raise unfit(expected='a rate from "1/m" to "10000/s"')
    return often


def format_rate(often: float) -> str:
    """Return *often*, in times a second, as `read_rate` reads it."""
    for unit, scale in _UNITS_OF_RATE.items():
        text = f"{often * scale:.3f}".rstrip("0").rstrip(".") + f"/{unit}"
        if _RATE.fullmatch(text) and read_rate(text) == often:
            break
    return text


def increasing(most: int) -> Callable[[tuple[timedelta, ...]], tuple[timedelta, ...]]:
    """Return the check that bucket bounds are 1 to *most*, positive, each above the last."""

    def check(bounds: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if not 1 <= len(bounds) <= most:
            raise unfit(expected=f"a list of 1 to {most} durations")
        below = timedelta()
        for index, bound in enumerate(bounds):
            if bound <= below:
                words = f'a duration longer than "{format_duration(below)}"'
                advice = "each bound must exceed the one before" if index else ""
                raise unfit(expected=words, advice=advice, item=index)
            below = bound
        return bounds

    return check


def _told_apart(labels: tuple[str, ...]) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for index, label in enumerate(labels):
        other = names.setdefault(label_name(label), label)
        if index >= len(names):
            words = f'a label that is not called "{label_name(label)}", as "{other}" is'
            raise unfit(expected=words, advice="leave one of the two out", item=index)
    return labels


def _positive(length: timedelta) -> timedelta:
    if not length:
        raise unfit(expected='a duration longer than "0s"')
    return length


def _not_empty(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not patterns:
        raise unfit(expected='a list of at least one pattern such as "*/*"')
    return patterns


def _parsed(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except OverflowError as error:
        raise unfit(expected=_ANY_DURATION) from error
    except ValueError as error:
        raise unfit(advice=_ADD_A_UNIT if text.isdecimal() else "") from error


def _address(text: str) -> ListenAddress | None:
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _HIGHEST_PORT:
        return None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        return ListenAddress(host, int(port)) if _is_ip(host, ipaddress.IPv6Address) else None
    numeric = re.fullmatch(r"[0-9.]+", host)
    fits = _is_ip(host, ipaddress.IPv4Address) if numeric else HOST_NAME.fullmatch(host)
    return ListenAddress(host, int(port)) if fits else None


def _is_ip(text: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


Duration = Annotated[
    timedelta, BeforeValidator(read_duration), Expected('a duration such as "30s"')
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Rate = Annotated[
    float,
    BeforeValidator(read_rate),
    Expected('a rate such as "50/s"'),
    Written(format_rate),
]
Endpoint = Annotated[
    str,
    BeforeValidator(read_endpoint),
    Expected('HOST:PORT, such as "dns:///flyteadmin:81"'),
]
Listen = Annotated[
    ListenAddress,
    PlainValidator(read_listen_address),
    Expected('HOST:PORT, such as "0.0.0.0:9942" or "[::]:9942"'),
]
FilePath = Annotated[Path, BeforeValidator(read_path), Expected("the path of a file")]
LedgerPath = Annotated[Path, BeforeValidator(read_ledger_path), Expected("the path of a file")]
Pattern = Annotated[
    str, AfterValidator(read_pattern), Expected('a pattern PROJECT/DOMAIN, such as "*/production"')
]
PlanPattern = Annotated[
    str,
    AfterValidator(read_plan_pattern),
    Expected('a pattern PROJECT/DOMAIN/LAUNCH_PLAN, such as "*/production/etl.*"'),
]
Patterns = Annotated[
    tuple[Pattern, ...],
    LIST,
    Expected('a list of patterns PROJECT/DOMAIN, such as ["*/production"]'),
]
SomePatterns = Annotated[Patterns, AfterValidator(_not_empty)]
PlanPatterns = Annotated[
    tuple[PlanPattern, ...],
    Strict(strict=False),
    Expected('a list of patterns PROJECT/DOMAIN/LAUNCH_PLAN, such as ["*/production/etl.*"]'),
]
ProjectLabel = Annotated[
    str, AfterValidator(read_label), Expected('the key of a label, such as "team"')
]
ProjectLabels = Annotated[
    tuple[ProjectLabel, ...],
    LIST,
    AfterValidator(_told_apart),
    Expected('a list of label keys, such as ["team", "tier"]'),
]
Buckets = Annotated[
    tuple[Duration, ...],
    LIST,
    AfterValidator(increasing(50)),
    Expected('a list of increasing durations, such as ["30s", "5m", "1h"]'),
]
