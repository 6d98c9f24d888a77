"""One poll: what it asks, what it counts, and what it does when it is cut off."""

import contextlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest

from exporter.admin.errors import AdminError, RowTooLarge
from exporter.ledger.errors import LedgerError
from exporter.model.executions import Mode, Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros, from_datetime, rfc3339
from exporter.scrape.inquiry import PollTimeout
from tests.rig import Rig, failure

T = Target("etl", "production")
OTHER = Target("ml", "production")
LAUNCHED = "flyte_executions_launched_total"
FINISHED = "flyte_executions_finished_total"
MANUAL = Mode.MANUAL.name


async def primed(rig: Rig, *targets: Target) -> None:
    """Have the rig know *targets*, and let a moment pass."""
    for target in targets or (T,):
        await rig.poll(target)
    rig.clock.advance(30)


def slow_down(rig: Rig, seconds: float) -> None:
    """Have every list take that long from now on."""

    async def slow(what: str) -> None:
        if what == "ListExecutions":
            rig.clock.advance(seconds)

    rig.at_await = slow


def run_to_end(rig: Rig, name: str, phase: Phase = Phase.SUCCEEDED) -> None:
    """Launch *name* on T and have it finish at once."""
    key = rig.launch(T, name)
    now = rig.clock.now()
    rig.admin.executions.move(key, Phase.RUNNING, at=now)
    rig.admin.executions.move(key, phase, at=Micros(now + 5 * SECOND), received_at=now)


def rows_read(rig: Rig, step: str) -> float:
    """Return how many rows a step has read."""
    return rig.metric(f'flyte_exporter_poll_rows_total{{step="{step}"}}') or 0


async def test_born_and_finished_between_two_polls(rig: Rig) -> None:
    """An execution that no poll ever saw alive is counted as launched, started and finished."""
    await primed(rig)
    run_to_end(rig, "quick")
    await rig.poll(T)
    totals = rig.totals()
    assert totals[LAUNCHED, *T, "plan", MANUAL] == 1
    assert totals[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1
    assert totals["flyte_executions_started_total", *T] == 1
    assert totals["flyte_execution_duration_seconds", *T, "plan"] == 1


async def test_cold_start_counts_nothing_that_is_over(rig: Rig) -> None:
    """What is over at a cold start is not counted; what is not over is counted when it is."""
    run_to_end(rig, "old")
    key = rig.launch(T, "running")
    await rig.poll(T)
    assert sum(rig.totals().values()) == 0
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
    rig.clock.advance(30)
    await rig.poll(T)
    totals = rig.totals()
    assert totals[FINISHED, *T, "plan", MANUAL, "FAILED"] == 1
    assert totals[LAUNCHED, *T, "plan", MANUAL] == 0


async def test_row_within_the_overlap_is_counted_without_a_reconcile(rig: Rig) -> None:
    """A row that Admin wrote half a minute late, behind younger ones, is found by the next poll."""
    await primed(rig, T, OTHER)
    rig.launch(T, "late", visible_at=Micros(rig.clock.now() + 30 * SECOND))
    rig.clock.advance(20)
    rig.launch(T, "younger")
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 1
    rig.clock.advance(30)
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 2
    assert rows_read(rig, "reconcile") == 0


async def test_row_later_than_the_overlap_is_a_correction(rig: Rig) -> None:
    """A row that appears long after its creation time is counted by the reconcile, and said so."""
    await primed(rig, T, OTHER)
    late = Micros(rig.clock.now() + 20 * 60 * SECOND)
    key = rig.launch(T, "late", visible_at=late)
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    rig.clock.advance(19 * 60)
    rig.launch(OTHER, "elsewhere")  # carries every cursor past the late row's creation
    await rig.poll(OTHER)
    await rig.poll(T)
    assert rig.totals().get((FINISHED, *T, "plan", MANUAL, "SUCCEEDED"), 0) == 0
    rig.clock.advance(11 * 60)
    await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="late"}') == 1
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 0


