"""What is asked of each launch plan: what somebody configured, and what its schedule says."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from exporter.config.settings import PlanDuration
from exporter.model.launch_plans import NoPlanFacts, Norms, PlanFacts
from exporter.model.targets import Target
from exporter.scrape import patterns


class NormsOf:
    """Says of a launch plan what is asked of it."""

    def __init__(
        self,
        *,
        freshness: Sequence[PlanDuration] = (),
        expected_duration: Sequence[PlanDuration] = (),
        facts: PlanFacts | None = None,
    ) -> None:
        self.facts: PlanFacts = facts or NoPlanFacts()
        """What discovery knows; whoever discovers launch plans puts it here."""
        self._freshness = freshness
        self._expected_duration = expected_duration

    @property
    def patterns(self) -> Mapping[str, Sequence[str]]:
        """The patterns of what somebody configured, by the setting."""
        return {
            "freshness": [rule.match for rule in self._freshness],
            "expected_duration": [rule.match for rule in self._expected_duration],
        }

    def __call__(self, target: Target, launch_plan: str) -> Norms:
        """Return the norms of *launch_plan*, by the name that it has on /metrics."""
        return Norms(
            expected_duration=_first(self._expected_duration, target, launch_plan),
            freshness=_first(self._freshness, target, launch_plan),
            period=self.facts.period(target, launch_plan),
        )


def _first(rules: Sequence[PlanDuration], target: Target, launch_plan: str) -> timedelta | None:
    """Return the limit of the first of *rules* that matches."""
    for rule in rules:
        if patterns.names(rule.match, target, launch_plan):
            return rule.limit
    return None
