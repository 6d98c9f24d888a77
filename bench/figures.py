"""A figure means something only beside its bar; a bar only beside what it was measured against."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    bar: str
    """Empty where there is none: then it is shown for scale."""
    measured: str
    beside: str
    """What it was measured against, and the ratio to that; empty where the bar is absolute."""
    met: bool | None
    """Whether it keeps to its bar; None where it has none."""


def median(values: Iterable[float]) -> float:
    """Return the median: on a shared machine the mean belongs to the neighbours."""
    return statistics.median(values)


def spread(values: Iterable[float], form: str = "{:.2f}") -> str:
    """Return the least and the most of *values*, so that a noisy run can be told."""
    ordered = sorted(values)
    return f"{form.format(ordered[0])} to {form.format(ordered[-1])}"


def table(figures: Iterable[Figure]) -> str:
    """Return *figures* as a Markdown table."""
    rows = [
        ("What", "Bar", "Measured", "Beside", ""),
        *(
            (figure.what, figure.bar, figure.measured, figure.beside, verdict(figure))
            for figure in figures
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def verdict(figure: Figure) -> str:
    """Return `ok` or `MISSED`, or that there is no bar."""
    match figure.met:
        case None:
            return "for scale"
        case met:
            return "ok" if met else "MISSED"