async def test_live_row_older_than_the_window_is_a_correction(rig: Rig) -> None:
    """An execution that appears hours late, still running, is found by the list of live ones."""
    await primed(rig, T)
    late = Micros(rig.clock.now() + 5 * 3600 * SECOND)
    key = rig.launch(T, "very-late", visible_at=late)
    rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
    rig.clock.advance(4 * 3600)
    rig.launch(T, "fresh")
    await rig.poll(T)
    rig.clock.advance(2 * 3600)
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 2
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 1


async def test_launch_during_a_reconcile_is_no_correction(rig: Rig) -> None:
    """What the next poll would have seen anyway was not missed."""
    await primed(rig)
    rig.clock.advance(700)
    asked = 0

    async def at_await(what: str) -> None:
        nonlocal asked
        asked += what == "ListExecutions"
        if what == "ListExecutions" and asked == 2:
            rig.launch(T, "meanwhile")

    rig.at_await = at_await
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 1
    for reason in ("late", "missed"):
        sample = f'flyte_exporter_reconcile_corrections_total{{reason="{reason}"}}'
        assert rig.metric(sample) == 0


async def test_more_rows_on_one_instant_than_a_page(make_rig: Callable[..., Rig]) -> None:
    """Executions of one timestamp are all counted, however many pages they take."""
    rig = make_rig(page_size=4)
    await primed(rig)
    for number in range(11):
        rig.launch(T, f"tie-{number}")
    rig.clock.advance(1)
    rig.launch(T, "after")
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 12


async def test_ends_beside_live_ones_of_one_old_instant_stay_forgotten(
    make_rig: Callable[..., Rig],
) -> None:
    """Draining an instant of live executions does not dig up those of it that ended long ago."""
    rig = make_rig(page_size=3)
    keys = [rig.launch(T, f"tie-{number}") for number in range(6)]
    rig.admin.executions.move(keys[0], Phase.SUCCEEDED, at=rig.clock.now())
    rig.clock.advance(4 * 3600)
    for _ in range(3):
        await rig.poll(T)
        rig.clock.advance(700)
    assert sum(rig.totals().values()) == 0
    assert rig.poller(T).live == 5


async def test_backlog_longer_than_the_deadline(make_rig: Callable[..., Rig]) -> None:
    """Each poll that runs out of time leaves the backlog shorter, until nothing is left."""
    rig = make_rig(page_size=5, poll_timeout=timedelta(seconds=10))
    await primed(rig)
    for number in range(60):
        rig.launch(T, f"run-{number}")
        rig.clock.advance(1)

    slow_down(rig, 3)
    counted: list[float] = [0]
    while counted[-1] < 60:
        with pytest.raises(PollTimeout):
            await rig.poll(T)
        counted.append(rig.totals()[LAUNCHED, *T, "plan", MANUAL])
        assert counted[-1] > counted[-2], "every poll makes progress"
    assert len(counted) > 3


async def test_row_late_behind_a_list_that_took_long_is_no_correction(
    make_rig: Callable[..., Rig],
) -> None:
    """Late by less than the overlap, it is counted once the list ends, however many polls later."""
    rig = make_rig(
        page_size=6, poll_timeout=timedelta(seconds=10), reconcile_interval=timedelta(hours=1)
    )
    await primed(rig)
    rig.launch(T, "late", visible_at=Micros(rig.clock.now() + 90 * SECOND))
    for number in range(40):
        run_to_end(rig, f"run-{number}")
        rig.clock.advance(1)

    slow_down(rig, 4)
    cut_off = 0
    for _ in range(30):
        rig.clock.advance(25)
        try:
            await rig.poll(T)
        except PollTimeout:
            cut_off += 1
        else:
            break
    assert 5 < cut_off < 25, "longer than the overlap"
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 41
    rig.at_await = rig.nothing_happens
    rig.clock.advance(3600)
    await rig.poll(T)
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="late"}') == 0
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 0


