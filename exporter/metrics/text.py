"""
Samples as text.

The lines are the same in the text format 0.0.4 and in OpenMetrics 1.0; only the headers and the end
differ, and that OpenMetrics can name an execution behind a sample.

Source: prometheus.io `docs/instrumenting/exposition_formats`, and OpenMetrics 1.0 for the form of
    `le` ("+Inf", floats with a point).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate

from exporter.metrics.catalog import Family
from exporter.metrics.exemplars import LABEL, TRACE_LABEL, Exemplar
from exporter.metrics.formats import Format
from exporter.model.time import seconds

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
    counts = list(accumulate(buckets))
    lines = [
        f'{bound}"}} {count}\n' for bound, count in zip((*bounds, "+Inf"), counts, strict=True)
    ]
    end = (
        f"{family.name}_count{{{pairs}}} {counts[-1]}\n"
        f"{family.name}_sum{{{pairs}}} {number(total)}\n"
    )
    return f"{start}{start.join(lines)}{end}".encode()


def exemplar(shown: Exemplar, trace_id: str | None = None) -> bytes:
    """Return what goes behind a sample to name an execution that it counted, and a trace of it."""
    traced = f',{TRACE_LABEL}="{trace_id}"' if trace_id else ""
    pairs = f'{LABEL}="{_escaped(shown.name)}"{traced}'
    return f" # {{{pairs}}} {number(shown.value)} {number(seconds(shown.at))}".encode()


def with_exemplars(piece: bytes, exemplars: Mapping[int, bytes]) -> bytes:
    """Return *piece* with *exemplars*, as `exemplar` returns them, behind the lines they are of."""
    lines = piece.split(b"\n")
    for place, shown in exemplars.items():
        lines[place] += shown
    return b"\n".join(lines)


def number(value: float) -> str:
    """Return *value* as a sample gives it: whole numbers without a point."""
    whole = int(value)
    return str(whole) if whole == value else repr(value)


def bound(value: float) -> str:
    """Return *value* as `le` gives it."""
    return repr(float(value))


def _pairs(family: Family, labels: Sequence[str]) -> str:
    joined = "".join(labels)
    if "" in labels or '"' in joined or "\\" in joined or "\n" in joined:
        # To Prometheus an empty label is none. Only where it is "all of them", that is shown.
        return ",".join(
            f'{name}="{_escaped(value)}"'
            for name, value in zip(family.labels, labels, strict=True)
            if value or name != "launch_plan"
        )
    return _form(family) % tuple(labels)


@cache
def _form(family: Family) -> str:
    """Return the pairs of *family* without their values; nearly all can stand there as they are."""
    return ",".join(f'{name}="%s"' for name in family.labels)


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)
