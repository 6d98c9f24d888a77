"""Each slot gets one verdict, and the right one: whatever the scheduler and its runs were up to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.executions import Execution, ExecutionId, Mode, Phase, Tracked
from exporter.model.schedules import (
    Cron,
    Judgement,
    Rate,
    Schedule,
    ScheduleState,
    Timetable,
)
from exporter.model.time import EPOCH, SECOND, Micros, micros
from exporter.track.schedules import Agenda, judge_all, note, outdated
from tests.rows import at

PLAN = "etl.nightly"
GRACE = timedelta(minutes=2)
_MINUTE = 60 * SECOND
_HOUR = 60 * _MINUTE


@dataclass
class Admin:
    """A launch plan's runs as Admin would list them, and what the exporter makes of them."""

    schedule: Schedule
    now: Micros
    at_once: int | None = None
    since: Micros = EPOCH
    listed: Micros | None = None
    states: dict[str, ScheduleState] = field(default_factory=dict)
    rows: list[Execution] = field(default_factory=list)
    told: set[tuple[str, bool]] = field(default_factory=set)
    totals: Counter[str] = field(default_factory=Counter)
    seen: Judgement | None = None

    def run(
        self,
        slot: str | Micros | None,
        *,
        created: str | Micros | None = None,
        lasts: timedelta | None = timedelta(seconds=30),
    ) -> None:
        """Have a run for *slot* be launched, on time if nothing else is said; None by hand."""
        due = at(slot) if isinstance(slot, str) else slot
        made = at(created) if isinstance(created, str) else created or Micros((due or 0) + 10_000)
        end = None if lasts is None else Micros(made + micros(lasts))
        self.rows.append(
            Execution(
                ExecutionId(f"f{len(self.rows)}", made),
                Phase.RUNNING if end is None else Phase.SUCCEEDED,
                Mode.MANUAL if due is None else Mode.SCHEDULED,
                PLAN,
                made,
                made if end is None else end,
                None if lasts is None else micros(lasts),
                due,
            )
        )

    def poll(self, now: str | Micros, *, active: bool = True) -> Judgement:
        """Poll once, and return what is known now."""
        self.now = at(now) if isinstance(now, str) else now
        launched, finished = [], []
        live: dict[ExecutionId, Tracked] = {}
        for row in self.rows:
            name, over = row.id.name, row.phase.is_terminal and row.updated_at <= self.now
            if row.id.created_at > self.now:
                continue
            if (name, False) not in self.told:
                launched.append(row)
            if over and (name, True) not in self.told:
                finished.append(row)
            if not over:
                phase = Phase.RUNNING if row.phase.is_terminal else row.phase
                started = row.started_at is not None
                live[row.id] = Tracked(phase, since=row.updated_at, started=started)
            self.told.update({(name, False)} | ({(name, True)} if over else set()))
        self.states |= note(self.states, launched, finished)
        timetable = Timetable(self.schedule, self.at_once, self.since) if active else None
        agenda = Agenda(
            timetables={PLAN: timetable},
            live={PLAN: live},
            at=self.now,
            sure=self.now if self.listed is None else self.listed,
            grace=GRACE,
        )
        self.seen = judge_all(self.states, agenda)[PLAN]
        self.states[PLAN] = self.seen.state
        self.totals.update(missed=self.seen.missed, skipped=self.seen.skipped)
        return self.seen

    def polls(self, until: str, *, every: timedelta = timedelta(seconds=30)) -> Judgement:
        """Poll from now on until then, whenever there is something to see."""
        end = at(until)
        again = self.now
        while (again := Micros(again + micros(every))) <= end:
            news = any(self.now < time <= again for row in self.rows for time in _times(row))
            if (
                news
                or self.seen is None
                or self.seen.again_at is None
                or again >= self.seen.again_at
            ):
                self.poll(again)
        return self.poll(end)

    @property
    def counted(self) -> tuple[int, int]:
        """Slots missed and skipped."""
        return self.totals["missed"], self.totals["skipped"]


