"""
Each slot is owed the verdict that follows from what the scheduler did with it.

The scheduler that is played here is as simple as can be: it has a list of slots, is down at times,
loses a call now and then, and heeds a concurrency policy. What became of each slot it writes down.
The exporter, which sees nothing but executions, must come to the same.

Some things no execution tells. Nothing is claimed of them but that each slot without a run is
counted, and once:

- Whether a slot to which a catch-up came, under a policy, had been skipped in its time as well; see
  rule 5 of `track.verdicts`. By that rule, who runs for such a slot counts from that slot on, so
  that others between it and its launch, which were lost, are taken for skipped.
- When the first slot of a rate was, before anything ran. So here the first one always runs.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import cycle
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.schedules import Cron, Rate, Schedule
from exporter.model.time import SECOND, Micros
from tests.track.test_schedules import Admin

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WATCHED = 60 * _HOUR
_CATCH_UP = 45 * _MINUTE

_BEGINS = (
    ("UTC", datetime(2026, 9, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, 6, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 6, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC)),
)
"""Zones, and when the exporter begins: where clocks are changed, on the day before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A launch plan and what befalls it. All times are in seconds.

    Attributes:
        schedule: Its schedule.
        begin: When the exporter sees it first.
        slots: Those of its schedule from then on. The first and the last one always run.
        at_once: While so many run, slots are skipped; None where none are.
        down: When the scheduler is down, from and to.
        pace: What it takes to catch up on one slot; on all of them, three quarters of an hour.
        lost: Places of slots for which the call fails.
        lasts: How long executions run, in turn.
        by_hand: When somebody launches one besides.
        polls: From one to the next.
    """

    schedule: Schedule
    begin: int
    slots: Sequence[int]
    at_once: int | None
    down: Sequence[tuple[int, int]]
    pace: int
    lost: frozenset[int]
    lasts: Sequence[int]
    by_hand: Sequence[int]
    polls: int


class Run(NamedTuple):
    """An execution; without a slot if somebody launched it by hand."""

    slot: int | None
    made: int
    end: int


class Verdict(Enum):
    """What is owed to a slot."""

    RAN = auto()
    MISSED = auto()
    SKIPPED = auto()
    EITHER = auto()
    """Missed or skipped: no execution tells."""


_hours = st.sampled_from([range(24), range(24), range(0, 24, 2), (1, 2, 3), (2,)])
_minutes = st.lists(st.integers(0, 50 * 60), max_size=3, unique=True)
_outages = st.sampled_from([(), ((5, 6),), ((5, 12),), ((5, 31),), ((4, 7), (12, 21))])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a launch plan with a cron line or a rate, and its fate."""
    zone, start = draw(st.sampled_from(_BEGINS))
    begin, clock = int(start.timestamp()), ZoneInfo(zone)
    schedule: Schedule
    slots: Sequence[int]
    if draw(st.booleans()):
        minutes, hours = draw(st.sampled_from([(0,), (30,), (0, 30)])), draw(_hours)
        fields = " ".join(",".join(map(str, values)) for values in (minutes, hours))
        schedule = Cron(f"CRON_TZ={zone} {fields} * * *")
        slots = []
        for instant in range(begin + 30 * _MINUTE, begin + _WATCHED, 30 * _MINUTE):
            shown = datetime.fromtimestamp(instant, clock)
            if shown.minute in minutes and shown.hour in hours:
                slots.append(instant)
    else:
        period = draw(st.sampled_from([20 * _MINUTE, _HOUR, 3 * _HOUR]))
        schedule = Rate(timedelta(seconds=period))
        first = begin + draw(st.integers(1, period // _MINUTE - 1)) * _MINUTE + 37
        slots = range(first, begin + _WATCHED, period)
    lasts = st.sampled_from([1, 1, 10, 50, 90, 200])
    # By their seconds, nothing ends at the instant at which a slot is due.
    return Case(
        schedule=schedule,
        begin=begin,
        slots=slots,
        at_once=draw(st.sampled_from([None, None, 1, 2])),
        down=[(begin + a * _HOUR, begin + b * _HOUR) for a, b in draw(_outages)],
        pace=draw(st.sampled_from([20, 600])),
        lost=draw(st.frozensets(st.integers(0, 100), max_size=8)),
        lasts=[n * _MINUTE + 33 for n in draw(st.lists(lasts, min_size=1, max_size=5))],
        by_hand=[begin + n * _MINUTE + 15 for n in draw(_minutes)],
        polls=draw(st.sampled_from([7, 20, 61])) * _MINUTE,
    )


def calls(case: Case) -> Iterator[tuple[int, int]]:
    """Yield when the scheduler sees to which slot: in its time, or once it is up again."""
    for slot in case.slots:
        when = slot
        for begin, end in case.down:
            if begin <= slot < end:
                before = sum(begin <= other < slot for other in case.slots)
                when = end + 10 + min(before * case.pace, _CATCH_UP)
        yield when, slot


def play(case: Case) -> tuple[list[Run], dict[int, Verdict]]:
    """Return what runs, and what became of each slot."""
    lasts = cycle(case.lasts)
    runs = [Run(None, made, made + next(lasts)) for made in case.by_hand]
    verdicts = {}
    for made, slot in sorted(calls(case)):
        running = sum(run.made <= made < run.end for run in runs)
        if slot in {case.slots[0], case.slots[-1]}:
            verdict = Verdict.RAN
        elif case.at_once is not None and running >= case.at_once:
            verdict = Verdict.SKIPPED if made == slot else Verdict.EITHER
        elif case.slots.index(slot) in case.lost:
            late_under_a_policy = case.at_once is not None and made != slot
            verdict = Verdict.EITHER if late_under_a_policy else Verdict.MISSED
        else:
            verdict = Verdict.RAN
        if verdict is Verdict.RAN:
            runs.append(Run(slot, made, made + next(lasts)))
        verdicts[slot] = verdict
    return runs, verdicts


def owed(case: Case, runs: Sequence[Run], verdicts: dict[int, Verdict]) -> dict[int, Verdict]:
    """Return *verdicts* as they can be told from *runs* by who polls."""
    found = dict(verdicts)
    for run in runs:
        if run.slot is None:
            continue
        if case.at_once is not None:
            hidden = [slot for slot in case.slots if run.slot <= slot < run.made]
            found |= {slot: Verdict.EITHER for slot in hidden if found[slot] is Verdict.MISSED}
        before = range(case.begin, run.made, case.polls)
        if before[-1] >= run.slot + _DAY:
            # Nobody waits longer than a day.
            found[run.slot] = Verdict.MISSED if case.at_once is None else Verdict.EITHER
    return found


@settings(max_examples=150, deadline=None)
@given(cases())
def test_each_slot_has_the_verdict_that_it_is_owed(case: Case) -> None:
    """Under downtime and catch-up, policies, lost calls, changes of the clock and lazy polls."""
    runs, verdicts = play(case)
    admin = Admin(case.schedule, Micros(case.begin * SECOND), case.at_once)
    for run in runs:
        slot = None if run.slot is None else Micros(run.slot * SECOND)
        lasts = timedelta(seconds=run.end - run.made)
        admin.run(slot, created=Micros(run.made * SECOND + 20_000), lasts=lasts)
    # By then, the last slot's run has settled all.
    end = case.slots[-1] + _HOUR + _MINUTE
    for instant in [*range(case.begin, end, case.polls), end]:
        admin.poll(Micros(instant * SECOND))
    expected = Counter(owed(case, runs, verdicts).values())
    missed, skipped = admin.counted
    either = expected[Verdict.EITHER]
    assert missed + skipped == len(case.slots) - expected[Verdict.RAN]
    assert expected[Verdict.MISSED] <= missed <= expected[Verdict.MISSED] + either
    assert expected[Verdict.SKIPPED] <= skipped <= expected[Verdict.SKIPPED] + either
