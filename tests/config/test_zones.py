"""Which names of time zones are taken."""

import pytest
from pydantic_core import PydanticCustomError

from exporter.config.zones import read_time_zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Etc/GMT-1", "America/Argentina/Ushuaia"])
def test_names_that_iana_has(name: str) -> None:
    """They are kept as they are written."""
    assert read_time_zone(name) == name


@pytest.mark.parametrize(
    "name", ["", "berlin", "GMT+1", "Factory", "localtime", "right/Europe/Berlin", "../UTC"]
)
def test_names_of_no_clock_that_a_scheduler_has(name: str) -> None:
    """Also those that a machine may have files for: of itself, or of clocks with leap seconds."""
    with pytest.raises(PydanticCustomError):
        read_time_zone(name)