def _times(row: Execution) -> Iterable[Micros]:
    return (row.id.created_at, row.updated_at)


def slots(start: str, end: str, every: int) -> Iterable[Micros]:
    """Return the instants from *start* up to *end*."""
    return (Micros(instant) for instant in range(at(start), at(end) + 1, every))


def test_a_month_of_nights() -> None:
    """Thirty runs on time are thirty runs, and nothing is missed at any moment of the month."""
    admin = Admin(Cron("0 2 * * *"), at("09-01 00:00"))
    for slot in slots("09-01 02:00", "09-30 02:00", 24 * _HOUR):
        admin.run(slot)
    seen = admin.polls("09-30 12:00")
    assert admin.counted == (0, 0)
    assert seen.last_due == seen.state.last_run == at("09-30 02:00")
    assert seen.next_due == at("10-01 02:00")


def test_a_slot_is_due_once_the_grace_time_is_over() -> None:
    """Two minutes after the slot, and not a second before, somebody may be told of it."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.poll("09-01 00:30")
    assert admin.poll("09-01 01:01:59.999999").last_due is None
    assert admin.poll("09-01 01:02").last_due == at("09-01 01:00")


def test_a_scheduler_that_was_down_catches_up() -> None:
    """Its three slots are overdue while it is down; when they have run late, none was missed."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 01:00")
    for slot in ("09-01 02:00", "09-01 03:00", "09-01 04:00"):
        admin.run(slot, created="09-01 04:40")
    admin.run("09-01 05:00")
    down = admin.polls("09-01 04:30")
    assert (down.last_due, down.state.last_run) == (at("09-01 04:00"), at("09-01 01:00"))
    assert admin.counted == (0, 0)
    up = admin.polls("09-01 08:00:30")
    assert up.last_due == at("09-01 07:00")
    assert admin.counted == (0, 0)


def test_a_slot_is_missed_once_a_later_one_has_run_an_hour_ago() -> None:
    """So long it may take the scheduler to come back for this one."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 01:00")
    admin.run("09-01 04:00")
    admin.polls("09-01 05:00")
    assert admin.counted == (0, 0)
    admin.polls("09-01 05:00:30")
    assert admin.counted == (2, 0)


def test_rows_that_come_in_any_order_are_no_slots_missed() -> None:
    """A catch-up's earlier slot may be listed after its later one."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 03:00", created="09-01 03:20")
    admin.run("09-01 01:00", created="09-01 03:20:40")
    admin.run("09-01 02:00", created="09-01 03:21:30")
    admin.polls("09-01 04:00")
    assert admin.counted == (0, 0)


def test_live_slots_run_before_those_that_are_caught_up() -> None:
    """A scheduler that was down for an hour comes to this launch plan after eight minutes."""
    admin = Admin(Cron("* * * * *"), at("09-01 00:30"))
    for slot in slots("09-01 00:31", "09-01 00:59", _MINUTE):
        admin.run(slot)
    for slot in slots("09-01 02:00", "09-01 04:00", _MINUTE):
        admin.run(slot)
    missed = list(slots("09-01 01:00", "09-01 01:59", _MINUTE))
    for number, slot in enumerate(missed):
        if number != 40:
            admin.run(slot, created=Micros(at("09-01 02:08") + number * 10_000))
    seen = admin.polls("09-01 02:04:30")
    assert seen.last_due == at("09-01 02:02")
    assert seen.state.last_run == at("09-01 02:04")
    assert seen.next_due == at("09-01 02:05")
    admin.polls("09-01 02:59:30")
    assert admin.counted == (0, 0)
    # But for the one that it did not launch.
    seen = admin.polls("09-01 04:00:30")
    assert admin.counted == (1, 0)
    # What was kept for it is gone.
    assert len(seen.state.runs) <= 3


