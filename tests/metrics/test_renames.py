"""What becomes of names when the rules that make them change."""

import pytest

from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.labelling import AS_THEY_ARE, Labelling
from exporter.metrics.renames import Renames
from exporter.model.renaming import Renaming
from exporter.model.targets import Target
from tests.metrics.conftest import plan_labels
from tests.rows import TARGET

_LAUNCHED = catalog.EXECUTIONS_LAUNCHED
_UNNAMED = Labelling(unnamed=[_LAUNCHED])
_STRIP = Renaming(r"[^.]+\.(.*)", "$1")
_TASK = "task\x1fa"


def _by(*rules: Renaming) -> Labelling:
    return Labelling(rules=rules)


_PLAIN = AS_THEY_ARE
_DATES = _by(Renaming(r"(.*)_\d{4}_\d{2}_\d{2}", "$1"))
_ALL = _by(Renaming(".*", "all"))
_ONE, _OTHER = (_by(Renaming("[ab]", name)) for name in ("one", "other"))
_APART = _by(Renaming("a", "x"), Renaming("b", "y"))
_CHAIN = _by(Renaming("a", "b"), Renaming("b", "c"))
_STRIPPED, _STRIPPED_TOO = _by(_STRIP), _by(Renaming("other", "o"), _STRIP)
_DAYS = ("daily_2026_11_23", "daily_2026_11_24")

_CASES = {
    "a rule is added": (_PLAIN, _DATES, _DAYS, "daily_2026_11_23", "daily"),
    "a rule is added, nobody is known": (_PLAIN, _DATES, (), "daily_2026_11_23", "daily"),
    "a rule is changed": (_ONE, _OTHER, ("a",), "one", "other"),
    "a rule is changed, of several": (_ONE, _OTHER, ("a", "b"), "one", "other"),
    "a rule is changed, nobody is known": (_ONE, _OTHER, (), "one", "one"),
    "a rule is removed": (_ONE, _PLAIN, ("a",), "one", "one"),
    "a rule is removed, of several": (_DATES, _PLAIN, _DAYS, "daily", "daily"),
    "they are told apart": (_ONE, _APART, ("a", "b"), "one", "one"),
    "the rule makes names that it matches": (
        _STRIPPED, _STRIPPED_TOO, ("team.etl.nightly",), "etl.nightly", "etl.nightly"
    ),
    "the same, nobody is known": (
        _STRIPPED, _STRIPPED_TOO, (), "etl.nightly", "etl.nightly"
    ),
    "the rules stay": (_STRIPPED, _STRIPPED, ("a.b.c",), "b.c", "b.c"),
    "a chain": (_PLAIN, _CHAIN, ("a", "b"), "b", "c"),
    "overflow": (_PLAIN, _ALL, (), OVERFLOW, OVERFLOW),
    "a task": (_PLAIN, _ALL, (), _TASK, _TASK),
    "the target itself": (_PLAIN, _ALL, (), "", ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "known", "name", "expected"), _CASES.values(), ids=_CASES
)
def test_what_becomes_of_a_name(
    before: Labelling, after: Labelling, known: tuple[str, ...], name: str, expected: str
) -> None:
    """By the launch plans that are known to have had it, or else by what the rules make of it."""
    assert Renames(before, after, {TARGET: known}).name(TARGET, name) == expected


def test_a_name_is_one_of_a_target() -> None:
    """In another target another launch plan may have it."""
    other = Target("other", "production")
    renames = Renames(_ONE, _OTHER, {TARGET: ["a"], other: ["one"]})
    assert renames.name(TARGET, "one") == "other"
    assert renames.name(other, "one") == "one"


@pytest.mark.parametrize(
    ("before", "after", "known", "name", "kept"),
    [
        (_ONE, _PLAIN, ("a",), "one", False),
        (_ONE, _PLAIN, ("a", "one"), "one", True),
        (_ONE, _OTHER, ("a",), "one", False),
        (_ONE, _PLAIN, (), "one", True),
        (_ONE, _ONE, ("a",), "one", True),
        (_STRIPPED, _STRIPPED_TOO, ("team.etl.nightly",), "etl.nightly", True),
    ],
)
def test_who_goes_by_a_name_further_on(
    before: Labelling, after: Labelling, known: tuple[str, ...], name: str, kept: bool
) -> None:
    """Counts may stay where nobody is any more; what is shown of launch plans must not."""
    assert Renames(before, after, {TARGET: known}).keeps(TARGET, name) is kept


@pytest.mark.parametrize(
    ("before", "after", "name", "expected"),
    [
        (_PLAIN, _DATES, "daily_2026_11_23", "daily"),
        (_PLAIN, _DATES, OVERFLOW, OVERFLOW),
        (_PLAIN, _UNNAMED, "daily", ""),
        (_PLAIN, _UNNAMED, OVERFLOW, ""),
        (_PLAIN, Labelling(unnamed=[catalog.EXECUTIONS_FINISHED]), "daily", "daily"),
        (_UNNAMED, _PLAIN, "", OVERFLOW),
    ],
)
def test_where_a_series_goes(before: Labelling, after: Labelling, name: str, expected: str) -> None:
    """To where it would be counted now; what was nobody's goes to nobody."""
    renames = Renames(before, after, {})
    moved = renames.labels(_LAUNCHED, plan_labels(name, "SCHEDULED"))
    assert moved == plan_labels(expected, "SCHEDULED")
    assert renames.labels(catalog.EXECUTIONS_STARTED, TARGET) == TARGET
