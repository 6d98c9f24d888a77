"""Gauges of launch plans come and go, and pay for their place."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from exporter.metrics import catalog
from exporter.metrics.budget import NO_LIMITS, Budget
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import STANDING, PlanGauges, rows_of
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.renames import Renames
from exporter.model.launch_plans import Standing
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from tests import page
from tests.metrics.conftest import Diverted, Silence
from tests.rows import NOON, TARGET, after

LAST = catalog.PLAN_LAST_FINISHED
LASTED = catalog.PLAN_LAST_DURATION
INFO = catalog.LAUNCH_PLAN_INFO
ENDS = [(("FAILED",), 1.0), (("SUCCEEDED",), 2.0)]
OTHER = Target("flytesnacks", "staging")


class Wall:
    """What hangs there, and what it costs."""

    def __init__(
        self,
        limit: int = 1000,
        *,
        families: Mapping[Family, int] = NO_LIMITS,
        hidden: Collection[Family] = (),
        admitted: Collection[str] = (),
    ) -> None:
        self.observer = Diverted()
        self.budget = Budget(limit, families)
        self.exposition = Exposition(Silence(), hidden=hidden)
        self.gauges = PlanGauges(
            budget=self.budget,
            exposition=self.exposition,
            observer=self.observer,
            is_admitted=lambda _, launch_plan: launch_plan in admitted,
        )

    def lines(self) -> list[str]:
        """Return all samples on the page."""
        return page.lines(self.exposition)

    def used(self) -> Counter[str]:
        """Return what each family uses of the budget."""
        return +Counter({f.name: self.budget.used_by(f) for f in catalog.FAMILIES})


@pytest.fixture
def wall() -> Wall:
    """Return an empty one with room."""
    return Wall()


def test_a_family_that_is_off_shows_and_costs_nothing() -> None:
    """Whoever shows its rows need not know."""
    wall = Wall(hidden=[LAST])
    wall.gauges.show(TARGET, "nightly", LAST, [(("FAILED",), 1)])
    wall.gauges.show(TARGET, "nightly", LASTED, [((), 4.5)])
    assert [line.partition("{")[0] for line in wall.lines()] == [LASTED.name]
    assert wall.used() == {LASTED.name: 1}


def test_a_familys_own_limit_leaves_out_and_counts() -> None:
    """The other families have room."""
    wall = Wall(families={LAST: 2})
    for plan in ("a", "b"):
        wall.gauges.show(TARGET, plan, LAST, [(("FAILED",), 1), (("SUCCEEDED",), 2)])
        wall.gauges.show(TARGET, plan, LASTED, [((), 4.5)])
    assert wall.used() == {LAST.name: 2, LASTED.name: 2}
    assert wall.observer.increments_of == {LAST: 2}


def test_what_is_shown_anew_replaces_what_was(wall: Wall) -> None:
    """Of the same family and launch plan; others stay."""
    wall.gauges.show(TARGET, "nightly", LAST, [(("FAILED",), 1), (("SUCCEEDED",), 2)])
    wall.gauges.show(TARGET, "hourly", LAST, [(("FAILED",), 3)])
    wall.gauges.show(TARGET, "nightly", LASTED, [((), 4.5)])
    wall.gauges.show(TARGET, "nightly", LAST, [(("SUCCEEDED",), 5)])
    plan = 'project="flytesnacks",domain="production",launch_plan='
    assert wall.lines() == [
        f'{LAST.name}{{{plan}"nightly",phase="SUCCEEDED"}} 5',
        f'{LAST.name}{{{plan}"hourly",phase="FAILED"}} 3',
        f'{LASTED.name}{{{plan}"nightly"}} 4.5',
    ]
    # Each has a place for the other end, too.
    assert wall.used() == {LAST.name: 4, LASTED.name: 1}


def test_showing_nothing_is_dropping(wall: Wall) -> None:
    """And dropping what is not there is nothing."""
    wall.gauges.show(TARGET, "nightly", LAST, [(("FAILED",), 1)])
    wall.gauges.show(TARGET, "nightly", LAST, [])
    wall.gauges.drop(TARGET, "nightly", LAST)
    wall.gauges.drop(OTHER, "nightly")
    wall.gauges.drop_target(OTHER)
    assert (wall.lines(), wall.used()) == ([], {})


def test_all_of_a_launch_plan_or_of_a_target_goes_at_once(wall: Wall) -> None:
    """Whatever families it had, and nothing of another."""
    for target in (TARGET, OTHER):
        for launch_plan in ("nightly", "hourly"):
            for family in (LASTED, catalog.PLAN_EXPECTED_DURATION):
                wall.gauges.show(target, launch_plan, family, [((), 1)])
    wall.gauges.drop(TARGET, "nightly")
    assert len(wall.lines()) == 6
    wall.gauges.drop_target(TARGET)
    assert len(wall.lines()) == 4
    assert all('domain="staging"' in line for line in wall.lines())
    assert wall.used().total() == 4


def test_who_was_not_admitted_is_left_out_and_counted_where_there_is_no_room() -> None:
    """With all of a family: half of it would look like all."""
    wall = Wall(limit=3)
    wall.gauges.show(TARGET, "a", LAST, ENDS)
    wall.gauges.show(TARGET, "b", LAST, ENDS[:1])
    assert wall.observer.increments_of == {LAST: 1}
    assert len(wall.lines()) == wall.used().total() == 2
    wall.gauges.drop(TARGET, "a")
    wall.gauges.show(TARGET, "b", LAST, ENDS)
    assert wall.used() == {LAST.name: 2}


@pytest.mark.parametrize("admitted", [[], ["nightly"]], ids=["not admitted", "admitted"])
def test_who_is_shown_asks_for_no_room_again(admitted: list[str]) -> None:
    """Under a limit that others have filled, or that is lower now, all that was shown is shown."""
    wall = Wall(limit=10, admitted=admitted)
    for family in (LAST, LASTED):
        wall.gauges.show(TARGET, "nightly", family, ENDS[:1] if family is LAST else [((), 1)])
    wall.budget.take(catalog.EXECUTIONS_LAUNCHED, 7)
    wall.budget.limit = 1
    wall.budget.families = {LAST: 1, LASTED: 1}
    wall.gauges.show(TARGET, "nightly", LAST, ENDS)
    wall.gauges.show(TARGET, "nightly", LASTED, [((), 2)])
    assert [line.rpartition(" ")[2] for line in wall.lines()] == ["1", "2", "2"]
    assert wall.observer.increments_of == {}


def test_who_was_admitted_has_room_whatever_the_limit() -> None:
    """So a full restart shows all of them again; the limit of a family itself still holds."""
    wall = Wall(limit=0, families={LASTED: 0}, admitted=["nightly"])
    for plan in ("nightly", "other"):
        wall.gauges.show(TARGET, plan, LAST, ENDS)
        wall.gauges.show(TARGET, plan, LASTED, [((), 1)])
    assert wall.used() == {LAST.name: 2}
    assert wall.observer.increments_of == {LAST: 2, LASTED: 2}


@pytest.mark.parametrize("admitted", [[], ["all"]], ids=["not admitted", "admitted"])
def test_of_many_that_share_a_name_the_first_have_room(admitted: list[str]) -> None:
    """A name may stand for any number; what is more than one needs fits, or is left out."""
    wall = Wall(limit=4, admitted=admitted)
    infos = [(("wf", f"v{number}", ""), 1.0) for number in range(6)]
    for limit, wanted, shown in ((4, 2, 2), (4, 6, 4), (2, 6, 4), (2, 3, 3), (2, 4, 3), (0, 1, 1)):
        wall.budget.limit = limit
        wall.observer.increments_of.clear()
        wall.gauges.show(TARGET, "all", INFO, infos[:wanted])
        assert len(wall.lines()) == wall.used()[INFO.name] == shown
        assert wall.observer.increments_of.total() == wanted - shown


def test_what_is_unknown_has_no_sample() -> None:
    """Each family is named, so that what it showed before goes."""
    rows = rows_of(Standing(None, None, None, None, None, None))
    assert set(rows) == set(STANDING)
    assert not any(rows.values())


def test_what_is_known_has_its_sample() -> None:
    """In seconds; no failures in a row is a number too."""
    minute = timedelta(minutes=1)
    known = Standing(after(2), after(1.5), minute, 0, 2 * minute, 3 * minute)
    noon = NOON / 1_000_000
    assert rows_of(known) == {
        catalog.PLAN_LAST_FINISHED: [(("SUCCEEDED",), noon + 2), (("FAILED",), noon + 1.5)],
        catalog.PLAN_LAST_DURATION: [((), 60)],
        catalog.PLAN_CONSECUTIVE_FAILURES: [((), 0)],
        catalog.PLAN_EXPECTED_DURATION: [((), 120)],
        catalog.PLAN_FRESHNESS_LIMIT: [((), 180)],
    }


def test_what_other_rules_rename_or_switch_off_is_shown_no_more(wall: Wall) -> None:
    """And costs nothing; who keeps the name is shown on."""
    for plan in ("nightly", "weekly"):
        for family in (LAST, LASTED):
            wall.gauges.show(TARGET, plan, family, [(("SUCCEEDED",) if family is LAST else (), 1)])
    rules = Labelling(rules=[Renaming("weekly", "all")])
    wall.gauges.follow(Renames(AS_THEY_ARE, rules, {}), [LASTED])
    (line,) = wall.lines()
    assert line.startswith(LAST.name)
    assert 'launch_plan="nightly"' in line
    assert wall.used() == {LAST.name: 2}
    assert wall.gauges.launch_plans(TARGET) == ["nightly"]