async def test_row_late_behind_a_list_that_a_crash_ended_is_no_correction(
    make_rig: Callable[..., Rig],
) -> None:
    """The cursor goes no further than what is settled, so that the next process looks again."""
    rig = make_rig(page_size=6, poll_timeout=timedelta(seconds=10))
    await primed(rig)
    rig.launch(T, "late", visible_at=Micros(rig.clock.now() + 90 * SECOND))
    for number in range(10):
        run_to_end(rig, f"run-{number}")
        rig.clock.advance(1)

    asked = 0

    async def slow(what: str) -> None:
        nonlocal asked
        if what == "ListExecutions":
            asked += 1
            run_to_end(rig, f"a-{rig.clock.now()}")
            rig.clock.advance(2)
            run_to_end(rig, f"b-{rig.clock.now()}")
            rig.clock.advance(2)

    rig.at_await = slow
    for _ in range(7):
        with pytest.raises(PollTimeout):
            await rig.poll(T)
        rig.clock.advance(25)
    rig.at_await = rig.nothing_happens
    rig.restart()
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 11 + 2 * asked
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="late"}') == 0
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 0


async def test_row_late_behind_a_long_priming_is_no_correction(
    make_rig: Callable[..., Rig],
) -> None:
    """The first list of all may take longer than the overlap, too."""
    rig = make_rig(page_size=5)
    await rig.poll(OTHER)
    late = rig.launch(T, "late", visible_at=Micros(rig.clock.now() + 100 * SECOND))
    rig.admin.executions.move(late, Phase.SUCCEEDED, at=rig.clock.now())
    for number in range(50):
        rig.launch(T, f"run-{number}")
        rig.clock.advance(1)

    async def slow(what: str) -> None:
        if what == "ListExecutions":
            rig.launch(T, f"meanwhile-{rig.clock.now()}")
            rig.clock.advance(30)

    rig.at_await = slow
    await rig.poll(T)
    rig.at_await = rig.nothing_happens
    for _ in range(3):
        await rig.poll(T)
        rig.clock.advance(700)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="late"}') == 0
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 0


async def test_runs_of_thousands_of_launch_plans_are_committed_in_parts(
    tmp_path: Path,
) -> None:
    """At midnight a whole company runs: no part of that keeps the event loop for long."""
    rig = Rig(tmp_path, limit=100_000, hold=timedelta())
    await primed(rig)
    for number in range(2500):
        rig.launch(T, f"x{number}", launch_plan=f"plan-{number}")
    commits = 0

    async def count(what: str) -> None:
        nonlocal commits
        commits += what == "before commit"

    rig.at_await = count
    await rig.poll(T)
    assert commits == 3
    launched = [total for series, total in rig.totals().items() if series[0] == LAUNCHED]
    assert launched == [1] * 2500
    active = 'flyte_executions_active{project="etl",domain="production",launch_plan="plan-2499"'
    assert rig.metric(f'{active},phase="UNDEFINED"}}') == 1
    # All of it is known now: nothing is counted again.
    rig.restart()
    await rig.poll(T)
    assert [total for series, total in rig.totals().items() if series[0] == LAUNCHED] == launched
    rig.die()


async def test_levels_are_shown_while_a_backlog_is_worked_off(
    make_rig: Callable[..., Rig],
) -> None:
    """What is active is seen poll by poll, also when none of them comes to its end."""
    rig = make_rig(page_size=5, poll_timeout=timedelta(seconds=10))
    await primed(rig)
    for number in range(60):
        rig.launch(T, f"run-{number}")
        rig.clock.advance(1)

    active = (
        'flyte_executions_active{project="etl",domain="production",launch_plan="plan",'
        'phase="UNDEFINED"}'
    )
    slow_down(rig, 3)
    shown: list[float] = [0]
    for turn in range(4):
        if turn == 2:
            rig.restart()
        with pytest.raises(PollTimeout):
            await rig.poll(T)
        shown.append(rig.metric(active) or 0)
        assert shown[-1] == rig.totals()[LAUNCHED, *T, "plan", MANUAL]
    assert 0 < shown[1] < shown[2] == shown[3] <= shown[4]


