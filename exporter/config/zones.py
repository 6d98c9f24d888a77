"""The time zone of a clock, by the name that IANA has for it."""

from difflib import get_close_matches
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from exporter.config.values import Expected, unfit
from exporter.model.time import time_zone

_ALIKE = 0.87
"""Two names are the same but for a slip of the pen; CEST is not EST."""


def read_time_zone(value: str) -> str:
    """Read the name of a time zone."""
    try:
        time_zone(value)
    except ValueError as error:
        raise _unknown(value) from error
    if value not in _zones():
        # Of the machine that we run on, or by a clock that counts leap seconds.
        raise _unknown(value)
    return value


def _zones() -> set[str]:
    return available_timezones() - {"Factory", "localtime"}


def _unknown(name: str) -> PydanticCustomError:
    meant = _meant(name)
    return unfit(advice=f'write "{meant}"' if meant else "")


def _meant(name: str) -> str | None:
    """Return the zone of the place that *name* was meant to name; None if nobody can tell."""
    zones = {
        _place(zone): zone
        for zone in sorted(_zones())
        # GMT+1 is called Etc/GMT-1 there.
        if not zone.startswith("Etc/")
    }
    near = get_close_matches(_place(name), zones, n=1, cutoff=_ALIKE)
    return zones[near[0]] if near else None


def _place(zone: str) -> str:
    return zone.rpartition("/")[2].replace(" ", "_").lower()


TimeZone = Annotated[
    str,
    AfterValidator(read_time_zone),
    Expected('the name of a time zone, such as "Europe/Berlin"'),
]
