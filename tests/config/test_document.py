"""How text is read as values, and where it says that they stand."""

import math

import pytest

from exporter.config import document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("30", 30),
        ("-7", -7),
        ("0.5", 0.5),
        ("1.5e3", 1500.0),
        ("!!str 30", "30"),
        ("'30'", "30"),
    ],
)
def test_plain_values_are_what_they_look_like(text: str, value: object) -> None:
    """Numbers, booleans and nothing are read as such, unless they are quoted."""
    read = document.read(text).value
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    ["yes", "off", "on", "n", "010", "0x10", "1_000", "1:30", "2024-01-01", "=", "<<", "9" * 5000],
)
def test_what_only_yaml_1_1_makes_a_value_stays_text(text: str) -> None:
    """Nobody who writes `1:30` means the number 90, so it comes out as it was written."""
    assert document.read(text).value == text


def test_a_key_is_text_whatever_it_looks_like() -> None:
    """A key `on` or `1` is shown as it was written, so that its writer recognises it."""
    assert document.read("{on: 1, 1: 2, ~: 3}").value == {"on": 1, "1": 2, "~": 3}


def test_places_count_from_one() -> None:
    """A place is what an editor shows: line and column from 1, of the key or of the value."""
    read = document.read("a:\n  b: [x, 1]\nc: &anchor {d: 1}\ne: *anchor\n")
    assert read.place(("a", "b")) == (2, 6)
    assert read.place(("a", "b"), of_key=True) == (2, 3)
    assert read.place(("a", "b", 1)) == (2, 10)
    assert read.place(("e", "d")) == (3, 16)


@pytest.mark.parametrize("path", [("x",), ("a", "x"), ("a", 0), ("b", 1), ("b", "x"), ("c", "x")])
def test_what_is_not_there_has_no_place(path: document.KeyPath) -> None:
    """A path that leads nowhere has no place rather than a wrong one."""
    assert document.read("{a: {}, b: [1], c: 1}").place(path) is None


def test_aliases_of_aliases_do_not_explode() -> None:
    """Sixty doublings would be 10^18 values; they are built as sixty-one."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 61))]
    read = document.read("\n".join(lines))
    depth, value = 0, read.value["a60"] if isinstance(read.value, dict) else None
    while isinstance(value, list):
        depth, value = depth + 1, value[0]
    assert (depth, value) == (61, "x")


def test_a_value_that_holds_itself_is_a_fault() -> None:
    """An alias to what it stands in is told and does not recurse for ever."""
    read = document.read("a: &a\n  - *a\n")
    assert [(fault.path, fault.line) for fault in read.faults] == [(("a", 0), 1)]


def test_a_huge_float_is_read() -> None:
    """A number out of range is left for its setting to refuse."""
    assert document.read("1.0e999").value == math.inf