async def test_levels_are_not_shown_before_admin_said_anything(rig: Rig) -> None:
    """After a start, what was once active is not shown as if it were known to be so now."""
    await primed(rig)
    rig.launch(T, "running")
    await rig.poll(T)
    rig.restart()

    async def down(what: str) -> None:
        if what == "ListExecutions":
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = down
    with pytest.raises(AdminError):
        await rig.poll(T)
    active = (
        'flyte_executions_active{project="etl",domain="production",launch_plan="plan",'
        'phase="UNDEFINED"}'
    )
    assert rig.metric(active) is None


async def test_live_set_larger_than_the_deadline(make_rig: Callable[..., Rig]) -> None:
    """However slow Admin is, every live execution gets its turn."""
    rig = make_rig(page_size=5, poll_timeout=timedelta(seconds=10))
    keys = [rig.launch(T, f"run-{number}") for number in range(40)]
    await primed(rig)
    rig.clock.advance(600)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)
    await rig.poll(T)
    for key in keys:
        rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())

    slow_down(rig, 3)
    for _ in range(6):
        with contextlib.suppress(PollTimeout):
            await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "FAILED"] == 40


async def test_live_set_larger_than_the_deadline_that_lives_on(
    make_rig: Callable[..., Rig],
) -> None:
    """The last of a large live set is asked about as often as the first, poll after poll."""
    rig = make_rig(page_size=5, poll_timeout=timedelta(seconds=12))
    keys = [rig.launch(T, f"run-{number}") for number in range(30)]
    rig.launch(T, "un+speakable")  # is asked for by itself, so no pass over the lists has it
    await primed(rig)
    rig.clock.advance(600)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)
    await rig.poll(T)

    slow_down(rig, 3)
    for number, key in enumerate(reversed(keys), start=1):
        rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
        for _ in range(6):
            with contextlib.suppress(PollTimeout):
                await rig.poll(T)
        assert rig.totals()[FINISHED, *T, "plan", MANUAL, "FAILED"] == number
        if number == 10:
            break


async def test_flaky_admin_does_not_stop_a_backlog(make_rig: Callable[..., Rig]) -> None:
    """Where every few calls fail, each poll still leaves less to do than it found."""
    rig = make_rig(page_size=5)
    await primed(rig)
    for number in range(100):
        rig.launch(T, f"run-{number}")
        rig.clock.advance(0.5)
    asked = 0

    async def flaky(what: str) -> None:
        nonlocal asked
        asked += what == "ListExecutions"
        if what == "ListExecutions" and asked % 15 == 0:
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = flaky
    for _ in range(5):
        rig.clock.advance(30)
        with contextlib.suppress(AdminError):
            await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 100


async def test_poll_cut_off_half_way_changes_nothing(make_rig: Callable[..., Rig]) -> None:
    """A list that fails in the middle of an instant leaves the ledger byte for byte as it was."""
    rig = make_rig(page_size=2)
    await primed(rig)
    for number in range(7):
        rig.launch(T, f"tie-{number}")
    before = (rig.totals(), rig.ledger.target(T))
    asked = 0

    async def third_call_fails(what: str) -> None:
        nonlocal asked
        asked += what == "ListExecutions"
        if asked == 3:
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = third_call_fails
    with pytest.raises(AdminError, match="UNAVAILABLE"):
        await rig.poll(T)
    assert (rig.totals(), rig.ledger.target(T)) == before
    rig.at_await = rig.nothing_happens
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 7


async def test_idle_target_reads_no_more_after_an_hour(rig: Rig) -> None:
    """An idle target's window moves along with the others: it never reaches further back."""
    await primed(rig, T, OTHER)
    for number in range(120):
        rig.launch(OTHER, f"busy-{number}")
        rig.clock.advance(30)
        await rig.poll(OTHER)
        rig.calls.clear()
        await rig.poll(T)
        windows = [
            request.filters
            for method, request in rig.calls
            if method == "ListExecutions" and request.filters.startswith("gte(")
        ]
        assert windows
    first_bound = windows[0].partition(",")[2].partition(")")[0]
    reach = rig.clock.now() - _micros(first_bound)
    assert reach <= (120 + 30 + 30) * SECOND


