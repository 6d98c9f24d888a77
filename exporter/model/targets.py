"""A target is one project and domain that we scrape."""

from typing import NamedTuple


class Target(NamedTuple):
    """One (project, domain), the unit of scraping, of failure and of counting."""

    project: str
    domain: str

    def __str__(self) -> str:
        return f"{self.project}/{self.domain}"
