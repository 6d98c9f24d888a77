"""
How launch plans keep their schedules, as /metrics has it.

Flyte's scheduler is played by the test: it launches an execution for a slot, or does not.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from exporter.config.settings import SchedulesSettings
from exporter.metrics.labelling import Labelling
from exporter.model.executions import Mode, Phase
from exporter.model.renaming import Renaming
from exporter.model.schedules import Cron, Rate, Timetable
from exporter.model.targets import Target
from exporter.model.time import EPOCH, SECOND, Micros
from exporter.sim.executions import ExecutionKey
from tests import page
from tests.rig import ManualClock, Rig, failure
from tests.rows import at

T = Target("etl", "production")
NIGHTLY = 'project="etl",domain="production",launch_plan="nightly"'
HOUR = 3600


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a process that shows what it counts at once, on 1 September."""
    return Rig(tmp_path, hold=timedelta(), clock=ManualClock(at("09-01 00:00")))


def watch(rig: Rig, **timetables: Timetable) -> None:
    """Have discovery find these launch plans active."""
    rig.poller(T).set_timetables(timetables, at("12-31 00:00"))


def launch(
    rig: Rig,
    slot: Micros,
    *,
    created: Micros | None = None,
    lasts: float | None = 60,
    launch_plan: str = "nightly",
) -> ExecutionKey:
    """Have the scheduler launch an execution for *slot*."""
    made = Micros(slot + 10_000) if created is None else created
    key = rig.launch(
        T,
        f"f{launch_plan}{slot}",
        launch_plan=launch_plan,
        mode=Mode.SCHEDULED,
        created_at=made,
        scheduled_at=slot,
    )
    rig.admin.executions.move(key, Phase.RUNNING, at=made, received_at=made)
    if lasts is not None:
        finish(rig, key, Micros(made + round(lasts * SECOND)))
    return key


def finish(rig: Rig, key: ExecutionKey, ended: Micros) -> None:
    """Have an execution succeed."""
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=ended, received_at=ended)


async def poll_at(rig: Rig, instant: Micros) -> None:
    """Poll at *instant*, and show what has been held back long enough."""
    rig.clock.instant = instant
    await rig.poll(T)
    await rig.upkeep.release()


def shown(rig: Rig) -> Mapping[str, float]:
    """Return all samples about schedules."""
    samples = (
        line.rpartition(" ")
        for line in page.lines(rig.exposition)
        if line.startswith(("flyte_launch_plan_schedule_", "flyte_execution_schedule_"))
    )
    return {name: float(value) for name, _, value in samples}


def kept(rig: Rig) -> tuple[float | None, ...]:
    """Return what `nightly` has: last due, next due, last run, missed, skipped."""
    gauges = (f"{name}_timestamp_seconds" for name in ("last_due", "next_due", "last_run"))
    names = (*gauges, "missed_total", "skipped_total")
    return tuple(rig.metric(f"flyte_launch_plan_schedule_{name}{{{NIGHTLY}}}") for name in names)


def seconds(text: str) -> float:
    """Return an instant as Prometheus has it."""
    return at(text) / SECOND


async def test_a_month_of_a_daily_schedule(rig: Rig) -> None:
    """Of thirty nights two are missed and one is late: the exposition at the end of it is known."""
    watch(rig, nightly=Timetable(Cron("0 2 * * *")))
    await rig.poll(T)
    await rig.poll(T)
    for night in range(1, 31):
        slot = at(f"09-{night:02} 02:00")
        if night == 17:
            # The scheduler was down and catches up.
            launch(rig, slot, created=at("09-17 02:40"))
        elif night not in {9, 10}:
            launch(rig, slot)
        await poll_at(rig, Micros(slot + 150 * SECOND))
        if night == 12:
            rig.restart()
            watch(rig, nightly=Timetable(Cron("0 2 * * *")))
        await poll_at(rig, Micros(slot + HOUR * SECOND))
    target = 'project="etl",domain="production"'
    delay = "flyte_execution_schedule_delay_seconds"
    plan = "flyte_launch_plan_schedule"
    bounds = (1, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400, float("inf"))
    edges = [f"{bound:.1f}" if bound < 1e6 else "+Inf" for bound in bounds]
    last, following = seconds("09-30 02:00"), seconds("10-01 02:00")
    expected = {
        f"{plan}_missed_total{{{NIGHTLY}}}": 2.0,
        f"{plan}_skipped_total{{{NIGHTLY}}}": 0.0,
        **{
            f'{delay}_bucket{{{target},le="{edge}"}}': 27.0 if bound < 2400 else 28.0
            for bound, edge in zip(bounds, edges, strict=True)
        },
        f"{delay}_sum{{{target}}}": 2400.27,
        f"{delay}_count{{{target}}}": 28.0,
        f"{plan}_last_due_timestamp_seconds{{{NIGHTLY}}}": last,
        f"{plan}_next_due_timestamp_seconds{{{NIGHTLY}}}": following,
        f"{plan}_last_run_timestamp_seconds{{{NIGHTLY}}}": last,
    }
    assert shown(rig) == pytest.approx(expected)


