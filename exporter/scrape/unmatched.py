"""
Patterns that match no launch plan: one with a typo in it would be no alert, and nobody would know.

A pattern is judged as soon as it is known of all targets that it names which launch plans there
are. One that names no target, because that is excluded perhaps, matches none of its launch plans.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from exporter.model.targets import Target
from exporter.scrape import patterns
from exporter.scrape.backlog import Backlog
from exporter.scrape.norms import NormsOf
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_ADVICE = (
    "compare it with project, domain and launch_plan on /metrics and correct it, or take it out:"
    " until it matches, nothing comes of it, and no alert"
)


class Rule(NamedTuple):
    """A pattern, and the setting that has it."""

    setting: str
    pattern: str


class Unmatched:
    """
    Tells of patterns that match no launch plan: once, and once more when they do.

    Args:
        norms: Has those of `freshness` and `expected_duration`.
        backlog: Has those of `tasks.match`, if there are any.
    """

    def __init__(self, norms: NormsOf, backlog: Backlog | None) -> None:
        self._norms = norms
        self._backlog = backlog
        self._told: set[Rule] = set()

    async def look(self, known: Mapping[Target, Collection[str] | None]) -> None:
        """
        Tell what is news.

        Args:
            known: Of every target that is scraped the launch plans that are active or have run, by
                the names that they have on /metrics; None while they are not known.
        """
        for rule in self._rules():
            # What ran as a child of another execution has its tasks counted, and nothing else.
            matches = self._was_used(rule) or patterns.names_any(rule.pattern, known)
            if matches is False and rule not in self._told:
                self._told.add(rule)
                log.warning("pattern matches no launch plan", **rule._asdict(), advice=_ADVICE)
            elif matches and rule in self._told:
                self._told.remove(rule)
                log.info("pattern matches a launch plan now", **rule._asdict())
            # Some milliseconds, where there are thousands of launch plans.
            await asyncio.sleep(0)

    def _rules(self) -> list[Rule]:
        """Return all of them, each once."""
        found = [
            Rule(setting, each) for setting, some in self._norms.patterns.items() for each in some
        ]
        if self._backlog is not None:
            found += [Rule("tasks.match", pattern) for pattern in self._backlog.patterns]
        return list(dict.fromkeys(found))

    def _was_used(self, rule: Rule) -> bool:
        backlog = self._backlog
        return (
            rule.setting == "tasks.match" and backlog is not None and rule.pattern in backlog.used
        )
