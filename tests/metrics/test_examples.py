"""What each family answers is said, in PromQL that names only what there is."""

import re
from collections.abc import Mapping
from typing import Any

import promql_parser
import pytest
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, VectorSelector

from exporter.admin.client import CODES, METHODS
from exporter.metrics.catalog import FAMILIES, PROJECT_INFO, Family, Kind, Source
from exporter.model.executions import Mode, Phase

_SUFFIXES = {
    Kind.COUNTER: ("",),
    Kind.GAUGE: ("",),
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
}
_SERIES = {family.name + suffix: family for family in FAMILIES for suffix in _SUFFIXES[family.kind]}
"""The family of each name that a sample has."""

_GIVEN_BY_PROMETHEUS = {"job", "instance"}
_CONFIGURED = {PROJECT_INFO: {"label_team"}}
"""Labels that a family has where a setting names them."""
_VALUES: Mapping[str, set[str]] = {
    "phase": {phase.name for phase in Phase},
    "mode": {mode.name for mode in Mode},
    "code": set(CODES),
    "method": set(METHODS),
}
"""Label values of which all are known."""

of_each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def nodes(example: str) -> list[Expr]:
    """Return all parts of a PromQL expression; it must be one."""
    found: list[Expr] = []
    promql_parser.walk(promql_parser.parse(example), found.append)
    return found


def selectors(family: Family) -> list[VectorSelector]:
    """Return what the family's example selects, with or without a window."""
    return [node for node in nodes(family.example) if isinstance(node, VectorSelector)]


def grouped_by(node: Expr) -> set[str]:
    """Return the labels that an operation groups or matches by, or brings along."""
    if isinstance(node, AggregateExpr) and node.modifier:
        return set(node.modifier.labels)
    if isinstance(node, BinaryExpr) and node.modifier:
        matching = node.modifier.matching
        return {*(matching.labels if matching else ()), *(node.modifier.group_labels or ())}
    return set()


@pytest.mark.parametrize("given", [{}, {"question": "Is it?"}, {"example": "x"}], ids=str)
def test_no_family_is_without(given: dict[str, Any]) -> None:
    """Whoever adds a family says what it is good for."""
    with pytest.raises(TypeError, match="required keyword-only argument"):
        Family("x", Kind.GAUGE, Source.PROCESS, "X.", **given)


@of_each_family
def test_a_question_is_one(family: Family) -> None:
    """One sentence on one line, that ends as questions do, and is not asked twice."""
    assert re.fullmatch(r"[A-Z][^\n?.!]*(\.[a-z][^\n?.!]*)*\?", family.question)
    assert [other for other in FAMILIES if other.question == family.question] == [family]


@of_each_family
def test_an_example_names_its_family_and_no_other_that_there_is_not(family: Family) -> None:
    """A name that was changed is changed in every example too."""
    names = [selector.name for selector in selectors(family)]
    assert family in {_SERIES[name or ""] for name in names}


@of_each_family
def test_an_example_names_only_labels_that_there_are(family: Family) -> None:
    """Of the families in it, or of those that Prometheus gives to what it scrapes."""
    known = {*_GIVEN_BY_PROMETHEUS}
    for selector in selectors(family):
        selected = _SERIES[selector.name or ""]
        labels = {*selected.labels, *_CONFIGURED.get(selected, ()), "le"}
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels
        known |= labels
    used = {label for node in nodes(family.example) for label in grouped_by(node)}
    assert used <= known


@of_each_family
def test_an_example_asks_for_label_values_that_there_are(family: Family) -> None:
    """A phase, mode, code or method that is misspelt would match nothing, in silence."""
    for selector in selectors(family):
        for matcher in selector.matchers.matchers:
            if matcher.name in _VALUES:
                assert set(matcher.value.split("|")) <= _VALUES[matcher.name]


@of_each_family
def test_an_example_takes_counters_for_what_they_are(family: Family) -> None:
    """What only grows is seen through rate() or increase(), and nothing else is."""
    seen_grow = []
    for node in nodes(family.example):
        if isinstance(node, Call) and node.func.name in {"rate", "increase"}:
            (window,) = node.args
            assert isinstance(window, MatrixSelector)
            seen_grow.append(window.vector_selector.name)
    grow = [s.name for s in selectors(family) if _SERIES[s.name or ""].kind is not Kind.GAUGE]
    assert sorted(map(str, seen_grow)) == sorted(map(str, grow))


@of_each_family
def test_an_example_can_be_read(family: Family) -> None:
    """It fits a page, indented by two, without anything to trim."""
    for line in family.example.split("\n"):
        assert line == line.rstrip()
        assert len(line) <= 90
        assert (len(line) - len(line.lstrip())) % 2 == 0