async def test_a_scheduler_that_was_down_for_three_slots(rig: Rig) -> None:
    """They are overdue while it is down, and none was missed once it has caught up."""
    watch(rig, nightly=Timetable(Cron("0 * * * *")))
    await rig.poll(T)
    await rig.poll(T)
    launch(rig, at("09-01 01:00"))
    await poll_at(rig, at("09-01 01:02:30"))
    await poll_at(rig, at("09-01 04:20"))
    one = seconds("09-01 01:00")
    assert kept(rig) == (seconds("09-01 04:00"), seconds("09-01 05:00"), one, 0, 0)
    for hour in (2, 3, 4):
        launch(rig, at(f"09-01 {hour:02}:00"), created=at("09-01 04:30"))
    await poll_at(rig, at("09-01 04:30:30"))
    four, five = seconds("09-01 04:00"), seconds("09-01 05:00")
    assert kept(rig) == (four, five, four, 0, 0)
    launch(rig, at("09-01 05:00"))
    await poll_at(rig, at("09-01 05:10"))
    assert kept(rig) == (five, seconds("09-01 06:00"), five, 0, 0)
    delay = 'flyte_execution_schedule_delay_seconds_{}{{project="etl",domain="production"{}}}'
    assert rig.metric(delay.format("count", "")) == 5
    assert rig.metric(delay.format("bucket", ',le="1.0"')) == 2


async def test_slots_are_skipped_under_a_concurrency_policy(rig: Rig) -> None:
    """There is no row for them and nothing is overdue, also across a restart in between."""
    policy = Timetable(Cron("0 * * * *"), at_once=1)
    watch(rig, nightly=policy)
    await rig.poll(T)
    await rig.poll(T)
    long = launch(rig, at("09-01 01:00"), lasts=None)
    await poll_at(rig, at("09-01 01:02:30"))
    await poll_at(rig, at("09-01 02:02:30"))
    one = seconds("09-01 01:00")
    assert kept(rig) == (one, seconds("09-01 03:00"), one, 0, 0)
    finish(rig, long, at("09-01 03:30"))
    await poll_at(rig, at("09-01 03:30:10"))
    rig.restart()
    watch(rig, nightly=policy)
    launch(rig, at("09-01 04:00"))
    await poll_at(rig, at("09-01 04:05"))
    four, five = seconds("09-01 04:00"), seconds("09-01 05:00")
    assert kept(rig) == (four, five, four, 0, 0)
    await poll_at(rig, at("09-01 05:00:30"))
    assert kept(rig) == (four, seconds("09-01 06:00"), four, 0, 2)


async def test_a_new_activation_owes_nothing_of_the_past(rig: Rig) -> None:
    """Nothing is due until a slot a minute after the first sight; the counters are there at 0."""
    await rig.poll(T)
    await poll_at(rig, at("09-01 10:00"))
    assert shown(rig) == {}
    watch(rig, nightly=Timetable(Cron("1 10 * * *")))
    await poll_at(rig, at("09-01 10:00:30"))
    assert kept(rig) == (None, seconds("09-01 10:01"), None, 0, 0)
    assert rig.metric(f'flyte_executions_active{{{NIGHTLY},phase="RUNNING"}}') == 0
    await poll_at(rig, at("09-01 10:05"))
    assert kept(rig) == (None, seconds("09-02 10:01"), None, 0, 0)
    await poll_at(rig, at("09-02 10:03"))
    due = seconds("09-02 10:01")
    assert kept(rig) == (due, seconds("09-03 10:01"), None, 0, 0)


