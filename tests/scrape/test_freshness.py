"""Whose newest success must not be too old: as configured, for whoever runs the launch plan."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from exporter.config.settings import PlanDuration
from exporter.metrics.labelling import Labelling
from exporter.model.executions import Mode, Phase
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.pipeline import Batch, Digest, digest
from exporter.scrape.memory import Memory
from exporter.scrape.norms import NormsOf
from exporter.scrape.past import Past
from tests.plans import activate, deactivate
from tests.rig import Rig, failure, register
from tests.stage import Stage, scheduled

A = Target("a", "development")
DAY = 24 * 3600
_LABELS = '{project="a",domain="development",launch_plan="etl"}'
LIMIT = f"flyte_launch_plan_freshness_limit_seconds{_LABELS}"
FAILURES = f"flyte_launch_plan_consecutive_failures{_LABELS}"
SUCCEEDED = f"flyte_launch_plan_last_finished_timestamp_seconds{_LABELS[:-1]}"
SUCCEEDED += ',phase="SUCCEEDED"}'
SINCE = f"flyte_launch_plan_active_since_timestamp_seconds{_LABELS}"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Return a process that expects a success every 26 hours of what the project a has."""
    rigs: list[Rig] = []

    def make_rig(**details: object) -> Rig:
        limits = [PlanDuration(match="a/*/*", limit=timedelta(hours=26))]
        rigs.append(Rig(tmp_path, norms=NormsOf(freshness=limits), **details))  # type: ignore[arg-type]
        register(rigs[-1], "a")
        return rigs[-1]

    yield make_rig
    for rig in rigs:
        rig.die()


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    """Return such a process."""
    return make()


def run(
    rig: Rig,
    name: str,
    phase: Phase = Phase.SUCCEEDED,
    *,
    launch_plan: str = "etl",
    ago: float = 0,
) -> None:
    """Have an execution that somebody launched end *ago* seconds before now."""
    ended = Micros(rig.clock.now() - round(ago * SECOND))
    began = Micros(ended - 60 * SECOND)
    key = rig.launch(A, name, launch_plan=launch_plan, mode=Mode.MANUAL, created_at=began)
    rig.admin.executions.move(key, Phase.RUNNING, at=began, received_at=began)
    rig.admin.executions.move(key, phase, at=ended, received_at=ended)


def join(rig: Rig) -> None:
    """Have every execution be one of its registered launch plan, as the real Admin's are."""
    if rig.store.row("SELECT 1 FROM launch_plans") is None:
        columns = {"project": A.project, "domain": A.domain, "name": "etl", "version": "v1"}
        rig.store.insert("launch_plans", **columns)
    rig.store.execute("UPDATE executions SET launch_plan_id = (SELECT id FROM launch_plans)")


async def listed(stage: Stage) -> None:
    """Let all be listed and polled again."""
    await stage.clock.advance(700)


async def test_whoever_runs_it_a_launch_plan_has_the_limit_that_is_configured(rig: Rig) -> None:
    """One that was never active, too, however long ago it ran: what is overdue stays overdue."""
    run(rig, "before", ago=3600)
    succeeded_at = rig.clock.now() / SECOND - 3600
    async with scheduled(rig) as stage:
        for days in (0, 12, 12, 12, 12):
            rig.clock.advance(days * DAY)
            await listed(stage)
            assert rig.metric(LIMIT) == 26 * 3600
            assert rig.metric(SUCCEEDED) == succeeded_at
    rig.restart()
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600
        assert rig.metric(SUCCEEDED) == succeeded_at


async def test_without_a_success_it_goes_like_all_others(rig: Rig) -> None:
    """No limit was shown that could seem to be kept again."""
    run(rig, "failed", Phase.FAILED, ago=3600)
    async with scheduled(rig) as stage:
        for failures in (1, None):
            await listed(stage)
            assert rig.metric(FAILURES) == failures
            assert rig.metric(LIMIT) is None
            rig.clock.advance(15 * DAY)


