"""What became of a target's launch plans between two complete listings."""

from collections.abc import Iterable, Mapping
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

    activated: tuple[Activation, ...]
    changed: tuple[Activation, ...]
    deactivated: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.activated or self.changed or self.deactivated)


def compare(
    known: Mapping[str, Activation], found: Iterable[ActivePlan], now: Micros
) -> Changes:
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
        activated=tuple(activated),
        changed=tuple(changed),
        deactivated=tuple(name for name in known if name not in active),
    )