async def test_the_clocks_of_a_zone_change(tmp_path: Path) -> None:
    """Half past two in Berlin, from the day before the clocks go forward to the day after."""
    rig = Rig(tmp_path, hold=timedelta(), clock=ManualClock(at("03-28 00:00")))
    watch(rig, nightly=Timetable(Cron("CRON_TZ=Europe/Berlin 30 2 * * *")))
    await rig.poll(T)
    await rig.poll(T)
    launch(rig, at("03-28 01:30"))
    await poll_at(rig, at("03-28 12:00"))
    one = seconds("03-28 01:30")
    assert kept(rig) == (one, seconds("03-30 00:30"), one, 0, 0)
    launch(rig, at("03-30 00:30"))
    await poll_at(rig, at("03-30 12:00"))
    two = seconds("03-30 00:30")
    assert kept(rig) == (two, seconds("03-31 00:30"), two, 0, 0)


async def test_a_fixed_rate_goes_on_after_the_scheduler_restarts(rig: Rig) -> None:
    """It counts from the newest run, also that of before we were there."""
    launch(rig, at("08-31 23:20"))
    watch(rig, nightly=Timetable(Rate(timedelta(hours=1))))
    await rig.poll(T)
    await rig.poll(T)
    assert kept(rig) == (None, seconds("09-01 00:20"), seconds("08-31 23:20"), 0, 0)
    launch(rig, at("09-01 00:20"))
    # The scheduler restarts and has lost when it last ran.
    launch(rig, at("09-01 01:45"))
    launch(rig, at("09-01 02:45"))
    await poll_at(rig, at("09-01 02:50"))
    two = seconds("09-01 02:45")
    assert kept(rig) == (two, seconds("09-01 03:45"), two, 0, 0)
    launch(rig, at("09-01 05:45"))
    await poll_at(rig, at("09-01 05:50"))
    five = seconds("09-01 05:45")
    assert kept(rig) == (five, seconds("09-01 06:45"), five, 0, 0)
    await poll_at(rig, at("09-01 06:45:30"))
    assert kept(rig) == (five, seconds("09-01 07:45"), five, 2, 0)


async def test_the_newest_run_is_learnt_at_a_cold_start(rig: Rig) -> None:
    """From anywhere within scrape.lookback: a night's run is seen by whoever starts at noon."""
    launch(rig, at("08-31 02:00"))
    watch(rig, nightly=Timetable(Cron("0 2 * * *")))
    await poll_at(rig, at("08-31 22:00"))
    await poll_at(rig, at("08-31 22:00:30"))
    assert kept(rig) == (None, seconds("09-01 02:00"), seconds("08-31 02:00"), 0, 0)


async def test_deactivated_takes_its_gauges_and_leaves_its_counters(rig: Rig) -> None:
    """Nothing is due of a launch plan that is off; what it missed stays counted."""
    watch(rig, nightly=Timetable(Cron("0 * * * *")))
    await rig.poll(T)
    await rig.poll(T)
    launch(rig, at("09-01 02:00"))
    await poll_at(rig, at("09-01 03:00:30"))
    assert kept(rig)[3:] == (1, 0)
    watch(rig)
    await poll_at(rig, at("09-01 03:01"))
    assert kept(rig) == (None, None, None, 1, 0)


async def test_a_start_waits_for_a_listing_before_it_calls_a_slot_missed(rig: Rig) -> None:
    """What the ledger has of launch plans may be over; but nobody waits longer than a day."""
    hourly = {"nightly": Timetable(Cron("0 * * * *"))}
    rig.poller(T).set_timetables(hourly, at("09-01 00:00"))
    await rig.poll(T)
    await rig.poll(T)
    rig.restart()
    rig.poller(T).set_timetables(hourly, EPOCH)
    await poll_at(rig, at("09-03 12:30"))
    noon = seconds("09-03 12:00")
    assert kept(rig) == (noon, seconds("09-03 13:00"), None, 0, 0)
    # It was listed once more, with another schedule.
    rig.poller(T).set_timetables({"nightly": Timetable(Cron("30 1 * * *"))}, at("09-03 12:31"))
    await poll_at(rig, at("09-03 12:31"))
    assert kept(rig)[3:] == (0, 0)
    # Nothing is listed any more: a day later its slots are taken as they were.
    await poll_at(rig, at("09-05 01:31"))
    assert kept(rig)[3:] == (1, 0)


