"""Rules for names read as Prometheus reads them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.renaming import Renaming, RenamingError

_names = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize(
    ("match", "replacement", "name", "renamed"),
    [
        (r"(.*)_\d{4}_\d{2}_\d{2}", "$1", "daily_report_2026_11_23", "daily_report"),
        (r"(.*)_\d{4}_\d{2}_\d{2}", "${1}", "täglich_2026_11_23", "täglich"),
        (r"(.*)_\d{4}_\d{2}_\d{2}", "$1", "daily_report_2026_11_23_rerun", None),
        (r"\d+", "n", "x12", None),
        (r"(?P<team>\w+)\.(?P<rest>.*)", "$rest.${team}", "risk.score", "score.risk"),
        (r"(a)|(b)", "<$1$2>", "b", "<b>"),
        (r"(a)(x)?", "$1$2!", "a", "a!"),
        (r"(.*)", "$$$0$$", "a", "$a$"),
        (r"x|y", "z", "x", "z"),
        (r"x|y", "z", "xy", None),
        (r"(?i)etl\..*", "etl", "ETL.load", "etl"),
        (r"", "empty", "", "empty"),
        (r".*", "all", "a\nb", None),
        (r"(?s).*", "all", "a\nb", "all"),
    ],
)
def test_what_a_rule_makes_of_a_name(
    match: str, replacement: str, name: str, renamed: str | None
) -> None:
    """The pattern is about the whole name, and a group that took no part is empty."""
    assert Renaming(match, replacement).renamed(name) == renamed


@pytest.mark.parametrize(
    ("match", "replacement", "problem"),
    [
        ("(", "x", r"RE2 says 'missing \): \('"),
        ("(?=a)", "x", r"RE2 says 'invalid perl operator: \(\?='"),
        (r"(a)\1", "x", r"RE2 says 'invalid escape sequence: \\\\1'"),
        ("a{100000}", "x", "RE2 says 'invalid repetition size"),
        ("(((a{100}){100}){100})", "x", "RE2 says '"),
        ("\ud800", "x", "half a character"),
        ("a" * 501, "x", "longer than 500"),
        ("a", "x" * 501, "longer than 500"),
        ("a", "$1", r'match has no group "1"$'),
        ("(a)", "$1_x", r'match has no group "1_x"; write \$\{1\}_x'),
        ("(a)", "$2_x", r'match has no group "2_x"$'),
        ("(?P<n>a)", "$m", r'match has no group "m"$'),
        ("(a)", "${1", "write a dollar sign as \\$\\$"),
        ("(a)", "1$", "write a dollar sign as \\$\\$"),
    ],
)
def test_what_cannot_be_meant_is_refused(match: str, replacement: str, problem: str) -> None:
    """Rather than that a rule silently does nothing, or yields an empty name."""
    with pytest.raises(RenamingError, match=problem):
        Renaming(match, replacement)


@pytest.mark.parametrize("match", ["(a*)*b", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)x"])
def test_no_name_makes_a_pattern_slow(match: str) -> None:
    """Patterns that take Python's own engine longer than the universe has been there."""
    rule = Renaming(match, "x")
    began = time.perf_counter()
    assert rule.renamed("a" * 255) is None
    assert time.perf_counter() - began < 1


@given(_names)
def test_the_whole_name_is_group_0(name: str) -> None:
    """Any name goes in and comes out."""
    assert Renaming("(?s).*", "$0").renamed(name) == name
    assert Renaming("(?s)(.*)", "a${1}b").renamed(name) == f"a{name}b"


@given(st.text(max_size=30), st.text(max_size=30), _names)
def test_any_rule_is_a_rule_or_refused(match: str, replacement: str, name: str) -> None:
    """Nothing else is raised, neither when it is read nor when it is used."""
    try:
        rule = Renaming(match, replacement)
    except RenamingError:
        return
    renamed = rule.renamed(name)
    assert renamed is None or isinstance(renamed, str)
