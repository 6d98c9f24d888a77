"""What became of a target's launch plans between two complete listings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.model.launch_plans import Activation, ActivePlan
from exporter.model.time import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    What is news in a listing.

    Attributes:
        activated: Seen active for the first time, or again after they were not.
        changed: Still active, but with another version, workflow or schedule.
        deactivated: Not active any more.
    """

    activated: Sequence[Activation] = ()
    changed: Sequence[Activation] = ()
    deactivated: Sequence[str] = ()

    def parts(self, size: int) -> Iterator["Changes"]:
        """Yield the same in parts of at most *size* launch plans of each kind; none of nothing."""
        most = max(len(self.activated), len(self.changed), len(self.deactivated))
        for start in range(0, most, size):
            part = slice(start, start + size)
            yield Changes(
                activated=self.activated[part],
                changed=self.changed[part],
                deactivated=self.deactivated[part],
            )


def compare(known: Mapping[str, Activation], found: Iterable[ActivePlan], now: Micros) -> Changes:
    """
    Work out what is news in a listing.

    Args:
        known: What was active before, by name.
        found: All that is active now. It must be complete: what it lacks is not active.
        now: Our clock.
    """
    active = {plan.name: plan for plan in found}
    activated: list[Activation] = []
    changed: list[Activation] = []
    for name, plan in active.items():
        before = known.get(name)
        if before is None:
            activated.append(Activation(plan, now))
        elif before.plan != plan:
            changed.append(before._replace(plan=plan))
    return Changes(
        activated=activated,
        changed=changed,
        deactivated=tuple(name for name in known if name not in active),
    )