async def test_a_schedule_that_comes_back_while_it_is_taken_down_is_judged(rig: Rig) -> None:
    """A listing may be complete just while the poll writes what the one before has changed."""
    hourly = Timetable(Cron("0 * * * *"))
    watch(rig, nightly=hourly)
    await rig.poll(T)
    await rig.poll(T)

    async def activated(what: str) -> None:
        if what == "after commit":
            watch(rig, nightly=hourly)

    watch(rig)
    rig.at_await = activated
    await poll_at(rig, at("09-01 00:02"))
    rig.at_await = rig.nothing_happens
    await poll_at(rig, at("09-01 00:03"))
    launch(rig, at("09-01 02:00"))
    await poll_at(rig, at("09-01 03:00:30"))
    two = seconds("09-01 02:00")
    assert kept(rig) == (two, seconds("09-01 04:00"), two, 1, 0)


async def test_a_schedule_that_went_while_we_were_away_owes_nothing(rig: Rig) -> None:
    """Another process finds the launch plan off; when it is back, it is a new activation."""
    hourly = Timetable(Cron("0 * * * *"))
    watch(rig, nightly=hourly)
    await rig.poll(T)
    await rig.poll(T)
    rig.restart()
    watch(rig)
    await poll_at(rig, at("09-01 05:30"))
    assert kept(rig) == (None, None, None, 0, 0)
    watch(rig, nightly=hourly)
    await poll_at(rig, at("09-01 05:31"))
    launch(rig, at("09-01 06:00"))
    await poll_at(rig, at("09-01 06:10"))
    six = seconds("09-01 06:00")
    assert kept(rig) == (six, seconds("09-01 07:00"), six, 0, 0)


async def test_nothing_is_judged_by_a_poll_that_failed(rig: Rig) -> None:
    """As long as Admin does not answer, nobody knows what ran; then all of it counts."""
    watch(rig, nightly=Timetable(Cron("0 * * * *")))
    await rig.poll(T)
    await rig.poll(T)

    async def unreachable(what: str) -> None:
        if what == "ListExecutions":
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = unreachable
    for hour in (1, 2, 3):
        launch(rig, at(f"09-01 {hour:02}:00"))
        with pytest.raises(Exception, match="UNAVAILABLE"):
            await poll_at(rig, at(f"09-01 {hour:02}:10"))
    assert kept(rig)[0] is None
    rig.at_await = rig.nothing_happens
    await poll_at(rig, at("09-01 03:10"))
    three = seconds("09-01 03:00")
    assert kept(rig) == (three, seconds("09-01 04:00"), three, 0, 0)


async def test_slots_that_are_too_many_for_one_poll_are_judged_by_the_next(rig: Rig) -> None:
    """A poll ends in time, also after weeks without us; no slot is counted twice or not at all."""
    names = [f"p{number}" for number in range(60)]
    watch(rig, **{name: Timetable(Cron("0 * * * *")) for name in names})
    await rig.poll(T)
    await rig.poll(T)
    for name in names:
        launch(rig, at("09-01 05:00"), launch_plan=name)
    commits = 0

    async def slow(what: str) -> None:
        nonlocal commits
        if what == "before commit":
            commits += 1
            rig.clock.advance(40)

    rig.at_await = slow
    rig.clock.instant = at("09-01 06:00:30")
    counted: list[float] = []
    for _ in range(4):
        commits = 0
        await rig.poll(T)
        assert commits <= 4
        totals = rig.totals()
        counted.append(sum(totals[key] for key in totals if key[0].endswith("missed_total")))
    assert 0 < counted[0] < counted[-1] == 4 * len(names)


