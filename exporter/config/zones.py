"""The time zone of a clock, by the name that IANA has for it."""

from difflib import get_close_matches
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

from exporter.config.values import Expected, unfit
from exporter.model.time import time_zone

_ALIKE = 0.87
"""Two names are the same but for a slip of the pen; CEST is not EST."""


def read_time_zone(value: str) -> str:
    """Read the name of a time zone."""
    try:
        time_zone(value)
    except ValueError as error:
        meant = _meant(value)
        raise unfit(advice=f'write "{meant}"' if meant else "") from error
    return value


def _meant(name: str) -> str | None:
    """Return the zone of the place that *name* was meant to name; None if nobody can tell."""
    zones = {
        _place(zone): zone
        for zone in sorted(available_timezones())
        # GMT+1 is called Etc/GMT-1 there, and the local time is that of another machine.
        if not zone.startswith("Etc/") and zone != "localtime"
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
