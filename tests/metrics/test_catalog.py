"""Every family keeps the rules that Prometheus and our own readers rely on."""

import re

import pytest

from exporter.metrics import catalog
from exporter.metrics.catalog import BY_NAME, FAMILIES, Family, Kind, Source

_UNITS = ("seconds", "bytes")
_CONFIGURED = {
    catalog.EXECUTION_DURATION,
    catalog.EXECUTION_QUEUE_DURATION,
    catalog.TASK_DURATION,
    catalog.TASK_QUEUE_DURATION,
}
"""Histograms whose bounds are a setting."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_say_what_a_family_is(family: Family) -> None:
    """A counter ends in _total and nothing else does; a unit stands in the name and the family."""
    assert re.fullmatch(r"flyte_[a-z0-9_]*[a-z0-9]", family.name)
    assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
    unit = next((unit for unit in _UNITS if family.stem.endswith(f"_{unit}")), "")
    assert family.unit == unit
    assert family.stem == family.name.removesuffix("_total")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_help_text_is_one_or_two_sentences(family: Family) -> None:
    """It ends with a full stop, stays on one line and begins with a capital letter."""
    assert re.fullmatch(r"[A-Z][^\n]*\.", family.help)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_labels_are_few_and_bounded(family: Family) -> None:
    """No label names an execution; none is one that Prometheus keeps for itself."""
    assert len(set(family.labels)) == len(family.labels) <= 6
    for label in family.labels:
        assert re.fullmatch(r"[a-z][a-z_]*", label)
        assert label not in {"le", "quantile", "job", "instance"}
        # A cluster is no execution, though Flyte calls it the execution's.
        assert "execution" not in label.removeprefix("execution_cluster")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_bounds_are_in_order(family: Family) -> None:
    """Only histograms have them; those whose bounds are configured have none here."""
    assert list(family.buckets) == sorted(set(family.buckets))
    fixed = family.kind is Kind.HISTOGRAM and family not in _CONFIGURED
    assert bool(family.buckets) is fixed


def test_the_list_is_complete() -> None:
    """Each family of the module is in it once, under its own name."""
    declared = [value for value in vars(catalog).values() if isinstance(value, Family)]
    assert list(FAMILIES) == declared
    assert len(BY_NAME) == len(FAMILIES)


def test_stems_are_unique() -> None:
    """OpenMetrics sets `_total` aside: no gauge may have what then remains."""
    stems = [family.stem for family in FAMILIES]
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize("source", [Source.LEDGER, Source.LIVE, Source.TARGET])
def test_whatever_is_about_a_target_names_it_first(source: Source) -> None:
    """Project and domain lead the labels, so that series of a target can be found."""
    for family in FAMILIES:
        if family.source is source and family is not catalog.CLUSTER_EXECUTIONS_FINISHED:
            assert family.labels[:2] == catalog.TARGET


def test_only_what_counts_executions_names_one() -> None:
    """Exemplars are for counters and histograms of the ledger."""
    named = {family for family in FAMILIES if family.exemplars}
    assert {family.source for family in named} == {Source.LEDGER}
    assert Kind.GAUGE not in {family.kind for family in named}
