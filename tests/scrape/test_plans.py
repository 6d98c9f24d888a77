"""How launch plans fared, as /metrics has it: learnt at a cold start, kept, and shown."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from exporter.admin.errors import AdminError
from exporter.config.settings import PlanDuration, ScrapeSettings
from exporter.metrics import catalog
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.model.executions import Mode, Phase
from exporter.model.launch_plans import NoPlanFacts
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.scrape.norms import NormsOf
from exporter.track.plans import MOST_SUCCESSES
from tests import page
from tests.rig import START, Rig, failure

T = Target("etl", "production")
HOUR, DAY = 3600, 24 * 3600
NIGHTLY = 'project="etl",domain="production",launch_plan="nightly"'


class Facts(NoPlanFacts):
    """What discovery would have found: launch plans that are active, with the period they have."""

    def __init__(self, **periods: timedelta | None) -> None:
        self.periods = periods
        self.listed = True

    def is_listed(self, _target: Target, /) -> bool:
        """Whether anything was discovered yet."""
        return self.listed

    def is_active(self, _target: Target, launch_plan: str, /) -> bool:
        """Whether it is one of them."""
        return launch_plan in self.periods

    def is_scheduled(self, _target: Target, launch_plan: str, /) -> bool:
        """Whether it has a period."""
        return self.periods.get(launch_plan) is not None

    def period(self, _target: Target, launch_plan: str, /) -> timedelta | None:
        """Return its period."""
        return self.periods.get(launch_plan)


def run(
    rig: Rig,
    name: str,
    phase: Phase = Phase.SUCCEEDED,
    *,
    lasted: float = 60,
    ago: float = 0,
    launch_plan: str = "nightly",
    mode: Mode = Mode.SCHEDULED,
) -> None:
    """Have an execution end *ago* seconds before now, having run for *lasted*."""
    ended = Micros(rig.clock.now() - round(ago * SECOND))
    began = Micros(ended - round(lasted * SECOND))
    key = rig.launch(T, name, launch_plan=launch_plan, mode=mode, created_at=began)
    rig.admin.executions.move(key, Phase.RUNNING, at=began, received_at=began)
    rig.admin.executions.move(key, phase, at=ended, received_at=ended)


def lines(rig: Rig) -> dict[str, str]:
    """Return the samples about launch plans on /metrics, each without what all of them begin by."""
    samples = (line.rpartition(" ") for line in page.lines(rig.exposition))
    return {
        sample.removeprefix("flyte_launch_plan_"): value
        for sample, _, value in samples
        if sample.startswith("flyte_launch_plan_")
    }


def nightly(**shown: float) -> Mapping[str, str]:
    """Return what is to be shown of the launch plan, by a short name for each sample."""
    names = {
        "succeeded": f'last_finished_timestamp_seconds{{{NIGHTLY},phase="SUCCEEDED"}}',
        "failed": f'last_finished_timestamp_seconds{{{NIGHTLY},phase="FAILED"}}',
        "lasted": f"last_duration_seconds{{{NIGHTLY}}}",
        "failures": f"consecutive_failures{{{NIGHTLY}}}",
        "expected": f"expected_duration_seconds{{{NIGHTLY}}}",
        "limit": f"freshness_limit_seconds{{{NIGHTLY}}}",
    }
    return {names[name]: str(value) for name, value in shown.items()}


def at(seconds: float) -> int:
    """Return the instant so many seconds after the beginning, as a sample has it."""
    return round(START / SECOND + seconds)


def register(rig: Rig, launch_plan: str) -> None:
    """Give Admin a launch plan for its executions to be joined with."""
    columns = {"project": T.project, "domain": T.domain, "name": launch_plan, "version": "v1"}
    rig.store.insert("launch_plans", **columns)


def join(rig: Rig) -> None:
    """Have every execution be one of its registered launch plan, as the real Admin's are."""
    rig.store.execute(
        "UPDATE executions SET launch_plan_id = (SELECT id FROM launch_plans) WHERE place IN"
        " (SELECT place FROM executions WHERE instr(CAST(spec AS TEXT), 'nightly'))"
    )