def test_a_call_that_is_repeated_holds_up_its_slot_alone() -> None:
    """While Admin refuses one, those before and after it run in their time, and it was no miss."""
    admin = Admin(Cron("* * * * *"), at("09-01 00:30"))
    for slot in slots("09-01 00:32", "09-01 03:00", _MINUTE):
        late = 27 * _MINUTE if slot == at("09-01 01:00") else 10_000
        admin.run(slot, created=Micros(slot + late))
    admin.polls("09-01 03:00")
    assert admin.counted == (0, 0)


def test_a_slot_that_waits_holds_up_nothing_that_is_shown() -> None:
    """What ran after it and what is due next is told meanwhile, by the newest run."""
    admin = Admin(Rate(timedelta(minutes=10)), at("09-01 00:00"))
    for slot in ("09-01 00:10", "09-01 00:20", "09-01 00:47", "09-01 00:57", "09-01 01:07"):
        admin.run(slot)
    seen = admin.polls("09-01 01:00")
    assert admin.counted == (0, 0)
    assert (seen.last_due, seen.next_due) == (at("09-01 00:57"), at("09-01 01:07"))
    seen = admin.polls("09-01 01:20")
    assert (seen.last_due, seen.next_due) == (at("09-01 01:17"), at("09-01 01:27"))
    admin.polls("09-01 01:50")
    assert admin.counted == (1, 0)


def test_a_slot_that_waits_does_not_hide_what_ran_after_it() -> None:
    """Nor that under a policy the slots after that are skipped."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00")
    # Nothing for 2, and the run for 3 is still there at 4 and 5.
    admin.run("09-01 03:00", created="09-01 04:30", lasts=timedelta(hours=1))
    seen = admin.polls("09-01 05:05")
    assert (seen.last_due, seen.state.last_run) == (at("09-01 03:00"), at("09-01 03:00"))
    assert admin.counted == (0, 0)
    assert admin.polls("09-01 06:02").last_due == at("09-01 06:00")
    assert admin.counted == (1, 0)
    admin.run("09-01 07:00")
    admin.polls("09-01 08:00:30")
    assert admin.counted == (2, 2)


def test_a_slot_that_was_free_is_due_though_those_after_it_are_skipped() -> None:
    """Somebody's run is in the way of the newest one, and was not there at the one before."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00")
    admin.run(None, created="09-01 02:50", lasts=timedelta(minutes=90))
    assert admin.polls("09-01 04:05").last_due == at("09-01 02:00")


def test_a_verdict_is_due_without_any_news() -> None:
    """An hour after the later run, be the next slot ever so far away."""
    admin = Admin(Cron("0 */12 * * *"), at("09-01 00:30"))
    admin.run("09-02 00:00", created="09-02 00:00")
    assert admin.polls("09-02 00:10").again_at == at("09-02 01:00")
    assert admin.counted == (0, 0)
    assert admin.poll("09-02 01:00").missed == 1


def test_nobody_waits_longer_than_a_day() -> None:
    """A scheduler that never comes back misses every slot, and each is counted once."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.polls("09-02 00:59")
    assert admin.counted == (0, 0)
    admin.polls("09-02 03:00")
    assert admin.counted == (3, 0)


def test_a_run_that_comes_after_the_verdict_takes_nothing_back() -> None:
    """Counters never decrease; what has run at last is seen from the newest run."""
    admin = Admin(Cron("0 6 * * *"), at("09-01 00:30"))
    admin.run("09-01 06:00", created="09-03 09:00")
    admin.run("09-02 06:00", created="09-03 09:00")
    admin.run("09-03 06:00", created="09-03 09:00")
    admin.polls("09-03 08:59")
    assert admin.counted == (2, 0)
    seen = admin.polls("09-03 12:00")
    assert admin.counted == (2, 0)
    assert seen.state.last_run == seen.last_due == at("09-03 06:00")


def test_slots_are_skipped_while_a_run_takes_long() -> None:
    """Under its concurrency policy there is no row for them, and nobody is told of them."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", lasts=timedelta(hours=2, minutes=30))
    admin.run("09-01 04:00")
    late = admin.polls("09-01 03:50")
    assert (late.last_due, late.state.last_run) == (at("09-01 01:00"), at("09-01 01:00"))
    admin.polls("09-01 05:00:30")
    assert admin.counted == (0, 2)