async def test_idle_poll_asks_once_and_writes_nothing(rig: Rig) -> None:
    """A target where nothing happens costs one call, with live executions two, and no write."""
    await primed(rig)
    await rig.poll(T)
    writes = 0

    async def count(what: str) -> None:
        nonlocal writes
        writes += what == "before commit"

    rig.at_await = count
    rig.calls.clear()
    rig.clock.advance(30)
    await rig.poll(T)
    assert ([method for method, _ in rig.calls], writes) == (["ListExecutions"], 0)
    rig.launch(T, "live")
    rig.clock.advance(30)
    await rig.poll(T)
    rig.clock.advance(300)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)
    await rig.poll(T)
    rig.calls.clear()
    writes = 0
    await rig.poll(T)
    assert ([method for method, _ in rig.calls], writes) == (["ListExecutions"] * 2, 0)


@pytest.mark.parametrize("page_size", [3, 100])
async def test_what_the_list_shows_is_not_asked_about(
    make_rig: Callable[..., Rig], page_size: int
) -> None:
    """A live execution that the window shows, over or not, costs no row of the live set's list."""
    rig = make_rig(page_size=page_size)
    await primed(rig)
    await rig.poll(T)
    keys = []
    for number in range(10):
        keys.append(rig.launch(T, f"live{number}"))
        rig.clock.advance(1)
    await rig.poll(T)
    for key in keys[::2]:
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    rig.clock.advance(10)
    await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 5
    assert rows_read(rig, "live") == 0


async def test_vanished_only_after_two_reconciles(rig: Rig) -> None:
    """A deleted live execution stays active until two reconciles have missed it; it never ends."""
    await primed(rig)
    key = rig.launch(T, "doomed")
    await rig.poll(T)
    active = (
        'flyte_executions_active{project="etl",domain="production",launch_plan="plan",'
        'phase="UNDEFINED"}'
    )
    rig.admin.executions.delete(key)
    for expected in (1, 0):
        for _ in range(3):
            rig.clock.advance(30)
            await rig.poll(T)
            assert rig.metric(active) == 1
        rig.clock.advance(600)
        await rig.poll(T)
        assert rig.metric(active) == expected
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="vanished"}') == 1
    assert all(v == 0 for (family, *_), v in rig.totals().items() if family == FINISHED)


async def test_absent_row_is_asked_for_by_name_only_once(rig: Rig) -> None:
    """A thousand deleted rows do not cost a thousand calls at every poll."""
    await primed(rig)
    key = rig.launch(T, "doomed")
    await rig.poll(T)
    rig.admin.executions.delete(key)
    asked = []
    for _ in range(4):
        rig.clock.advance(30)
        rig.calls.clear()
        await rig.poll(T)
        asked.append([m for m, _ in rig.calls].count("GetExecution"))
    assert sum(asked) == 1


async def test_page_too_large_is_halved_until_it_fits(make_rig: Callable[..., Rig]) -> None:
    """A page over the receive limit is asked for again with fewer rows, and nothing is lost."""
    rig = make_rig(page_size=64)
    await primed(rig)
    for number in range(100):
        rig.launch(T, f"large-{number}")
        rig.clock.advance(1)

    async def refuse_large(what: str) -> None:
        if what == "ListExecutions" and rig.calls[-1][1].limit > 10:
            raise failure(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "CLIENT: Received message larger than max (30000000 vs. 20971520)",
            )

    rig.at_await = refuse_large
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 100
    assert {request.limit for _, request in rig.calls if request.limit <= 10} == {8}
    rig.at_await = rig.nothing_happens
    for _ in range(4):
        rig.clock.advance(700)
        await rig.poll(T)
    assert max(request.limit for _, request in rig.calls[-3:]) == 64, "it is tried again"