@pytest.mark.parametrize("steps", range(10))
async def test_killed_anywhere_a_slot_is_counted_once(rig: Rig, steps: int) -> None:
    """Missed and skipped slots are in the transaction that knows their verdict."""
    policy = {"nightly": Timetable(Cron("0 * * * *"), at_once=1)}
    watch(rig, **policy)
    await rig.poll(T)
    await rig.poll(T)
    launch(rig, at("09-01 03:00"), lasts=1.5 * HOUR)
    launch(rig, at("09-01 06:00"))
    rig.clock.instant = at("09-01 07:00:30")
    with rig.killed_at(steps) as death:
        await rig.poll(T)
    assert death.came is (steps < 9)
    watch(rig, **policy)
    await poll_at(rig, at("09-01 07:00:50"))
    assert kept(rig)[3:] == (3, 1)


async def test_the_newest_run_is_forgotten_in_time(rig: Rig) -> None:
    """Of a launch plan without a schedule; of one that has one, it is known for ever."""
    watch(rig, never=Timetable(Cron("0 0 1 9 *")))
    await rig.poll(T)
    await rig.poll(T)
    for launch_plan in ("nightly", "yearly"):
        launch(rig, at("09-01 00:00"), launch_plan=launch_plan)
    await poll_at(rig, at("09-01 01:00"))
    watch(rig, yearly=Timetable(Cron("0 0 1 9 *")))
    await poll_at(rig, at("10-01 00:00"))
    assert rig.ledger.target(T).schedules.keys() == {"nightly", "yearly", "never"}
    await poll_at(rig, at("10-20 00:00"))
    assert rig.ledger.target(T).schedules.keys() == {"yearly"}
    rig.restart()
    watch(rig, yearly=Timetable(Cron("0 0 1 9 *")))
    await poll_at(rig, at("10-20 00:01"))
    last_run = "flyte_launch_plan_schedule_last_run_timestamp_seconds"
    assert shown(rig)[f"{last_run}{{{NIGHTLY.replace('nightly', 'yearly')}}}"] == seconds(
        "09-01 00:00"
    )


async def test_an_idle_poll_writes_nothing(rig: Rig) -> None:
    """Between two slots a schedule costs nothing: no call and no commit."""
    watch(rig, nightly=Timetable(Cron("0 2 * * *")))
    await rig.poll(T)
    await poll_at(rig, at("09-01 00:00:30"))
    commits: list[str] = []

    async def count(what: str) -> None:
        commits.append(what)

    rig.at_await = count
    rig.calls.clear()
    await poll_at(rig, at("09-01 00:01:00"))
    assert "before commit" not in commits
    assert len(rig.calls) <= 2


async def test_the_series_limit_holds_for_schedules(tmp_path: Path) -> None:
    """What does not fit is counted under __overflow__, and gauges are left out and counted."""
    rig = Rig(tmp_path, hold=timedelta(), limit=100, clock=ManualClock(at("09-01 00:00")))
    watch(rig, **{f"p{number}": Timetable(Cron("0 * * * *")) for number in range(100)})
    await rig.poll(T)
    await rig.poll(T)
    for number in range(100):
        launch(rig, at("09-01 02:00"), launch_plan=f"p{number}")
    await poll_at(rig, at("09-01 03:00:30"))
    missed = [
        value for key, value in rig.totals().items() if key[0].endswith("schedule_missed_total")
    ]
    assert sum(missed) == 100
    assert len(missed) < 100
    left_out = "flyte_exporter_series_overflow_total"
    name = "flyte_launch_plan_schedule_next_due_timestamp_seconds"
    assert (rig.metric(f'{left_out}{{family="{name}"}}') or 0) > 0


