"""What is counted goes to the series that are configured, and to no other."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.relabelling import (
    FamiliesSettings,
    FamilySettings,
    PlanFamilySettings,
    RelabelRule,
)
from exporter.config.settings import MetricsSettings
from exporter.metrics import catalog
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.labelling import AS_THEY_ARE, Labelling, labelled, labelling_stated
from exporter.metrics.measure import Increments, SeriesKey, measure
from exporter.metrics.selection import family_limits_of, labelling_of
from exporter.model.events import Events
from exporter.model.executions import TERMINAL, Execution
from exporter.model.renaming import Renaming
from tests.metrics.conftest import everything, plan_labels
from tests.rows import TARGET, execution

DATES = Renaming(r"(.*)_\d{4}_\d{2}_\d{2}", "$1")
_GROWING = [f for f in FAMILIES if f.source not in (Source.PROCESS, Source.TARGET)]
_WITH_PLAN = [family for family in _GROWING if "launch_plan" in family.labels]

_rows = st.lists(
    st.builds(
        execution,
        st.just("x"),
        st.sampled_from(sorted(TERMINAL)),
        started=st.just(2),
        lasted=st.sampled_from([5, 30]),
        launch_plan=st.sampled_from(["a", "a_2026_11_23", "a_2026_11_24", "b_2026_11_23", "c"]),
    ),
    max_size=12,
)
_labellings = st.builds(
    Labelling,
    rules=st.lists(st.sampled_from([DATES, Renaming("a|b", "ab"), Renaming(".*", "all")])),
    disabled=st.sets(st.sampled_from(_GROWING)),
    unnamed=st.sets(st.sampled_from(_WITH_PLAN)),
)


def sums(increments: Increments) -> Counter[Family]:
    """Return how much each family gains over all its series."""
    gained: Counter[Family] = Counter()
    for (family, _), count in increments.counts.items():
        gained[family] += count
    for (family, _), values in increments.observations.items():
        gained[family] += len(values)
    return gained


def test_every_family_that_grows_can_be_configured() -> None:
    """Counts and levels add up over launch plans, so these families can do without them."""
    settings = dict(FamiliesSettings().items())
    assert list(settings) == [family.name for family in _GROWING]
    for family in _GROWING:
        adds_up = family in _WITH_PLAN and family.source in (Source.LEDGER, Source.LIVE)
        assert isinstance(settings[family.name], PlanFamilySettings) == adds_up


def test_settings_are_what_is_counted_by() -> None:
    """Each key has its effect, on its own family."""
    settings = MetricsSettings(
        relabel=(RelabelRule(match="(.*)-[0-9a-f]+", replacement="$1"),),
        families=FamiliesSettings(
            flyte_executions_started_total=FamilySettings(enabled=False),
            flyte_executions_active=PlanFamilySettings(launch_plan=False, series_limit=7),
        ),
    )
    labelling = labelling_of(settings)
    assert labelling.disabled == {catalog.EXECUTIONS_STARTED}
    assert not labelling.names_plans(catalog.EXECUTIONS_ACTIVE)
    assert labelling.names_plans(catalog.EXECUTIONS_OLDEST)
    assert labelling.label("etl-7f") == "etl"
    assert family_limits_of(settings) == {catalog.EXECUTIONS_ACTIVE: 7}
    assert labelling_of(MetricsSettings()).is_plain
    assert family_limits_of(MetricsSettings()) == {}


def test_names_that_become_one_are_counted_together() -> None:
    """Counts add up, durations stand side by side, and a birth is one."""
    rows = [execution(n, launch_plan=f"daily_2026_11_2{n}") for n in "123"]
    increments = labelled(measure(TARGET, Events(launched=rows)), Labelling(rules=[DATES]))
    assert increments.counts == {
        (catalog.EXECUTIONS_LAUNCHED, plan_labels("daily", "SCHEDULED")): 3
    }
    assert (catalog.EXECUTION_DURATION, plan_labels("daily")) in increments.births
    assert increments.launch_plans == {"daily"}


def test_the_first_rule_that_matches_counts() -> None:
    """And it alone: the others do not go on with what it made."""
    labelling = Labelling(rules=[Renaming("a.*", "b"), Renaming("b", "c"), Renaming("a", "d")])
    assert [labelling.label(name) for name in ("a", "a1", "b", "x")] == ["b", "b", "c", "x"]


def test_a_name_is_never_renamed_to_nothing() -> None:
    """A series without the label would stand for all launch plans."""
    labelling = Labelling(rules=[Renaming("(.*)tmp(.*)", "$1$2")])
    assert labelling.label("tmp") == "tmp"
    assert labelling.label("tmp1") == "1"
    assert labelling.label("") == ""


@given(_rows, _labellings)
def test_a_family_gains_the_same_by_any_rules(rows: list[Execution], labelling: Labelling) -> None:
    """However names are changed, nothing is lost; what is switched off gains nothing."""
    plain = measure(TARGET, everything(rows))
    increments = labelled(plain, labelling)
    expected = sums(plain)
    for family in labelling.disabled:
        del expected[family]
    assert sums(increments) == expected
    keys: set[SeriesKey] = {*increments.births, *increments.counts, *increments.observations}
    for family, labels in keys:
        assert family not in labelling.disabled
        if "launch_plan" in family.labels:
            assert bool(labels[2]) == labelling.names_plans(family)


@given(_rows, _labellings)
def test_births_come_in_the_order_of_launches(rows: list[Execution], labelling: Labelling) -> None:
    """Who is the last to fit a limit is no matter of luck."""
    increments = labelled(measure(TARGET, everything(rows)), labelling)
    names = [labels[2] for family, labels in increments.births if family in _WITH_PLAN]
    order = list(dict.fromkeys(labelling.label(row.launch_plan) for row in rows))
    assert [name for name in dict.fromkeys(names) if name] in ([], order)


def test_equal_rules_are_stated_alike() -> None:
    """So a ledger tells whether its series have to move; what is switched off moves nothing."""
    one, same = (
        Labelling(rules=[Renaming("a", "b")], unnamed=[catalog.EXECUTIONS_ACTIVE], disabled=off)
        for off in ([], [catalog.EXECUTIONS_STARTED])
    )
    assert one.stated == same.stated != ""
    others = [
        Labelling(rules=[Renaming("a", "c")], unnamed=[catalog.EXECUTIONS_ACTIVE]),
        Labelling(rules=[Renaming("a", "b")]),
        Labelling(unnamed=[catalog.EXECUTIONS_ACTIVE]),
        AS_THEY_ARE,
    ]
    assert len({one.stated, *(other.stated for other in others)}) == 5
    assert AS_THEY_ARE.stated == Labelling(disabled=[catalog.EXECUTIONS_STARTED]).stated == ""


def test_what_is_stated_can_be_read() -> None:
    """A ledger tells the next process by which rules its series are named."""
    one = Labelling(
        rules=[DATES, Renaming("a", "b")],
        unnamed=[catalog.EXECUTIONS_ACTIVE],
        disabled=[catalog.EXECUTIONS_STARTED],
    )
    read = labelling_stated(one.stated)
    assert read.stated == one.stated
    assert read.renames_like(one)
    assert read.label("daily_2026_11_23") == "daily"
    assert labelling_stated("").is_plain


def test_what_cannot_be_read_renames_nothing() -> None:
    """A pattern that RE2 takes no more, and a family that there is no more."""
    read = labelling_stated('[[["(", "x"]], ["flyte_gone_total", "flyte_executions_active"]]')
    assert read.label("(") == "("
    assert not read.names_plans(catalog.EXECUTIONS_ACTIVE)
    assert read.names_plans(catalog.EXECUTIONS_OLDEST)