async def test_what_is_switched_off_need_not_be_fresh_until_it_is_active_again(rig: Rig) -> None:
    """Neither after a restart, before anything is listed, nor when somebody runs it once more."""
    run(rig, "before", ago=3600)
    activate(rig, A, "etl")
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600
        deactivate(rig, A, "etl")
        await listed(stage)
        assert rig.metric(LIMIT) is None
        assert rig.metric(FAILURES) == 0
    rig.restart()

    async def refuse(what: str) -> None:
        if what == "ListLaunchPlans":
            raise failure(grpc.StatusCode.UNAVAILABLE, "down")

    rig.at_await = refuse
    async with scheduled(rig) as stage:
        run(rig, "by-hand")
        await listed(stage)
        assert rig.metric(FAILURES) == 0
        assert rig.metric(LIMIT) is None
        rig.at_await = rig.nothing_happens
        await listed(stage)
        assert rig.metric(LIMIT) is None
        activate(rig, A, "etl")
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600
    rig.restart()
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600


async def test_what_was_switched_off_while_we_were_away_need_not_be_fresh(rig: Rig) -> None:
    """The ledger knows that it was active; Admin says that it is not."""
    run(rig, "before", ago=3600)
    activate(rig, A, "etl")
    async with scheduled(rig) as stage:
        await listed(stage)
    deactivate(rig, A, "etl")
    rig.restart()
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(FAILURES) == 0
        assert rig.metric(LIMIT) is None


async def test_one_that_never_ran_before_it_was_switched_off_need_not_be_fresh(rig: Rig) -> None:
    """Whoever tries a new launch plan and switches it off while that runs is not woken for it."""
    activate(rig, A, "etl")
    async with scheduled(rig) as stage:
        key = rig.launch(A, "trial", launch_plan="etl", mode=Mode.MANUAL)
        await listed(stage)
        deactivate(rig, A, "etl")
        await listed(stage)
        rig.admin.executions.move(key, Phase.RUNNING, at=rig.clock.now())
        rig.admin.executions.move(key, Phase.SUCCEEDED, at=rig.clock.now())
        await listed(stage)
        assert rig.metric(FAILURES) == 0
        assert rig.metric(LIMIT) is None


async def test_launch_plans_that_share_a_name_are_switched_off_as_one(
    make: Callable[..., Rig],
) -> None:
    """The limit stays while one of them is active, and goes with the last."""
    rig = make(labelling=Labelling(rules=[Renaming(r"(\w+)_\d+", "$1")]))
    for day in (1, 2):
        activate(rig, A, f"etl_{day}")
        run(rig, f"run-{day}", launch_plan=f"etl_{day}", ago=3600)
    run(rig, "run-3", launch_plan="etl_3", ago=3600)
    async with scheduled(rig) as stage:
        for day in (1, 2):
            await listed(stage)
            assert rig.metric(LIMIT) == 26 * 3600
            deactivate(rig, A, f"etl_{day}")
        await listed(stage)
        assert rig.metric(FAILURES) == 0
        assert rig.metric(LIMIT) is None


async def test_a_success_from_before_the_lookback_is_asked_for(rig: Rig) -> None:
    """
    Once, where a limit is to be compared with it; and no failure is told twice by the answer.

    Whose failures hide it in the lookback fails for long: that is when the limit matters.
    """
    for days in range(1, 15):
        run(rig, f"failed-{days}", Phase.FAILED, ago=(days - 0.5) * DAY)
    run(rig, "succeeded", ago=15 * DAY)
    join(rig)
    succeeded_at = rig.clock.now() / SECOND - 15 * DAY
    for _ in range(2):
        async with scheduled(rig) as stage:
            for _ in range(3):
                await listed(stage)
                assert rig.metric(SUCCEEDED) == succeeded_at
                assert rig.metric(LIMIT) == 26 * 3600
                assert rig.metric(FAILURES) == 1
        rig.restart()
    asked = [request.filters for _, request in rig.calls if ".name," in str(request)]
    assert [filters.partition("+")[2] for filters in asked] == [
        "value_in(phase,SUCCEEDED)+ne(mode,4)+value_in(state,0;1)"
    ]