def test_without_a_policy_a_run_excuses_nothing() -> None:
    """Flyte would have launched another beside it: the slots were missed."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 01:00", lasts=timedelta(hours=2, minutes=30))
    admin.run("09-01 04:00")
    assert admin.polls("09-01 03:20").last_due == at("09-01 03:00")
    admin.polls("09-01 05:00:30")
    assert admin.counted == (2, 0)


def test_a_policy_that_allows_two_excuses_nothing_while_one_runs() -> None:
    """Flyte counts who is there: only where there are as many as are allowed is a slot skipped."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=2)
    admin.run("09-01 01:00", lasts=timedelta(hours=5))
    # At 2 one was there, so that slot was missed; at 4 and 5 there were two.
    admin.run("09-01 03:00", lasts=timedelta(hours=2, minutes=30))
    assert admin.polls("09-01 02:30").last_due == at("09-01 02:00")
    assert admin.polls("09-01 05:20").last_due == at("09-01 03:00")
    admin.run("09-01 07:00")
    admin.polls("09-01 08:00:30")
    assert admin.counted == (2, 2)


def test_a_run_by_hand_makes_the_scheduler_skip() -> None:
    """Whoever launched it, the launch plan is busy, and until the end of it only."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run(None, created="09-01 00:50", lasts=timedelta(minutes=20))
    admin.run("09-01 03:00")
    admin.polls("09-01 04:00:30")
    assert admin.counted == (1, 1)


def test_a_catch_up_under_a_policy_skips_what_it_cannot_run() -> None:
    """The first of three slots runs late; the others are tried while it runs, and are skipped."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", created="09-01 03:20", lasts=timedelta(minutes=10))
    admin.run("09-01 04:00")
    assert admin.polls("09-01 03:19").last_due == at("09-01 03:00")
    running = admin.polls("09-01 03:25")
    assert running.last_due == running.state.last_run == at("09-01 01:00")
    over = admin.polls("09-01 03:45")
    assert over.last_due == over.state.last_run == at("09-01 01:00")
    admin.polls("09-01 05:00:30")
    assert admin.counted == (0, 2)


def test_a_run_that_never_ends_excuses_every_slot() -> None:
    """What is wrong then is the run, and that is told by its age."""
    admin = Admin(Cron("*/10 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 00:40", lasts=None)
    seen = admin.polls("09-02 02:00:30")
    assert seen.last_due == at("09-01 00:40")
    assert admin.counted == (0, 8)


def test_who_waits_excuses_nothing() -> None:
    """Flyte counts it once it runs: until then the scheduler would have launched another."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", lasts=None)
    admin.rows[0] = admin.rows[0]._replace(phase=Phase.UNDEFINED, started_at=None)
    admin.run("09-01 04:00")
    assert admin.polls("09-01 03:30").last_due == at("09-01 03:00")
    admin.polls("09-01 05:00:30")
    assert admin.counted == (2, 0)


def test_who_is_queued_excuses_as_long_as_it_is() -> None:
    """Flyte counts it; once it is over without a start, nothing says any more that it was."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", lasts=None)
    queued = admin.rows[0]._replace(phase=Phase.QUEUED, started_at=None)
    admin.rows[0] = queued
    assert admin.polls("09-01 02:30").last_due == at("09-01 01:00")
    admin.rows[0] = queued._replace(phase=Phase.ABORTED, updated_at=at("09-01 02:40"))
    assert admin.polls("09-01 02:50").last_due == at("09-01 02:00")
    # One verdict comes while the next one waits.
    admin.run("09-01 03:00", lasts=None)
    admin.rows[1] = admin.rows[1]._replace(phase=Phase.QUEUED, started_at=None)
    admin.run("09-01 05:00")
    admin.polls("09-01 06:00:30")
    assert admin.counted == (1, 1)