async def test_page_size_is_remembered_across_polls(make_rig: Callable[..., Rig]) -> None:
    """A page that was too large is not asked for again by the next poll; in time, it is."""
    rig = make_rig(page_size=16, reconcile_interval=timedelta(hours=9))
    await primed(rig)
    refused = 0

    async def refuse_large(what: str) -> None:
        nonlocal refused
        if what == "ListExecutions" and rig.calls[-1][1].limit > 4:
            refused += 1
            raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max (3 vs. 2)")

    rig.at_await = refuse_large
    for turn in range(3):
        rig.clock.advance(600)
        for number in range(12):
            run_to_end(rig, f"run-{turn}-{number}")
            rig.clock.advance(1)
        await rig.poll(T)
    # Down to 4 in two steps; eight full pages later 8 is tried, once.
    assert refused == 3
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 36
    rig.at_await = rig.nothing_happens
    for turn in range(3, 20):
        rig.clock.advance(600)
        for number in range(12):
            run_to_end(rig, f"run-{turn}-{number}")
            rig.clock.advance(1)
        await rig.poll(T)
    assert rig.calls[-1][1].limit == 16


def outgrow(rig: Rig, name: str) -> None:
    """Make *name* a row that no client can receive."""
    original = rig.admin.calls

    def listed(request: object) -> object:
        answer = original["ListExecutions"](request)
        if any(row.id.name == name for row in answer.executions):
            raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max (3 vs. 2)")
        return answer

    rig.admin.calls = {**original, "ListExecutions": listed}


async def test_one_row_too_large_does_not_keep_the_rest_from_being_followed(
    make_rig: Callable[..., Rig],
) -> None:
    """The live set is asked about and reconciled; the error says which row it is."""
    rig = make_rig(page_size=8)
    await primed(rig)
    live = [rig.launch(T, f"live-{number}") for number in range(20)]
    await rig.poll(T)
    rig.clock.advance(300)
    before = rig.clock.now()
    rig.launch(T, "before")
    rig.clock.advance(60)
    rig.launch(T, "giant")
    outgrow(rig, "giant")
    for key in live[:-1]:
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    which = f"the first execution created at or after {rfc3339(before)} is larger than we can"
    with pytest.raises(RowTooLarge, match=re.escape(which)):
        await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 21
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 19
    rig.clock.advance(30)
    rig.calls.clear()
    rig.admin.executions.move(live[-1], Phase.SUCCEEDED, at=rig.clock.now())
    with pytest.raises(RowTooLarge):
        await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 20
    assert len(rig.calls) == 2, "the page that was too large is not halved anew"
    rig.clock.advance(700)
    rig.launch(T, "after")
    with pytest.raises(RowTooLarge):
        await rig.poll(T)
    assert rows_read(rig, "reconcile") > 0


async def test_one_live_row_too_large_does_not_keep_the_others_from_being_followed(
    make_rig: Callable[..., Rig],
) -> None:
    """One that nobody can receive any more is left out, and named, until the next reconcile."""
    rig = make_rig(page_size=8)
    await primed(rig)
    live = [rig.launch(T, f"live-{number}") for number in range(20)]
    await rig.poll(T)
    rig.clock.advance(300)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)
    await rig.poll(T)
    outgrow(rig, "live-3")
    for key in live:
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    with pytest.raises(RowTooLarge, match="the execution 'live-3' is larger than we can"):
        await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 19
    rig.calls.clear()
    with pytest.raises(RowTooLarge, match="live-3"):
        await rig.poll(T)
    assert len(rig.calls) == 1, "it is not asked for again so soon"


async def test_admin_that_is_down_is_asked_once(rig: Rig) -> None:
    """Where the next question would fail as well, it is not asked."""
    await primed(rig)
    rig.launch(T, "live")
    await rig.poll(T)
    rig.clock.advance(300)
    rig.calls.clear()

    async def down(what: str) -> None:
        if what == "ListExecutions":
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = down
    with pytest.raises(AdminError, match="UNAVAILABLE"):
        await rig.poll(T)
    assert len(rig.calls) == 1