async def test_a_success_is_asked_for_where_the_answer_has_failures_alone(rig: Rig) -> None:
    """The lookback has an abort, its newest ten that ended are failures: two questions, no more."""
    run(rig, "aborted", Phase.ABORTED, ago=3600)
    for days in range(1, 15):
        run(rig, f"failed-{days}", Phase.FAILED, ago=(days + 0.5) * DAY)
    run(rig, "succeeded", ago=16 * DAY)
    join(rig)
    succeeded_at = rig.clock.now() / SECOND - 16 * DAY
    async with scheduled(rig) as stage:
        for _ in range(3):
            await listed(stage)
        assert rig.metric(SUCCEEDED) == succeeded_at
        assert rig.metric(LIMIT) == 26 * 3600
        assert rig.metric(FAILURES) == 10
    asked = [request.filters for _, request in rig.calls if ".name," in str(request)]
    assert [re.findall(r"phase,([^)]+)", filters) for filters in asked] == [
        ["SUCCEEDED;FAILED;TIMED_OUT"],
        ["SUCCEEDED"],
    ]


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
@pytest.mark.parametrize("known", [Phase.ABORTED, Phase.FAILED])
async def test_what_ends_before_the_answer_is_told_once(
    rig: Rig, known: Phase, phase: Phase
) -> None:
    """By the list that the next poll brings, and not by the answer, which has it, too."""
    run(rig, "known", known, ago=3600)
    run(rig, "succeeded", ago=5 * DAY)
    join(rig)
    asked: list[str] = []

    async def end(what: str) -> None:
        if what == "ListExecutions" and ".name," in rig.calls[-1][1].filters:
            asked.append(what)
            run(rig, "meanwhile", phase)
            join(rig)

    rig.at_await = end
    async with scheduled(rig) as stage:
        await listed(stage)
    assert len(asked) == 1
    assert rig.metric(LIMIT) == 26 * 3600
    (state,) = rig.ledger.target(A).plans.values()
    assert len(state.successes) == 1
    assert len(state.failures) == (phase is Phase.FAILED) * (1 + (known is Phase.FAILED))


async def test_the_second_answer_is_not_lost_while_the_first_is_kept(rig: Rig) -> None:
    """A poll told of a failure after the first was asked, so that the second came as well."""
    for days in range(1, 15):
        run(rig, f"failed-{days}", Phase.FAILED, ago=(days + 0.5) * DAY)
    run(rig, "succeeded", ago=16 * DAY)
    join(rig)
    await rig.poll(A)
    services, memory = rig.services, Memory(rig.ledger.target(A))
    past = Past(A, admin=services.admin, process=services.process, settings=services.settings)
    kept: list[str] = []

    async def keep(batch: Batch) -> Digest:
        kept.extend(row.id.name for row in batch.rows)
        digested = digest(memory, batch, rig.clock.now(), plans=memory.plans)
        memory.remember_plans(digested.plans, ())
        past.want_success("etl")
        await past.ask()
        return digested

    past.want_success("etl")
    await past.settle(memory, keep)
    await past.ask()
    await past.settle(memory, keep)
    assert kept == [*(f"failed-{days}" for days in range(1, 11)), "succeeded"]


async def test_one_that_is_active_needs_no_success(rig: Rig) -> None:
    """Its age is told from its activation; nothing is asked for the sake of the limit."""
    run(rig, "failed", Phase.FAILED, ago=3600)
    activate(rig, A, "etl")
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600
        assert not any(".name," in str(request) for _, request in rig.calls)


async def test_a_limit_is_shown_with_what_it_is_compared_with(rig: Rig) -> None:
    """That is a success, or since when the launch plan is active."""
    run(rig, "failed", Phase.FAILED, ago=3600)
    async with scheduled(rig) as stage:
        await listed(stage)
        assert rig.metric(FAILURES) == 1
        assert rig.metric(LIMIT) is rig.metric(SUCCEEDED) is rig.metric(SINCE) is None
        activate(rig, A, "etl")
        await listed(stage)
        assert rig.metric(LIMIT) == 26 * 3600
        assert rig.metric(SUCCEEDED) is None
        assert rig.metric(SINCE) is not None
