"""
Cron lines are read by the scheduler's own parser, whose words Admin hands on.

Source: robfig/cron `parser.go`, `ParseStandard`; Go `time.ParseDuration`.
"""

import re
import zoneinfo
from collections.abc import Mapping
from typing import NamedTuple

import grpc

from exporter.sim.refusal import Refusal, invalid

_DESCRIPTORS = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)
_EVERY = "@every "
_ZONE = re.compile(r"(?:CRON_)?TZ=")
_UNITS = frozenset({"ns", "us", "µs", "μs", "ms", "s", "m", "h"})
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT64 = 2**63


class _Field(NamedTuple):
    """What one field of a line may hold."""

    first: int
    last: int
    names: Mapping[str, int]


def _numbered(names: str, first: int) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names.split(), start=first)}


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    _Field(0, 6, _numbered("sun mon tue wed thu fri sat", 0)),
)


def refuse_bad_cron(text: str) -> None:
    """
    Check that the scheduler can read *text*.

    Raises:
        Refusal: INVALID_ARGUMENT; INTERNAL for a zone with nothing after it, a panic of the parser.
    """
    if zone := _ZONE.match(text):
        name, blank, rest = text[zone.end() :].partition(" ")
        if not blank:
            raise Refusal(grpc.StatusCode.INTERNAL, "")
        if name not in {"", "Local"} and name not in zoneinfo.available_timezones():
            raise _bad(f"provided bad location {name}: unknown time zone {name}")
        text = rest.strip()
    if text.startswith("@"):
        _check_descriptor(text)
        return
    fields = text.split()
    if len(fields) != len(_FIELDS):
        found = f"found {len(fields)}: [{' '.join(fields)}]"
        raise _bad(f"expected exactly {len(_FIELDS)} fields, {found}")
    for field, allowed in zip(fields, _FIELDS, strict=True):
        for expression in filter(None, field.split(",")):
            _check_range(expression, allowed)


def _bad(finding: str) -> Refusal:
    return invalid(f"Invalid cron expression: {finding}")


def _check_descriptor(text: str) -> None:
    if text.startswith(_EVERY):
        if finding := _duration_fault(text.removeprefix(_EVERY)):
            raise _bad(f"failed to parse duration {text}: {finding}")
    elif text not in _DESCRIPTORS:
        raise _bad(f"unrecognized descriptor: {text}")


def _duration_fault(text: str) -> str:
    """Return what Go has against the duration *text*; nothing if it can read it."""
    rest = text.lstrip("+-") if text[1:2] not in {"+", "-"} else text
    if rest == "0":
        return ""
    while part := _DURATION_PART.match(rest):
        unit = part[2]
        if unit not in _UNITS:
            lack = f'unknown unit "{unit}"' if unit else "missing unit"
            return f'time: {lack} in duration "{text}"'
        rest = rest[part.end() :]
        if not rest:
            return ""
    return f'time: invalid duration "{text}"'


def _check_range(expression: str, allowed: _Field) -> None:
    bounds, *steps = expression.split("/")
    first, last = _bounds(expression, bounds.split("-"), allowed)
    step = 1
    if len(steps) > 1:
        raise _bad(f"too many slashes: {expression}")
    if steps:
        step = _number(steps[0])
        # N/step goes on to the end.
        last = last if "-" in bounds else allowed.last
    if first < allowed.first:
        fault = f"beginning of range ({first}) below minimum ({allowed.first})"
    elif last > allowed.last:
        fault = f"end of range ({last}) above maximum ({allowed.last})"
    elif first > last:
        fault = f"beginning of range ({first}) beyond end of range ({last})"
    elif step == 0:
        fault = "step of range should be a positive number"
    else:
        return
    raise _bad(f"{fault}: {expression}")


def _bounds(expression: str, ends: list[str], allowed: _Field) -> tuple[int, int]:
    if ends[0] in {"*", "?"}:
        return allowed.first, allowed.last
    first = _number(ends[0], allowed.names)
    if len(ends) > 2:  # noqa: PLR2004 - the two ends of a range
        raise _bad(f"too many hyphens: {expression}")
    return first, _number(ends[-1], allowed.names)


def _number(text: str, names: Mapping[str, int] | None = None) -> int:
    if names and (named := names.get(text.lower())) is not None:
        return named
    if not _INTEGER.fullmatch(text):
        raise _bad(
            f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
        )
    number = int(text)
    if not -_INT64 <= number < _INT64:
        fault = "value out of range"
        raise _bad(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": {fault}')
    if number < 0:
        raise _bad(f"negative number ({number}) not allowed: {text}")
    return number