async def test_list_that_fails_does_not_keep_the_live_set_from_being_followed(rig: Rig) -> None:
    """A fault of one query, such as of one row that is nonsense, is not the others'."""
    await primed(rig, T, OTHER)
    key = rig.launch(T, "live")
    await rig.poll(T)
    rig.clock.advance(300)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)
    await rig.poll(T)
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())

    async def window_fails(what: str) -> None:
        if what == "ListExecutions" and "execution_created_at" in rig.calls[-1][1].filters:
            raise failure(grpc.StatusCode.UNKNOWN, "failed database operation")

    rig.at_await = window_fails
    with pytest.raises(AdminError, match="UNKNOWN"):
        await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "FAILED"] == 1


async def test_row_dated_in_the_future_does_not_blind_us(rig: Rig) -> None:
    """After a row dated a day ahead, what is launched now is still counted."""
    await primed(rig)
    rig.launch(T, "tomorrow", created_at=Micros(rig.clock.now() + 24 * 3600 * SECOND))
    await rig.poll(T)
    for number in range(5):
        rig.clock.advance(30)
        rig.launch(T, f"today-{number}")
        await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 6


async def test_ledger_error_is_raised_and_nothing_is_shown(rig: Rig) -> None:
    """What could not be made durable is not counted; the next poll counts it."""
    await primed(rig)
    run_to_end(rig, "one")

    async def disk_full(what: str) -> None:
        if what == "before commit":
            raise LedgerError("the disk is full")

    rig.at_await = disk_full
    with pytest.raises(LedgerError):
        await rig.poll(T)
    rig.clock.advance(300)
    await rig.upkeep.release()
    assert all(value == 0 for value in rig.shown().values())
    rig.at_await = rig.nothing_happens
    await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1


async def test_a_list_that_was_cut_off_and_lost_begins_anew(make_rig: Callable[..., Rig]) -> None:
    """What the disk would not take is listed again, and not left to the reconcile."""
    rig = make_rig(page_size=5, poll_timeout=timedelta(seconds=10))
    await primed(rig, T, OTHER)
    for number in range(20):
        rig.launch(T, f"run-{number}")
        rig.clock.advance(1)
    rig.clock.advance(600)
    rig.launch(OTHER, "elsewhere")
    await rig.poll(OTHER)

    async def slow_until_full(what: str) -> None:
        if what == "ListExecutions":
            rig.clock.advance(6)
        if what == "before commit":
            raise LedgerError("the disk is full")

    rig.at_await = slow_until_full
    with pytest.raises(LedgerError):
        await rig.poll(T)
    rig.at_await = rig.nothing_happens
    await rig.poll(T)
    assert rig.totals()[LAUNCHED, *T, "plan", MANUAL] == 20
    assert rig.metric('flyte_exporter_reconcile_corrections_total{reason="missed"}') == 0


async def test_execution_that_steps_back_is_counted_once(rig: Rig) -> None:
    """A database restored from a backup may take an end back; it is not counted again."""
    await primed(rig)
    key = rig.launch(T, "restored")
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    await rig.poll(T)
    rig.admin.executions.delete(key)
    rig.launch(T, "restored", created_at=Micros(rig.clock.now()))
    rig.clock.advance(30)
    await rig.poll(T)
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    rig.clock.advance(30)
    await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1


async def test_rows_out_of_order_are_refused(rig: Rig) -> None:
    """A server that ignores the sort is found out, instead of making us skip rows."""
    await primed(rig)
    for number in range(6):
        rig.launch(T, f"run-{number}", created_at=Micros(rig.clock.now() - number * SECOND))
    original = rig.admin.calls["ListExecutions"]

    def reversed_rows(request: object) -> object:
        answer = original(request)
        rows = list(answer.executions)[::-1]
        del answer.executions[:]
        answer.executions.extend(rows)
        return answer

    rig.admin.calls = {**rig.admin.calls, "ListExecutions": reversed_rows}
    with pytest.raises(AdminError, match="not in order of their creation"):
        await rig.poll(T)


