"""What became of a request to read the configuration again."""

from enum import Enum
from typing import NamedTuple

from exporter.model.time import Micros


class ReloadOutcome(Enum):
    """How a reload ended; in all cases but the first, what was there before goes on."""

    DONE = "done"
    REFUSED = "refused"
    """There is something wrong with the configuration."""
    FAILED = "failed"
    """It is good, but it could not be put into effect."""
    STOPPING = "stopping"
    """The exporter is about to end."""


class Reload(NamedTuple):
    """How a reload ended, and what a person is told about it."""

    outcome: ReloadOutcome
    text: str


class TurnedDown(NamedTuple):
    """A configuration that was read and did not come into effect: when, and why, in lines."""

    at: Micros
    text: str