@pytest.mark.parametrize("phase", [Phase.ABORTING, Phase.FAILING])
def test_who_is_being_stopped_excuses_what_was_due_before(phase: Phase) -> None:
    """It may take for ever, and Flyte does not wait for it."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", lasts=None)
    admin.rows[0] = admin.rows[0]._replace(phase=phase, updated_at=at("09-01 02:30"))
    admin.run("09-01 05:00")
    assert admin.polls("09-01 03:30").last_due == at("09-01 03:00")
    admin.polls("09-01 06:00:30")
    assert admin.counted == (2, 1)


def test_what_never_ran_excused_nothing() -> None:
    """Aborted in the queue, after hours: the slots meanwhile were free."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), at_once=1)
    admin.run("09-01 01:00", lasts=timedelta(hours=2, minutes=30))
    admin.rows[0] = admin.rows[0]._replace(phase=Phase.ABORTED, started_at=None)
    admin.run("09-01 04:00")
    admin.polls("09-01 05:00:30")
    assert admin.counted == (2, 0)


def test_a_new_activation_owes_nothing_of_the_past() -> None:
    """The slots before it, and in the first minute, are nobody's."""
    admin = Admin(Cron("* * * * *"), at("09-01 00:30:10"))
    admin.poll("09-01 00:30:10")
    admin.run("09-01 00:33")
    seen = admin.polls("09-01 00:40")
    assert seen.last_due == at("09-01 00:38")
    assert seen.state.since == at("09-01 00:31:10")
    admin.polls("09-01 01:33:30")
    assert admin.counted == (1, 0)


def test_a_new_schedule_begins_anew() -> None:
    """Slots of the old one are not owed any more, and the newest run stays known."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 01:00")
    admin.polls("09-01 03:30")
    admin.schedule = Cron("30 5 * * *")
    admin.run("09-01 05:30")
    seen = admin.polls("09-02 00:00")
    assert admin.counted == (0, 0)
    assert seen.last_due == seen.state.last_run == at("09-01 05:30")


def test_deactivated_is_forgotten_but_for_the_newest_run() -> None:
    """Nothing is due any more, and what was open stays open."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.run("09-01 01:00")
    admin.polls("09-01 03:30")
    seen = admin.poll("09-01 04:00", active=False)
    assert seen == Judgement(ScheduleState(last_run=at("09-01 01:00")))
    admin.poll("09-05 00:30")
    admin.run("09-05 01:00")
    admin.polls("09-05 01:30")
    assert admin.counted == (0, 0)


def test_the_newest_run_is_kept_for_35_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many, for those that ran last; of who has a schedule, for ever."""
    states = {
        "never": ScheduleState(),
        "yearly": ScheduleState(last_run=at("01-01 00:00"), schedule="@yearly"),
        "new": ScheduleState(schedule="@yearly"),
        "old": ScheduleState(last_run=at("09-01 00:00")),
        "older": ScheduleState(last_run=at("08-31 23:59:59")),
    }
    now = at("10-06 00:00")
    assert outdated(states, now) == ["never", "older"]
    monkeypatch.setattr("exporter.track.schedules.MOST_OVER", 1)
    assert outdated(states, at("09-02 00:00")) == ["never", "older"]
    assert outdated({**states, "newest": states["old"]._replace(last_run=now)}, now) == [
        "never",
        "older",
        "old",
    ]


def test_a_slot_without_a_run_waits_for_a_listing_after_it() -> None:
    """Whether the launch plan was to run then, only a listing knows; a run needs no such word."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"))
    admin.poll("09-01 00:30")
    admin.listed = at("09-01 01:59")
    admin.run("09-01 01:00")
    admin.run("09-01 03:00")
    assert admin.polls("09-01 03:30").last_due == at("09-01 03:00")
    admin.polls("09-01 04:00:30")
    assert admin.counted == (0, 0)
    admin.listed = at("09-01 04:01")
    admin.polls("09-01 04:01:30")
    assert admin.counted == (1, 0)


