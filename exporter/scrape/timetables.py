"""When the schedules of one target's launch plans are to be looked at again."""

from collections.abc import Callable, Collection, Iterable, Mapping

from exporter.model.schedules import Judgement, Timetable
from exporter.model.time import EPOCH, Micros


class Timetables:
    """The timetables of a target, and when time alone will have moved one of them on."""

    def __init__(self, label: Callable[[str], str]) -> None:
        """Take launch plans that have one *label* for one where they are shown."""
        self._label = label
        self._judged: dict[str, dict[str, Judgement]] = {}
        self._known: Mapping[str, Timetable] = {}
        self._again: dict[str, Micros] = {}
        self._first: Micros | None = None

    def replace(self, timetables: Mapping[str, Timetable]) -> None:
        """Take over the active launch plans that have a schedule; what is new is due at once."""
        names = {*self._known, *timetables}
        self._hurry(name for name in names if self._known.get(name) != timetables.get(name))
        self._known = dict(timetables)

    def revise(self, launch_plans: Iterable[str]) -> None:
        """Have all timetables looked at, and those of *launch_plans*, which may be over."""
        self._hurry({*self._known, *launch_plans})

    def touch(self, launch_plans: Iterable[str]) -> None:
        """Have the timetables of *launch_plans*, as far as they have one, looked at."""
        self._hurry(name for name in launch_plans if name in self._known)

    def due(self, now: Micros, most: int) -> dict[str, Timetable | None]:
        """Return timetables to look at, no more than *most*; None for one that is over."""
        if self._first is None:
            self._first = min(self._again.values(), default=None)
        if self._first is None or self._first > now:
            return {}
        names = [name for name, at in self._again.items() if at <= now][:most]
        return {name: self._known.get(name) for name in names}

    def looked_at(self, judged: Mapping[str, Judgement]) -> list[str]:
        """Take note of what was made of timetables that were due; return the labels of these."""
        for launch_plan, judgement in judged.items():
            self._judged.setdefault(self._label(launch_plan), {})[launch_plan] = judgement
            if not judgement.state.schedule:
                del self._judged[self._label(launch_plan)][launch_plan]
            if judgement.again_at is None:
                self._again.pop(launch_plan, None)
            else:
                self._again[launch_plan] = judgement.again_at
        self._first = None
        return list(dict.fromkeys(map(self._label, judged)))

    def judgements_of(self, label: str) -> Collection[Judgement]:
        """Return what was made last of the timetables of launch plans that have *label*."""
        return self._judged.get(label, {}).values()

    def _hurry(self, launch_plans: Iterable[str]) -> None:
        """Have *launch_plans* be due at once."""
        self._again.update(dict.fromkeys(launch_plans, EPOCH))
        self._first = None