async def look_back(rig: Rig, questions: int = 1) -> None:
    """Ask between two polls how launch plans fared."""
    await rig.poll(T)
    for _ in range(questions):
        await rig.poller(T).past.ask()
    await rig.poll(T)


def asked_for_the_past(rig: Rig) -> list[str]:
    """Return the filters of the questions for one launch plan's executions."""
    return [
        request.filters
        for method, request in rig.calls
        if method == "ListExecutions" and ".name," in request.filters
    ]


async def test_a_month_of_nights(rig: Rig) -> None:
    """Every night's end is on /metrics after the next poll, a week of failures among them."""
    await rig.poll(T)
    for night in range(30):
        failed = 20 <= night < 27
        rig.clock.advance(DAY)
        phase = Phase.FAILED if failed else Phase.SUCCEEDED
        run(rig, f"night-{night}", phase, lasted=100 + night)
        await rig.poll(T)
        seen = {"failures": night - 19 if failed else 0, "lasted": 100 + night}
        seen["succeeded"] = at(DAY * (20 if failed else night + 1))
        if night >= 20:
            seen["failed"] = at(DAY * min(night + 1, 27))
        wins = [100 + n for n in range(night + 1) if not 20 <= n < 27]
        if len(wins) >= 5:
            seen["expected"] = sorted(wins)[(95 * len(wins) - 1) // 100]
        assert lines(rig) == nightly(**seen)


async def test_children_and_aborts_leave_no_mark(rig: Rig) -> None:
    """A child's failure and somebody's abort are no failures of the launch plan."""
    await rig.poll(T)
    run(rig, "good", ago=20)
    run(rig, "child", Phase.FAILED, ago=10, mode=Mode.CHILD_WORKFLOW)
    run(rig, "stopped", Phase.ABORTED, ago=5)
    await rig.poll(T)
    assert lines(rig) == nightly(succeeded=at(-20), lasted=60, failures=0)


async def test_a_cold_start_looks_back(rig: Rig) -> None:
    """
    How the last day went is known at once, and none of it is counted.

    Nor is it kept row by row: only what a later list will show again.
    """
    for number in range(40):
        phase = Phase.SUCCEEDED if number > 2 else Phase.TIMED_OUT
        run(rig, f"hourly-{number}", phase, ago=HOUR * (number / 2 + 1), lasted=number)
    run(rig, "older", Phase.SUCCEEDED, ago=25 * HOUR, launch_plan="weekly")
    await rig.poll(T)
    assert lines(rig) == nightly(
        succeeded=at(-2.5 * HOUR), failed=at(-HOUR), lasted=1, failures=3, expected=38
    )
    assert sum(rig.totals().values()) == 0
    assert {key.name for key in rig.ledger.target(T).rows} == {"hourly-0", "hourly-1"}


@pytest.mark.parametrize("page_size", [1, 2, 3, 7])
async def test_pages_of_the_lookback_tell_nothing_twice(
    make_rig: Callable[..., Rig], page_size: int
) -> None:
    """Rows of one instant, and those with which one page ends and the next begins."""
    rig = make_rig(page_size=page_size)
    for number in range(12):
        run(rig, f"x{number}", Phase.FAILED, ago=(4 + number // 4) * HOUR)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "12"


async def test_what_ends_while_the_lookback_reads_is_told_once(
    make_rig: Callable[..., Rig],
) -> None:
    """An execution that was running on one page and is over on the next, or in the live list."""
    rig = make_rig(page_size=2)
    began = Micros(START - 5 * HOUR * SECOND)
    keys = [
        rig.launch(T, f"x{n}", launch_plan="nightly", created_at=Micros(began + n * SECOND))
        for n in range(5)
    ]
    moves = iter(keys)

    async def at_await(what: str) -> None:
        if what == "ListExecutions" and (key := next(moves, None)):
            rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())

    rig.at_await = at_await
    await rig.poll(T)
    rig.at_await = rig.nothing_happens
    rig.clock.advance(30)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "5"


async def test_a_restart_shows_what_the_ledger_has(rig: Rig) -> None:
    """Before Admin was asked for anything: here it does not answer at all."""
    await rig.poll(T)
    run(rig, "a", Phase.FAILED, ago=5)
    run(rig, "b", Phase.FAILED, ago=1)
    await rig.poll(T)
    before = lines(rig)
    assert before == nightly(failed=at(-1), lasted=60, failures=2)
    rig.restart()
    assert lines(rig) == {}
    seen = []

    async def at_await(what: str) -> None:
        if what[0].isupper():
            seen.append(lines(rig))
            raise failure(grpc.StatusCode.UNAVAILABLE)

    rig.at_await = at_await
    with pytest.raises(AdminError):
        await rig.poll(T)
    assert seen == [before]
    assert lines(rig) == before


@pytest.mark.parametrize("steps", range(9))
async def test_killed_anywhere_a_failure_is_told_once(rig: Rig, steps: int) -> None:
    """The process dies before any of a poll's awaits, and what it comes back to is counted on."""
    await rig.poll(T)
    for number in range(3):
        run(rig, f"x{number}", Phase.FAILED, ago=number)
        with rig.killed_at(steps) as death:
            await rig.poll(T)
        # The first was begun by the poll before it; the others have to read the ledger.
        assert death.came is (steps < (3 if number == 0 else 8))
        rig.clock.advance(30)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "3"


async def test_a_late_row_of_a_success_ends_the_failures_before_it(rig: Rig) -> None:
    """The reconcile finds it hours later, and failures since then still count."""
    await rig.poll(T)
    run(rig, "before", Phase.FAILED, ago=2)
    key = rig.launch(T, "late", launch_plan="nightly", visible_at=Micros(START + 50 * 60 * SECOND))
    rig.admin.executions.move(key, Phase.SUCCEEDED, at=START)
    rig.clock.advance(600)
    run(rig, "after", Phase.FAILED, ago=2)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "2"
    rig.clock.advance(3000)
    await rig.poll(T)
    rig.clock.advance(660)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "1"


# One launch plan's past


async def test_an_active_launch_plan_with_nothing_in_the_lookback_is_asked_for(rig: Rig) -> None:
    """By one question for its newest executions, once; and none of that is counted."""
    register(rig, "nightly")
    for number in range(15):
        run(rig, f"monthly-{number}", Phase.FAILED, ago=(2 + number) * DAY)
    run(rig, "child", Phase.SUCCEEDED, ago=DAY * 1.5, mode=Mode.CHILD_WORKFLOW)
    run(rig, "other", Phase.SUCCEEDED, ago=DAY * 1.5, launch_plan="other")
    run(rig, "stopped", Phase.ABORTED, ago=DAY * 1.5)
    join(rig)
    await rig.poll(T)
    assert lines(rig) == {}
    rig.poller(T).past.want("nightly")
    for _ in range(3):
        rig.clock.advance(30)
        await look_back(rig)
        rig.poller(T).past.want("nightly")
        assert lines(rig) == nightly(failed=at(-2 * DAY), lasted=60, failures=10)
    (asked,) = asked_for_the_past(rig)
    assert asked == (
        "eq(launch_plan.name,nightly)+value_in(phase,SUCCEEDED;FAILED;TIMED_OUT)+ne(mode,4)"
        "+value_in(state,0;1)"
    )
    assert sum(rig.totals().values()) == 0


async def test_an_abort_alone_says_nothing_of_how_a_launch_plan_fared(rig: Rig) -> None:
    """It is asked for like one of which nothing is known: once in each life of the exporter."""
    register(rig, "nightly")
    for number in range(5):
        run(rig, f"x{number}", Phase.FAILED, ago=(2 + number) * DAY)
    run(rig, "stopped", Phase.ABORTED, ago=HOUR)
    join(rig)
    await rig.poll(T)
    assert lines(rig) == {}
    fared = nightly(failed=at(-2 * DAY), lasted=60, failures=5)
    for _ in range(3):
        rig.poller(T).past.want("nightly")
        await look_back(rig)
        assert lines(rig) == fared
    rig.restart()
    rig.poller(T).past.want("nightly")
    await look_back(rig)
    assert lines(rig) == fared
    assert len(asked_for_the_past(rig)) == 1


async def test_of_whoever_was_only_ever_aborted_nothing_is_known_nor_asked_again(rig: Rig) -> None:
    """The answer is empty, and as good as any other until the next start."""
    run(rig, "stopped", Phase.ABORTED, ago=HOUR)
    for questions in (1, 2):
        for _ in range(3):
            rig.clock.advance(30)
            await rig.poll(T)
            rig.poller(T).past.want("nightly")
            await look_back(rig)
        assert len(asked_for_the_past(rig)) == questions
        assert lines(rig) == {}
        rig.restart()


async def test_a_single_task_is_asked_for_by_its_task(rig: Rig) -> None:
    """Admin's join with launch plans leaves executions of single tasks out."""
    await rig.poll(T)
    rig.poller(T).past.want(".flytegen.app.fit")
    await look_back(rig)
    assert asked_for_the_past(rig)[0].startswith("eq(task.name,app.fit)+")


async def test_the_past_of_each_launch_plan_is_asked_for_once(rig: Rig) -> None:
    """
    Also where there is none, but not before the target is primed: that may tell it.

    One whose name Admin's filters cannot carry is not asked for, nor one that ran meanwhile.
    """
    past = rig.poller(T).past
    names = (*(f"plan-{number}" for number in range(12)), "a(b),c", "nightly")
    for expected in (0, 0, 5, 10, 12, 12):
        for name in names:
            past.want(name)
        for _ in range(5):
            await past.ask()
        assert len(asked_for_the_past(rig)) == expected
        if expected == 5:
            run(rig, "x")
        await rig.poll(T)


async def test_an_answer_that_a_list_has_overtaken_tells_nothing(rig: Rig) -> None:
    """What was over when it was asked for is told by the list that came to show it, and once."""
    await rig.poll(T)
    register(rig, "nightly")
    run(rig, "old", Phase.FAILED, ago=5 * DAY)
    key = rig.launch(T, "x", launch_plan="nightly")
    join(rig)
    await rig.poll(T)
    rig.poller(T).past.want("nightly")
    await rig.poll(T)
    rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
    join(rig)
    await rig.poller(T).past.ask()
    rig.clock.advance(30)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "1"
    rig.clock.advance(30)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "1"


@pytest.mark.parametrize("steps", range(6))
async def test_killed_anywhere_the_past_is_told_once(rig: Rig, steps: int) -> None:
    """The process dies before any await between the question and the commit of its answer."""
    register(rig, "nightly")
    for number in range(3):
        run(rig, f"x{number}", Phase.FAILED, ago=(2 + number) * DAY)
    join(rig)
    await rig.poll(T)
    rig.poller(T).past.want("nightly")
    with rig.killed_at(steps) as death:
        await look_back(rig)
    assert death.came is (steps < 5)
    rig.poller(T).past.want("nightly")
    await look_back(rig)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "3"


async def test_what_a_list_will_tell_is_not_told_by_the_past(rig: Rig) -> None:
    """An execution that ends between the poll's list and the question is told by the next poll."""
    await rig.poll(T)
    register(rig, "nightly")
    key = rig.launch(T, "x", launch_plan="nightly")
    rig.clock.advance(30)
    await rig.poll(T)
    rig.poller(T).past.want("nightly")

    async def at_await(what: str) -> None:
        if what == "ListExecutions" and rig.calls[-1][1].filters.startswith("eq(launch_plan"):
            rig.admin.executions.move(key, Phase.FAILED, at=rig.clock.now())
            run(rig, "y", Phase.FAILED)
            join(rig)

    rig.at_await = at_await
    await rig.poll(T)
    await rig.poller(T).past.ask()
    rig.at_await = rig.nothing_happens
    assert lines(rig) == {}
    rig.clock.advance(30)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "2"


async def test_a_past_that_cannot_be_had_fails_no_poll(rig: Rig) -> None:
    """It is tried a few times; what the poll itself brought is there."""
    await rig.poll(T)
    rig.poller(T).past.want("other")

    async def at_await(what: str) -> None:
        if what == "ListExecutions" and ".name," in rig.calls[-1][1].filters:
            raise failure(grpc.StatusCode.UNKNOWN, "failed database operation")

    rig.at_await = at_await
    run(rig, "a")
    for _ in range(5):
        rig.clock.advance(30)
        await look_back(rig)
    assert len(asked_for_the_past(rig)) == 3
    assert lines(rig) == nightly(succeeded=at(0), lasted=60, failures=0)


# What is asked of launch plans


async def test_the_first_entry_that_matches_holds(tmp_path: Path) -> None:
    """Limits are shown as configured, by project, domain and launch plan."""
    entries = [("ml/*/*", 1), ("etl/prod*/night*", 26), ("*/*/*", 50)]
    limits = [PlanDuration(match=m, limit=timedelta(hours=hours)) for m, hours in entries]
    rig = Rig(tmp_path, norms=NormsOf(freshness=limits, expected_duration=limits))
    try:
        await rig.poll(T)
        run(rig, "a")
        await rig.poll(T)
        assert lines(rig) == nightly(
            succeeded=at(0), lasted=60, failures=0, expected=26 * HOUR, limit=26 * HOUR
        )
    finally:
        rig.die()


async def test_a_schedule_gives_a_limit(rig: Rig) -> None:
    """Two periods and a run; also before the launch plan ever ran, and gone with its activation."""
    rig.services.norms.facts = facts = Facts(nightly=timedelta(days=1))
    await rig.poll(T)
    rig.poller(T).show_plan("nightly")
    await rig.poll(T)
    assert lines(rig) == nightly(limit=2 * DAY)
    for number in range(5):
        run(rig, f"x{number}", ago=number)
    await rig.poll(T)
    assert lines(rig) == nightly(
        succeeded=at(0), lasted=60, failures=0, expected=60, limit=2 * DAY + 60
    )
    facts.periods.clear()
    rig.poller(T).show_plan("nightly")
    await rig.poll(T)
    assert lines(rig) == nightly(succeeded=at(0), lasted=60, failures=0, expected=60)


# Going away


async def test_an_idle_launch_plan_goes_after_two_weeks(rig: Rig) -> None:
    """Unless it has a schedule; its state is kept for a month, and then forgotten."""
    rig.services.norms.facts = facts = Facts(nightly=timedelta(days=1))
    await rig.poll(T)
    run(rig, "a", Phase.FAILED)
    await rig.poll(T)
    rig.clock.advance(15 * DAY)
    await rig.poll(T)
    assert lines(rig) == nightly(failed=at(0), lasted=60, failures=1, limit=2 * DAY)
    facts.periods.clear()
    rig.clock.advance(HOUR)
    await rig.poll(T)
    assert lines(rig) == {}
    run(rig, "b", Phase.FAILED)
    await rig.poll(T)
    assert lines(rig) == nightly(failed=at(15 * DAY + HOUR), lasted=60, failures=2)
    rig.clock.advance(36 * DAY)
    await rig.poll(T)
    assert lines(rig) == {}
    assert rig.ledger.target(T).plans == {}
    rig.restart()
    run(rig, "c", Phase.FAILED)
    await rig.poll(T)
    assert lines(rig)[f"consecutive_failures{{{NIGHTLY}}}"] == "1"


@pytest.mark.parametrize("limit", [None, timedelta(hours=26)])
async def test_names_without_a_rule_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: timedelta | None
) -> None:
    """Of too many that are not in use, those stay that ran last; what is scheduled stays."""
    limits = [PlanDuration(match="etl/*/*", limit=limit)] if limit else []
    rig = Rig(tmp_path, norms=NormsOf(freshness=limits))
    for module in ("exporter.track.plans", "exporter.scrape.standings"):
        monkeypatch.setattr(f"{module}.MOST_IDLE", 10)
    rig.services.norms.facts = Facts(nightly=timedelta(days=1))
    await rig.poll(T)
    run(rig, "first")
    for number in range(30):
        rig.clock.advance(10)
        run(rig, f"r{number}", launch_plan=f"adhoc-{number}")
    await rig.poll(T)
    rig.clock.advance(HOUR)
    await rig.poll(T)
    known = {"nightly", *(f"adhoc-{number}" for number in range(20, 30))}
    assert rig.ledger.target(T).plans.keys() == known
    rig.clock.advance(HOUR)
    await rig.poll(T)
    shown = [line for line in lines(rig) if line.startswith("consecutive_failures")]
    assert len(shown) == len(known)
    rig.die()


async def test_a_launch_plan_that_is_to_be_fresh_stays_while_it_is_active(tmp_path: Path) -> None:
    """Whoever is told that its data are too old is told so until they are fresh, or it is off."""
    limits = [PlanDuration(match="etl/*/nightly", limit=timedelta(hours=26))]
    rig = Rig(tmp_path, norms=NormsOf(freshness=limits))
    rig.services.norms.facts = facts = Facts(nightly=None)
    await rig.poll(T)
    run(rig, "a")
    await rig.poll(T)
    expected = nightly(succeeded=at(0), lasted=60, failures=0, limit=26 * HOUR)
    for days in (15, 25):
        rig.clock.advance(days * DAY)
        await rig.poll(T)
        assert lines(rig) == expected
    facts.periods.clear()
    rig.poller(T).remember_activations((), ["nightly"])
    rig.clock.advance(HOUR)
    await rig.poll(T)
    assert lines(rig) == {}
    rig.die()


async def test_a_launch_plan_that_runs_for_weeks_stays(rig: Rig) -> None:
    """While it has executions that are not over it is in use."""
    await rig.poll(T)
    run(rig, "a")
    rig.launch(T, "endless", launch_plan="nightly")
    await rig.poll(T)
    rig.clock.advance(20 * DAY)
    await rig.poll(T)
    assert lines(rig) == nightly(succeeded=at(0), lasted=60, failures=0)


async def test_gauges_go_with_their_target(rig: Rig) -> None:
    """And give back what they took of the series limit."""
    await rig.poll(T)
    run(rig, "a")
    await rig.poll(T)
    used = rig.book.budget.used_by
    family = catalog.PLAN_CONSECUTIVE_FAILURES
    assert used(family) == 1
    rig.poller(T).retire()
    assert lines(rig) == {}
    assert used(family) == 0


async def test_gauges_past_the_series_limit_are_left_out_and_counted(tmp_path: Path) -> None:
    """Counters of such a launch plan overflow; a gauge of all the rest would say nothing."""
    rig = Rig(tmp_path, settings=ScrapeSettings(), limit=100)
    try:
        await rig.poll(T)
        for number in range(30):
            run(rig, f"x{number}", launch_plan=f"plan-{number}")
        await rig.poll(T)
        shown = [line for line in lines(rig) if line.startswith("consecutive_failures")]
        left_out = rig.metric(
            'flyte_exporter_series_overflow_total{family="flyte_launch_plan_consecutive_failures"}'
        )
        assert left_out == 30 - len(shown) > 0
    finally:
        rig.die()


async def test_news_of_who_has_no_place_shows_no_level(tmp_path: Path) -> None:
    """Who overflowed is left out; its runs count as that, and what is listed of it does not."""
    rig = Rig(tmp_path, limit=100)
    await rig.poll(T)
    plans = [f"plan-{number}" for number in range(30)]
    for launch_plan in plans:
        run(rig, f"run-of-{launch_plan}", launch_plan=launch_plan)
    await rig.poll(T)
    left_out = 'flyte_exporter_series_overflow_total{family="flyte_executions_active"}'
    counted = rig.metric(left_out)
    overflowed = next(plan for plan in plans if (T, plan) not in rig.book.places)
    for launch_plan in (overflowed, "never-ran"):
        rig.poller(T).show_plan(launch_plan)
    rig.clock.advance(30)
    await rig.poll(T)
    levels = [line for line in page.lines(rig.exposition) if line.startswith("flyte_executions_")]
    assert levels
    assert not any(f'"{overflowed}"' in line or "never-ran" in line for line in levels)
    assert rig.metric(left_out) == counted
    rig.die()


def test_norms_know_nothing_by_themselves() -> None:
    """Without configuration and discovery nothing is asked of anybody."""
    norms = NormsOf()
    assert norms(T, "nightly") == (None, None, None)
    assert not norms.facts.is_active(T, "nightly")


async def test_launch_plans_that_share_a_name_stand_as_one(tmp_path: Path) -> None:
    """Of `nightly_2026_11_21` and so on, the newest end and all failures in a row are one's."""
    dates = Labelling(rules=[Renaming(r"(.*)_\d{4}_\d{2}_\d{2}", "$1")])
    rig = Rig(tmp_path, hold=timedelta(), labelling=dates)
    await rig.poll(T)
    phases = [Phase.FAILED, Phase.SUCCEEDED, Phase.FAILED, Phase.FAILED]
    for day, phase in enumerate(phases, start=21):
        rig.clock.advance(DAY)
        run(rig, f"d{day}", phase, lasted=day, launch_plan=f"nightly_2026_11_{day}")
        await rig.poll(T)
    expected = nightly(succeeded=at(2 * DAY), failed=at(4 * DAY), failures=2, lasted=24)
    assert lines(rig) == expected
    rig.restart()
    await rig.poll(T)
    assert lines(rig) == expected
    # Without the rule each has its own again: what is known goes by their true names.
    rig.labelling = AS_THEY_ARE
    rig.restart()
    await rig.poll(T)
    own = NIGHTLY.replace("nightly", "nightly_2026_11_24")
    assert lines(rig)[f"last_duration_seconds{{{own}}}"] == "24"
    assert lines(rig)[f"consecutive_failures{{{own}}}"] == "1"
    rig.die()


async def test_a_name_that_changes_with_every_run_is_forgotten_in_time(tmp_path: Path) -> None:
    """What is known does not grow with the runs, and what is shown stays the same."""
    numbers = Labelling(rules=[Renaming(r"(.*)_\d+", "$1")])
    rig = Rig(tmp_path, hold=timedelta(), labelling=numbers)
    await rig.poll(T)
    for number in range(300):
        rig.clock.advance(60)
        run(rig, f"r{number}", lasted=30, launch_plan=f"nightly_{number}")
    await rig.poll(T)
    shown = lines(rig)
    rig.clock.advance(HOUR)
    await rig.poll(T)
    assert lines(rig) == shown
    assert shown == nightly(succeeded=at(300 * 60), failures=0, lasted=30, expected=30)
    assert len(rig.ledger.target(T).plans) == MOST_SUCCESSES
    rig.die()