def test_an_activation_owes_nothing_of_the_time_before_it() -> None:
    """Off and on again between two polls, or for the months in which its project was archived."""
    admin = Admin(Cron("0 * * * *"), at("09-01 00:30"), since=at("09-01 00:30"))
    admin.polls("09-01 03:30")
    admin.since = at("09-05 00:30")
    admin.run("09-05 02:00")
    seen = admin.poll("09-05 02:10")
    assert admin.counted == (0, 0)
    assert seen.state.since == at("09-05 02:11")
    # A listing may be newer than what the poll has seen.
    admin.since = at("09-05 02:15")
    assert admin.poll("09-05 02:14").state.since == at("09-05 02:16")


def test_a_clock_that_is_put_forward_owes_no_slot() -> None:
    """There is no half past two in Berlin on 29 March."""
    admin = Admin(Cron("CRON_TZ=Europe/Berlin 30 2 * * *"), at("03-27 12:00"))
    admin.run("03-28 01:30")
    admin.run("03-30 00:30")
    admin.run("03-31 00:30")
    seen = admin.polls("03-31 06:00")
    assert admin.counted == (0, 0)
    assert seen.last_due == at("03-31 00:30")


def test_a_clock_that_is_put_back_owes_two() -> None:
    """Half past one comes twice in New York on 1 November, and so does the run."""
    admin = Admin(Cron("TZ=America/New_York 30 1 * * *"), at("10-31 12:00"))
    admin.run("11-01 05:30")
    admin.run("11-02 06:30")
    admin.polls("11-02 07:00")
    assert admin.counted == (1, 0)


def test_a_fixed_rate_counts_from_its_runs() -> None:
    """A scheduler that restarts moves all later slots, and has missed none by that."""
    admin = Admin(Rate(timedelta(hours=1)), at("09-01 00:00"))
    admin.poll("09-01 00:00")
    admin.run("09-01 01:00:07.250000")
    for slot in ("09-01 02:00:07", "09-01 03:00:07", "09-01 04:20:30", "09-01 05:20:30"):
        admin.run(slot)
    seen = admin.polls("09-01 06:00")
    assert admin.counted == (0, 0)
    assert seen.last_due == seen.state.last_run == at("09-01 05:20:30")
    assert seen.next_due == at("09-01 06:20:30")


def test_a_fixed_rate_misses_whole_periods() -> None:
    """Between two runs three hours and a half apart, two of an hourly rate are lacking."""
    admin = Admin(Rate(timedelta(hours=1)), at("09-01 00:00"))
    admin.poll("09-01 00:00")
    admin.run("09-01 01:00")
    admin.run("09-01 04:30")
    down = admin.polls("09-01 04:00")
    assert (down.last_due, down.state.last_run) == (at("09-01 03:00"), at("09-01 01:00"))
    admin.polls("09-01 05:30:30")
    assert admin.counted == (2, 0)


def test_a_fixed_rate_that_has_been_running_counts_from_its_last_run() -> None:
    """At a cold start, the newest run that was listed says when the next one is due."""
    admin = Admin(Rate(timedelta(hours=6)), at("09-01 02:00"))
    admin.run("09-01 00:00")
    seen = admin.poll("09-01 02:00")
    assert seen.next_due == at("09-01 06:00")
    admin.run("09-01 12:00")
    assert admin.polls("09-01 11:00").last_due == at("09-01 06:00")
    admin.polls("09-01 13:00:30")
    assert admin.counted == (1, 0)


