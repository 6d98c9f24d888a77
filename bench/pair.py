"""
The program twice, over the same server and at the same time: one of them traces.

Every span is exported, to a collector that is a process of its own.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from bench.figures import Figure, median, spread
from bench.processes import awaited, program
from bench.running import Running, Work, running
from bench.server import LISTENING

_BAR = 0.10
_SPANS = 3
"""The least that a poll makes: itself, a call and an attempt."""


class Pair(NamedTuple):
    """The program without spans, and the one with them."""

    off: Running
    on: Running


@contextmanager
def pair(admin: str, *, interval_seconds: int, **sections: Mapping[str, Any]) -> Iterator[Pair]:
    """Run both over the Admin at *admin* while the block runs, once they are ready."""
    collector = [sys.executable, "-m", "bench.collector"]
    with program(collector, orders=True) as process:
        tracing = {
            "exporter": "otlp",
            "protocol": "grpc",
            "endpoint": awaited(process, LISTENING),
        }
        with (
            running(admin, interval_seconds=interval_seconds, **sections) as off,
            running(admin, interval_seconds=interval_seconds, tracing=tracing, **sections) as on,
        ):
            yield Pair(off, on)


def cost_of_spans(what: str, off: Sequence[Work], on: Sequence[Work]) -> Figure:
    """Return what spans cost of a round: the median over stretches that both were watched in."""
    polls, spans = sum(work.polls for work in on), sum(work.spans for work in on)
    if spans < polls * _SPANS:
        raise RuntimeError(f"{spans} spans were exported in {polls} polls")
    # A round's polls may begin in the one before: the CPU time of a poll is what compares.
    without, traced = ([work.cpu_seconds / work.polls for work in works] for works in (off, on))
    ratios = [more / less - 1 for less, more in zip(without, traced, strict=True)]
    extra = median(ratios)
    return Figure(
        what=what,
        bar=f"<= {_BAR:.0%} of a round",
        measured=f"{extra:+.1%} ({spread(ratios, '{:+.1%}')})",
        beside=f"{median(without) * 1000:.2f} ms CPU a poll without; "
        f"{spans / polls:.1f} spans a poll",
        met=extra <= _BAR,
    )
