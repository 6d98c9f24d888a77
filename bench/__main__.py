"""
Measure, and print a table: `python -m bench [NAME...]`.

A figure that misses its bar is printed as MISSED and changes nothing else: figures are for people,
who know what else their machine was doing. Only a measurement that breaks is a failure.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence

from bench import (
    company,
    exposition,
    figures,
    fleet,
    history,
    latency,
    machine,
    start,
    throughput,
    tracing,
)
from bench.figures import Figure
from exporter.telemetry.log import configure

_ROWS: Mapping[str, Callable[[], Sequence[Figure]]] = {
    "throughput": throughput.measure,
    "history": history.measure,
    "fleet": fleet.measure,
    "exposition": exposition.measure,
    "company": company.measure,
    "start": start.measure,
    "latency": latency.measure,
    "tracing": tracing.measure,
}


def _measured(names: Sequence[str]) -> tuple[list[Figure], list[str]]:
    found: list[Figure] = []
    broken: list[str] = []
    for name in names:
        began = time.monotonic()
        try:
            found += _ROWS[name]()
        except Exception:  # noqa: BLE001  # the edge of one measurement: the others go on
            traceback.print_exc()
            broken.append(name)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found, broken


def main() -> int:
    """Measure what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(_ROWS)}; all by default"
    )
    names = parser.parse_args().names or list(_ROWS)
    if unknown := [name for name in names if name not in _ROWS]:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(_ROWS)}")
    configure(level="error", media="logfmt")
    print(machine.description(), end="\n\n", flush=True)
    found, broken = _measured(names)
    print(figures.table(found))
    missed = [figure.what for figure in found if figure.met is False]
    if missed:
        print("\nMISSED:", *missed, sep="\n  ")
    if broken:
        print("\nBROKEN:", *broken, sep="\n  ")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