def test_a_rate_within_a_cron_line_is_a_rate() -> None:
    """`@every` counts from its runs as well."""
    admin = Admin(Cron("@every 90m"), at("09-01 00:00"))
    admin.poll("09-01 00:00")
    admin.run("09-01 01:31:10")
    admin.run("09-01 03:01:10")
    seen = admin.polls("09-01 04:00")
    assert admin.counted == (0, 0)
    assert seen.next_due == at("09-01 04:31:10")


def test_an_exporter_that_was_down_misses_nothing() -> None:
    """All runs of the month are listed before any slot is judged, in steps that take no time."""
    admin = Admin(Cron("*/5 * * * *"), at("09-01 00:02"))
    admin.poll("09-01 00:02")
    for slot in slots("09-01 00:05", "09-30 23:55", 5 * _MINUTE):
        if slot != at("09-15 12:00"):
            admin.run(slot)
    rounds = 1
    seen = admin.poll("10-01 00:00")
    while seen.again_at == admin.now:
        seen = admin.poll("10-01 00:00")
        rounds += 1
    assert admin.counted == (1, 0)
    assert rounds > 15
    assert seen.last_due == at("09-30 23:55")


def test_many_runs_that_are_kept_leave_less_time_for_others() -> None:
    """A go ends in time also where each of many launch plans has run each second for an hour."""
    admin = Admin(Cron("@every 1s"), at("09-01 00:00"))
    admin.poll("09-01 00:00")
    for slot in slots("09-01 00:01:02", "09-01 01:00:00", SECOND):
        if slot != at("09-01 00:01:10"):
            admin.run(slot)
    seen = admin.poll("09-01 01:00")
    while seen.again_at == admin.now:
        seen = admin.poll("09-01 01:00")
    assert (admin.counted, len(seen.state.runs) > 3500) == ((0, 0), True)
    names = [f"p{number}" for number in range(25)]
    agenda = Agenda(
        timetables=dict.fromkeys(names, Timetable(admin.schedule)),
        live={},
        at=admin.now,
        sure=admin.now,
        grace=GRACE,
    )
    assert 0 < len(judge_all(dict.fromkeys(names, seen.state), agenda)) < 5


def test_a_line_that_nobody_can_read_has_no_slots() -> None:
    """Flyte refuses to activate it; should it be there, it does no harm."""
    admin = Admin(Cron("0 25 * * *"), at("09-01 00:00"))
    seen = admin.polls("09-03 00:00")
    assert (seen.last_due, seen.next_due, admin.counted) == (None, None, (0, 0))


@given(
    st.lists(st.none() | st.just(0) | st.integers(0, 68 * 60), min_size=1, max_size=60),
    st.lists(st.integers(1, 40 * 60), max_size=5),
)
def test_every_slot_has_one_verdict(delays: list[int | None], looks: list[int]) -> None:
    """However late runs are and however often we look: slots without one are counted, once each."""
    admin = Admin(Cron("*/10 * * * *"), at("09-01 00:01"))
    admin.poll("09-01 00:01")
    first = at("09-01 00:10")
    for number, seconds in enumerate(delays):
        slot = Micros(first + number * 10 * _MINUTE)
        if seconds is not None:
            # Before a run for a slot after it has been there for an hour.
            admin.run(slot, created=Micros(slot + seconds * SECOND + 20_000))
    # The last one settles all of them.
    last = Micros(first + len(delays) * 10 * _MINUTE)
    admin.run(last)
    for look in sorted({Micros(at("09-01 00:01") + number * 15 * SECOND) for number in looks}):
        admin.poll(look)
        # The same question again: nothing new.
        again = admin.poll(look)
        assert (again.missed, again.skipped) == (0, 0)
    admin.poll(Micros(max(last, admin.now) + _HOUR + _MINUTE))
    assert admin.counted == (delays.count(None), 0)