async def test_of_launch_plans_that_share_a_name_the_late_one_speaks(tmp_path: Path) -> None:
    """What one of them misses is not hidden by the runs of the other."""
    labelling = Labelling(rules=[Renaming(r"(.*)_v\d", "$1")])
    clock = ManualClock(at("09-01 00:00"))
    rig = Rig(tmp_path, hold=timedelta(), clock=clock, labelling=labelling)
    daily = Timetable(Cron("0 6 * * *"))
    watch(rig, nightly_v1=daily, nightly_v2=Timetable(Cron("0 7 * * *")))
    await poll_at(rig, at("09-01 00:30"))
    await poll_at(rig, at("09-01 00:31"))
    for launch_plan, hour in (("nightly_v1", "06"), ("nightly_v2", "07")):
        launch(rig, at(f"09-01 {hour}:00"), launch_plan=launch_plan)
    await poll_at(rig, at("09-01 08:00"))
    due, ran = (
        f"flyte_launch_plan_schedule_{what}_timestamp_seconds{{{NIGHTLY}}}"
        for what in ("last_due", "last_run")
    )
    assert (shown(rig)[due], shown(rig)[ran]) == (at("09-01 07:00") / SECOND,) * 2
    launch(rig, at("09-02 07:00"), launch_plan="nightly_v2")
    await poll_at(rig, at("09-02 08:00"))
    assert shown(rig)[due] == at("09-02 06:00") / SECOND
    assert shown(rig)[ran] == at("09-01 06:00") / SECOND
    watch(rig, nightly_v2=Timetable(Cron("0 7 * * *")))
    await poll_at(rig, at("09-02 08:30"))
    assert shown(rig)[due] == shown(rig)[ran] == at("09-02 07:00") / SECOND
    watch(rig)
    await poll_at(rig, at("09-02 09:00"))
    assert due not in shown(rig)
    assert shown(rig)[f"flyte_launch_plan_schedule_missed_total{{{NIGHTLY}}}"] == 0
    rig.die()


def october_in_berlin(tmp_path: Path, timezone: str) -> Rig:
    """Return a process some days before clocks in Berlin are put back, on 25 October."""
    rig = Rig(
        tmp_path,
        hold=timedelta(),
        schedules=SchedulesSettings(timezone=timezone),
        clock=ManualClock(at("10-20 00:00")),
    )
    watch(rig, nightly=Timetable(Cron("0 6 * * *")))
    return rig


async def run_in_berlin(rig: Rig, *days: int) -> None:
    """Have a scheduler with the clock of Berlin launch the run of each of *days*."""
    for day in days:
        slot = at(f"10-{day} 04:00" if day < 25 else f"10-{day} 05:00")
        launch(rig, slot)
        await poll_at(rig, Micros(slot + 150 * SECOND))


@pytest.mark.parametrize(
    ("timezone", "last_due", "next_due", "missed"),
    [
        ("Europe/Berlin", "10-29 05:00", "10-30 05:00", 0),
        # The newest still waits for its verdict.
        ("UTC", "10-28 06:00", "10-29 06:00", 8),
    ],
)
async def test_a_scheduler_whose_clock_is_in_berlin(
    tmp_path: Path, timezone: str, last_due: str, next_due: str, missed: int
) -> None:
    """Whoever says so sees each run on its slot, through a change of the clock; in UTC, none is."""
    rig = october_in_berlin(tmp_path, timezone)
    await rig.poll(T)
    await rig.poll(T)
    await run_in_berlin(rig, *range(20, 30))
    last_run = seconds("10-29 05:00")
    assert kept(rig) == (seconds(last_due), seconds(next_due), last_run, missed, 0)
    rig.die()


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_zone_that_is_set_right_counts_from_then_on(tmp_path: Path, restarts: bool) -> None:
    """By a reload or a restart: what was due by the other clock is not due any more."""
    rig = october_in_berlin(tmp_path, "UTC")
    await rig.poll(T)
    await rig.poll(T)
    await run_in_berlin(rig, 20, 21, 22)
    await poll_at(rig, at("10-22 05:01"))
    assert kept(rig)[0] == seconds("10-21 06:00")
    assert kept(rig)[3] == 2
    rig.schedules = SchedulesSettings(timezone="Europe/Berlin")
    if restarts:
        rig.restart()
    else:
        rig.services = replace(rig.services, schedules=rig.schedules)
        rig.relieve()
    watch(rig, nightly=Timetable(Cron("0 6 * * *")))
    await poll_at(rig, at("10-22 07:00"))
    last_run = seconds("10-22 04:00")
    assert kept(rig) == (None, seconds("10-23 04:00"), last_run, 2, 0)
    await run_in_berlin(rig, 23, 24, 25)
    newest = seconds("10-25 05:00")
    assert kept(rig) == (newest, seconds("10-26 05:00"), newest, 2, 0)
    rig.die()
