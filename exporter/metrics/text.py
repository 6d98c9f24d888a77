"""
Samples as text.

The lines are the same in the text format 0.0.4 and in OpenMetrics 1.0; only the headers and the end
differ.

Source: prometheus.io `docs/instrumenting/exposition_formats`, and OpenMetrics 1.0 for the form of
    `le` ("+Inf", floats with a point).
"""

from collections.abc import Sequence

from exporter.metrics.catalog import Family
from exporter.metrics.formats import Format

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
END_OF_OPENMETRICS = b"# EOF\n"


def header(family: Family, media: Format) -> bytes:
    """Return the lines that go before *family*'s samples."""
    if media is Format.OPENMETRICS:
        name = family.stem
        unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    else:
        name = family.name
        unit = ""
    escaped = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if media is Format.OPENMETRICS:
        escaped = escaped.replace('"', r"\"")
    return f"# HELP {name} {escaped}\n# TYPE {name} {family.kind.value}\n{unit}".encode()


def sample(family: Family, labels: Sequence[str], value: float) -> bytes:
    """Return the one line of a counter or gauge."""
    return f"{family.name}{{{_pairs(family, labels)}}} {number(value)}\n".encode()


def histogram(
    family: Family,
    labels: Sequence[str],
    bounds: Sequence[str],
    buckets: Sequence[int],
    total: float,
) -> bytes:
    """
    Return the lines of one histogram.

    Args:
        family: The family.
        labels: Its label values.
        bounds: Upper bounds as they stand in `le`, without the last, `+Inf`.
        buckets: Observations in each bucket by itself, the one without bound included.
        total: Sum of the observations.
    """
    pairs = _pairs(family, labels)
    start = f'{family.name}_bucket{{{pairs},le="'
    count = 0
    lines = []
    for bound, observed in zip((*bounds, "+Inf"), buckets, strict=True):
        count += observed
        lines.append(f'{start}{bound}"}} {count}\n')
    lines.append(f"{family.name}_count{{{pairs}}} {count}\n")
    lines.append(f"{family.name}_sum{{{pairs}}} {number(total)}\n")
    return "".join(lines).encode()


def number(value: float) -> str:
    """Return *value* as a sample gives it: whole numbers without a point."""
    whole = int(value)
    return str(whole) if whole == value else repr(value)


def bound(value: float) -> str:
    """Return *value* as `le` gives it."""
    return repr(float(value))


def _pairs(family: Family, labels: Sequence[str]) -> str:
    # To Prometheus an empty label is none. Only where it stands for "all of them" is that shown.
    return ",".join(
        f'{name}="{value.translate(_ESCAPES)}"'
        for name, value in zip(family.labels, labels, strict=True)
        if value or name != "launch_plan"
    )