@pytest.mark.parametrize("was_live", [False, True])
async def test_wider_window_after_a_restart_counts_nothing_twice(
    make_rig: Callable[..., Rig], *, was_live: bool
) -> None:
    """
    A list never reaches back to what is forgotten, even if the configuration now says so.

    Nor is there anything left of it that a start could take for an execution that runs.
    """
    rig = make_rig()
    await primed(rig)
    if was_live:
        key = rig.launch(T, "old")
        await rig.poll(T)
        rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
    else:
        run_to_end(rig, "old")
    await rig.poll(T)
    for _ in range(30):
        rig.clock.advance(600)
        rig.launch(OTHER, f"elsewhere-{rig.clock.now()}")
        await rig.poll(OTHER)
        await rig.poll(T)
    rig.settings = rig.settings.model_copy(
        update={"overlap": timedelta(days=2), "reconcile_window": timedelta(days=3)}
    )
    rig.restart()
    assert rig.ledger.target(T).rows == {}
    for _ in range(3):
        rig.clock.advance(700)
        await rig.poll(T)
    assert rig.totals()[FINISHED, *T, "plan", MANUAL, "SUCCEEDED"] == 1


async def test_counts_caught_up_after_a_start_are_held(rig: Rig) -> None:
    """After a start the totals from before are shown for a while, and then what was caught up."""
    await primed(rig)
    run_to_end(rig, "before")
    await rig.poll(T)
    rig.clock.advance(121)
    await rig.upkeep.release()
    sample = (
        'flyte_executions_finished_total{project="etl",domain="production",launch_plan="plan",'
        'mode="MANUAL",phase="SUCCEEDED"}'
    )
    assert rig.metric(sample) == 1
    rig.die()
    run_to_end(rig, "while-down")
    rig.clock.advance(60)
    rig.boot()
    await rig.poll(T)
    await rig.upkeep.release()
    assert rig.metric(sample) == 1
    rig.clock.advance(121)
    await rig.upkeep.release()
    assert rig.metric(sample) == 2


async def test_series_are_born_at_zero_and_held(rig: Rig) -> None:
    """Prometheus can see a launch plan's first failure: its series was there before, at 0."""
    await primed(rig)
    key = rig.launch(T, "first")
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
    await rig.poll(T)
    failed = (
        'flyte_executions_finished_total{project="etl",domain="production",launch_plan="plan",'
        'mode="MANUAL",phase="FAILED"}'
    )
    succeeded = failed.replace("FAILED", "SUCCEEDED")
    assert (rig.metric(failed), rig.metric(succeeded)) == (0, 0)
    rig.clock.advance(119)
    await rig.upkeep.release()
    assert rig.metric(failed) == 0
    rig.clock.advance(2)
    await rig.upkeep.release()
    assert (rig.metric(failed), rig.metric(succeeded)) == (1, 0)


async def test_oldest_in_phase_says_since_when(rig: Rig) -> None:
    """The gauge names the moment at which the longest waiting execution entered its phase."""
    await primed(rig)
    sample = (
        "flyte_executions_oldest_in_phase_timestamp_seconds"
        '{project="etl",domain="production",launch_plan="plan",phase="%s"}'
    )
    created = rig.clock.now()
    first = rig.launch(T, "first")
    rig.clock.advance(10)
    rig.launch(T, "second")
    await rig.poll(T)
    assert rig.metric(sample % "UNDEFINED") == created / SECOND
    started = Micros(rig.clock.now() + SECOND)
    rig.admin.executions.move(first, Phase.RUNNING, at=started)
    rig.clock.advance(30)
    await rig.poll(T)
    assert rig.metric(sample % "UNDEFINED") == (created + 10 * SECOND) / SECOND
    assert rig.metric(sample % "RUNNING") == started / SECOND
    stored = rig.admin.executions.get(first)
    rig.admin.executions.abort(stored, "stop", at=rig.clock.now())
    rig.clock.advance(30)
    await rig.poll(T)
    first_sight = rig.clock.now()
    rig.clock.advance(30)
    rig.restart()
    await rig.poll(T)
    assert rig.metric(sample % "ABORTING") == first_sight / SECOND
    assert rig.metric(sample % "RUNNING") is None


def _micros(text: str) -> Micros:
    return from_datetime(datetime.fromisoformat(text))
