"""One scheduler after the other, on the same book: what is shown goes on, and costs once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.config.settings import AdminSettings, DiscoverySettings
from exporter.ledger.records import Commit
from exporter.metrics import catalog
from exporter.metrics.projects import ProjectGauges
from exporter.model.targets import Target
from exporter.scrape import scheduler as scheduling
from exporter.scrape.inventory import Inventory
from exporter.scrape.scheduler import Handover, Scheduler
from tests import page
from tests.plans import NIGHTLY, activate
from tests.rig import Rig, SteppedClock, quiet, register

A, B = Target("a", "development"), Target("b", "development")
_BOTH = DiscoverySettings(include=("*/development",))
_ONLY_B = DiscoverySettings(include=("b/development",))


def scheduler(rig: Rig, handover: Handover, settings: DiscoverySettings = _BOTH) -> Scheduler:
    """Return a scheduler on *rig* whose sleepers nobody wakes."""
    services = replace(rig.services, clock=SteppedClock(rig))
    admin = AdminSettings(endpoint="admin:81")
    inventory = Inventory(
        services,
        rig.exposition,
        rig.gauges,
        settings=settings,
        admin=admin,
        register=handover.register,
    )
    return Scheduler(
        services,
        rig.exposition,
        inventory=inventory,
        projects=ProjectGauges(
            exposition=rig.exposition,
            budget=rig.book.budget,
            observer=rig.process,
            labels=settings.project_labels,
        ),
        settings=settings,
        admin=admin,
        handover=handover,
    )


async def worked(one: Scheduler, *, until: Callable[[], object] = lambda: True) -> None:
    """Have *one* work until it has nothing left to do, and stop it."""
    running = asyncio.create_task(one.run())
    await quiet()
    assert until()
    running.cancel()
    await asyncio.wait([running])


def shows(rig: Rig, text: str) -> bool:
    """Whether /metrics has a line that begins with *text*."""
    return any(line.startswith(text) for line in page.lines(rig.exposition))


def told(rig: Rig) -> list[str]:
    """Return what /metrics says of Flyte and of the targets."""
    return [line for line in page.lines(rig.exposition) if line.startswith("flyte_")]


@pytest.fixture
def busy(make_rig: Callable[..., Rig]) -> Rig:
    """Return a rig with the projects a and b, each with a live execution."""
    rig = make_rig()
    for target in (A, B):
        register(rig, target.project)
        rig.launch(target, "live")
    return rig


async def test_what_is_scraped_further_is_shown_without_a_gap(busy: Rig) -> None:
    """Readiness, states and gauges are those from before until the next poll, and cost no more."""
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    before = [status._replace(live=0) for status in first.statuses()]

    second = scheduler(busy, first.hand_over(_BOTH))

    assert second.unready() == ""
    for project in ("a", "b"):
        assert shows(busy, f'flyte_exporter_target_up{{project="{project}"')
        assert shows(busy, f'flyte_executions_active{{project="{project}"')
    never = asyncio.get_running_loop().create_future()
    busy.at_await = lambda _: never
    await worked(second)
    assert [status._replace(live=0) for status in second.statuses()] == before
    assert second.unready() == ""
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 2


async def test_what_is_scraped_no_more_goes(busy: Rig) -> None:
    """Its gauges and their part of the budget; it is not in use, and its counters stay."""
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    second = scheduler(busy, first.hand_over(_ONLY_B), _ONLY_B)
    for gauge in ("flyte_exporter_target_up", "flyte_executions_active"):
        assert not shows(busy, f'{gauge}{{project="a"')
        assert shows(busy, f'{gauge}{{project="b"')
    assert shows(busy, 'flyte_executions_launched_total{project="a"')
    await worked(second, until=lambda: second.in_use(B, "") and not second.in_use(A, ""))
    assert [status.target for status in second.statuses()] == [B]
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 1


async def test_who_comes_back_begins_anew(busy: Rig) -> None:
    """A target that was left out for a while has no state from before, and costs once."""
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    second = scheduler(busy, first.hand_over(_ONLY_B), _ONLY_B)
    await worked(second)
    third = scheduler(busy, second.hand_over(_BOTH))
    await worked(third, until=lambda: shows(busy, 'flyte_executions_active{project="a"'))
    assert {status.target: status.up for status in third.statuses()} == {A: True, B: True}
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 2


async def test_what_is_active_is_known_to_the_next(busy: Rig) -> None:
    """Without another listing, since when it was, and at the same cost; of who leaves, all goes."""
    for target in (A, B):
        activate(busy, target, "etl", schedule=NIGHTLY)
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    (listed,) = (t for t in (A, B) if first.in_use(t, "etl"))
    infos = catalog.LAUNCH_PLAN_INFO
    info = f'{infos.name}{{project="{listed.project}"'
    since = busy.ledger.active_plans()
    assert shows(busy, info)

    second = scheduler(busy, first.hand_over(_BOTH))
    never = asyncio.get_running_loop().create_future()
    busy.at_await = lambda _: never
    await worked(second, until=lambda: second.in_use(listed, "etl"))
    assert shows(busy, info)
    assert busy.ledger.active_plans() == since
    used = busy.book.budget.used_by
    assert (used(infos), used(catalog.TARGET_INVENTORY_SUCCESS)) == (1, 2)

    second.hand_over(DiscoverySettings(include=("nothing/development",)))
    assert not shows(busy, info)
    assert (used(infos), used(catalog.TARGET_INVENTORY_SUCCESS)) == (0, 0)


async def test_a_discovery_that_is_committed_at_the_end_is_for_the_next(busy: Rig) -> None:
    """It starts no worker for a scheduler that has ended, and is not forgotten."""
    late: list[Callable[[], None]] = []

    class LateJournal:
        """Makes things true when the test does."""

        async def commit(self, _: Commit, *, then: Callable[[], None]) -> None:
            """Wait to be cancelled."""
            late.append(then)
            await asyncio.get_running_loop().create_future()

    journal: Any = LateJournal()
    first = scheduler(busy, Handover(discovery=None))
    first._services = replace(first._services, journal=journal)
    await worked(first)
    (then,) = late

    then()

    assert first.statuses() == []
    handover = first.hand_over(_BOTH)
    assert handover.discovery is not None
    assert set(handover.discovery.rows) >= {A, B}
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 0


async def test_what_was_not_taken_up_yet_is_not_lost(
    busy: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets are begun by and by; until then, and for whoever follows, all is as it was."""
    monkeypatch.setattr(scheduling, "_AT_ONCE", 1)
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    before = {status.target: status.up for status in first.statuses()}
    second = scheduler(busy, first.hand_over(_BOTH))
    running = asyncio.create_task(second.run())
    while not second._workers:  # noqa: ASYNC110  # nobody tells of half of the work
        await asyncio.sleep(0)
    (begun,) = second._workers
    (other,) = {A, B} - {begun}

    assert {status.target: status.up for status in second.statuses()} == before
    assert second.unready() == ""
    assert second.in_use(begun, "")
    assert second.in_use(other, "")
    running.cancel()
    await asyncio.wait([running])

    third = scheduler(busy, second.hand_over(_BOTH))
    assert {status.target: status.up for status in third.statuses()} == before
    only = DiscoverySettings(include=(f"{begun.project}/development",))
    fourth = scheduler(busy, third.hand_over(only), only)
    assert not shows(busy, f'flyte_exporter_target_up{{project="{other.project}"')
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 1
    await worked(fourth, until=lambda: fourth.in_use(begun, ""))
    assert [status.target for status in fourth.statuses()] == [begun]


async def test_all_are_taken_up(busy: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few at a time: those that the last discovery knew, and those that the next finds."""
    monkeypatch.setattr(scheduling, "_AT_ONCE", 1)
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    assert {status.target: status.up for status in first.statuses()} == {A: True, B: True}
    busy.launch(B, "new")
    second = scheduler(busy, first.hand_over(_BOTH))
    await worked(second)
    assert shows(busy, 'flyte_executions_launched_total{project="b",domain="development",laun')
    assert busy.book.budget.used_by(catalog.TARGET_UP) == 2


async def test_who_was_followed_forgets_and_takes_nothing_down(busy: Rig) -> None:
    """What it knew of the targets goes, and what is shown of them is its follower's."""
    first = scheduler(busy, Handover(discovery=None))
    await worked(first)
    second = scheduler(busy, first.hand_over(_BOTH))
    before = told(busy)
    await first.dissolve()
    assert first.statuses() == []
    assert told(busy) == before
    assert {status.target for status in second.statuses()} == {A, B}
