"""The table that measurements print."""

import pytest

from bench.figures import Figure, table


@pytest.mark.parametrize(
    ("met", "expected"), [(True, "ok"), (False, "MISSED"), (None, "for scale")]
)
def test_what_has_no_bar_neither_keeps_nor_misses_it(met: bool | None, expected: str) -> None:
    """Whoever looks for `ok` finds it only where something was asked."""
    *_, row = table([Figure(what="a", bar="", measured="1", beside="", met=met)]).splitlines()
    assert row.strip("| ").endswith(expected)
