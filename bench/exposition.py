"""
The document at its largest: what a scrape costs, what it holds up, and what all of it weighs.

One process (`bench.loaded`) polls 620 targets with 100,000 live executions while executions finish
all the time, of so many launch plans that the default limit on series is reached. Beside a scrape
stands `prometheus_client.generate_latest` over the same series.
"""

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bench.figures import Figure, median
from bench.loaded import LISTENING
from bench.observation import Answer, Usage, get, total, wait_until_listed, wait_until_ready
from bench.processes import awaited, program, serving
from bench.stopwatch import LONGEST_SECONDS
from bench.worlds import Crowd, active_plans
from exporter.metrics import catalog
from exporter.metrics.catalog import Family, Kind
from exporter.metrics.formats import Format

_FLEET = Crowd(
    project="fleet",
    targets=620,
    plans=16,
    live=167,
    # They come to be while we measure: a hundred a second over all targets.
    rows=40,
    newest_seconds=-150,
    spacing_micros=6_000_000,
    settled=True,
)
_SERIES = 250_000
_SCRAPES = 15
_READY_SECONDS = 120.0
_WATCH_SECONDS = 40.0
_RELOAD_SECONDS = 16.0
"""All targets have a turn in it."""
_BAR_SHARE = 1 / 20
_BAR_MEBIBYTES = 500
_MEBIBYTE = 1 << 20
_SAMPLE = re.compile(rb"(\w+)[{ ]")
_LABEL = re.compile(rb'(\w+)="([^"]*)"')


class _Loaded:
    """The process under load."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port
        self.usage = Usage(process.pid)

    def order(self, word: str) -> dict[str, float]:
        """Give an order; return what the stopwatch saw."""
        if self._process.stdin is None:
            raise RuntimeError("started without a pipe to write to")
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(awaited(self._process, ""))
        return answer

    def scrape(self, encoding: str = "identity", media: Format = Format.OPENMETRICS) -> Answer:
        """Get /metrics as Prometheus would, which prefers OpenMetrics and its exemplars."""
        return get(self.port, "/metrics", encoding, media.content_type)


@contextmanager
def _loaded(crowds: Sequence[Crowd]) -> Iterator[_Loaded]:
    with (
        serving([*crowds]) as address,
        program([sys.executable, "-m", "bench.loaded", address], orders=True) as process,
    ):
        loaded = _Loaded(process, int(awaited(process, LISTENING)))
        wait_until_ready(loaded.port, seconds=_READY_SECONDS)
        wait_until_listed(loaded.port, active_plans(crowds), seconds=_READY_SECONDS)
        yield loaded


class Observed(NamedTuple):
    """What was seen of one process, and what `generate_latest` costs beside it."""

    body: bytes
    samples: int
    exemplars: int
    active: int
    lag: Mapping[str, float]
    reload: Mapping[str, float]
    """The same of a reload, and of the polls that begin anew after it."""
    rename: Mapping[str, float]
    """The same of one that gives every launch plan another name, and how long it took."""
    resident: float
    plain: "_Cost"
    packed: "_Cost"
    peak: float
    latest: float
    """CPU seconds of `generate_latest` over the same series."""

    @property
    def share(self) -> float:
        """What a scrape costs of what `generate_latest` would."""
        return self.plain.cpu / self.latest

    @property
    def met(self) -> bool:
        """Whether a scrape, the event loop and the memory are within their bars."""
        return (
            self.share <= _BAR_SHARE
            and self.blocked <= LONGEST_SECONDS
            and self.peak_mebibytes <= _BAR_MEBIBYTES
        )

    @property
    def peak_mebibytes(self) -> float:
        """The most memory that it ever had."""
        return self.peak / _MEBIBYTE

    @property
    def blocked(self) -> float:
        """For how many seconds we blocked the event loop at most."""
        return self.lag["worst_own_seconds"]


def observed(crowds: Sequence[Crowd]) -> Observed:
    """Load one process with *crowds* and measure it in three ways."""
    with _loaded(crowds) as loaded:
        body = loaded.scrape(media=Format.TEXT).body
        lag = _watch(loaded, _WATCH_SECONDS)
        reload = _watch(loaded, _RELOAD_SECONDS, begin="reload")
        resident = loaded.usage.resident_bytes()
        peak = loaded.order("report")["peak_bytes"]
        exemplars = loaded.scrape().body.count(b" # {")
        rename = _watch(loaded, _RELOAD_SECONDS, begin="rename")
        loaded.order("pause")
        plain, packed = (_cost(loaded, encoding) for encoding in ("identity", "gzip"))
    active = total(body, catalog.EXECUTIONS_ACTIVE)
    latest = _generate_latest(body)
    return Observed(
        body=body,
        samples=_samples(body),
        exemplars=exemplars,
        active=active,
        lag=lag,
        reload=reload,
        rename=rename,
        resident=resident,
        plain=plain,
        packed=packed,
        peak=peak,
        latest=latest,
    )


def measure() -> Sequence[Figure]:
    """Measure a document of the size that the limit allows."""
    seen = observed([_FLEET])
    size = (
        f"{seen.samples:,} series, {seen.exemplars:,} exemplars, "
        f"{len(seen.body) / _MEBIBYTE:.0f} MiB"
    )
    plain, lag = seen.plain, seen.lag
    return [
        Figure(
            what=f"/metrics, {size}",
            bar="<= 1/20 of generate_latest",
            measured=f"{plain.cpu * 1e3:.0f} ms CPU ({plain.wall * 1e3:.0f} ms until read); "
            f"gzip {seen.packed.cpu * 1e3:.0f} ms",
            beside=f"generate_latest {seen.latest * 1e3:,.0f} ms: 1/{1 / seen.share:.0f}",
            met=seen.share <= _BAR_SHARE and seen.samples >= _SERIES,
        ),
        Figure(
            what="event loop under polls, commits, holds that end, gzip scrapes",
            bar="never blocked > 50 ms",
            measured=f"by us at most {seen.blocked * 1e3:.0f} ms; {lag['late']:.0f} of "
            f"{lag['turns']:,.0f} turns late",
            beside=f"by all that ran on the machine {lag['worst_seconds'] * 1e3:.0f} ms",
            met=seen.blocked <= LONGEST_SECONDS,
        ),
        Figure(
            what=f"memory, {seen.samples:,} series, {seen.active:,} live executions",
            bar=f"<= {_BAR_MEBIBYTES} MiB",
            measured=f"{seen.resident / _MEBIBYTE:.0f} MiB after scrapes; peak "
            f"{seen.peak_mebibytes:.0f} MiB",
            beside="",
            met=seen.peak_mebibytes <= _BAR_MEBIBYTES and seen.samples >= _SERIES,
        ),
    ]


def _watch(loaded: _Loaded, seconds: float, *, begin: str = "") -> dict[str, float]:
    """Scrape all the time, more often than anybody would, and see what the loop says to that."""
    loaded.order("begin")
    began = time.monotonic()
    if begin:
        loaded.order(begin)
    taken = time.monotonic() - began
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for encoding in ("gzip", "identity"):
            loaded.scrape(encoding)
            time.sleep(0.5)
    return {**loaded.order("report"), "taken_seconds": taken}


class _Cost(NamedTuple):
    cpu: float
    wall: float


def _cost(loaded: _Loaded, encoding: str) -> _Cost:
    """Return what one scrape costs while nothing is polled, in seconds."""
    before = loaded.usage.cpu_seconds()
    began = time.perf_counter()
    scrapes = [loaded.scrape(encoding) for _ in range(_SCRAPES)]
    cpu, elapsed = loaded.usage.cpu_seconds() - before, time.perf_counter() - began
    time.sleep(elapsed)
    # What it uses when nobody asks is not the scrape's.
    idle = loaded.usage.cpu_seconds() - before - cpu
    if encoding == "gzip":
        gzip.decompress(scrapes[-1].body)
    return _Cost(max(0.0, cpu - idle) / _SCRAPES, median(scrape.seconds for scrape in scrapes))


def _samples(body: bytes) -> int:
    return sum(1 for line in body.splitlines() if not line.startswith(b"#"))


def _generate_latest(body: bytes) -> float:
    """Return the CPU seconds that the client library takes for the same series."""
    registry = CollectorRegistry()
    series: dict[str, list[list[str]]] = {}
    for line in body.splitlines():
        if found := _SAMPLE.match(line):
            values = [value.decode() for _, value in _LABEL.findall(line)]
            series.setdefault(found[1].decode(), []).append(values)
    for family in catalog.FAMILIES:
        _register(registry, family, series)
    taken = []
    for _ in range(3):
        used = time.process_time()
        generate_latest(registry)
        taken.append(time.process_time() - used)
    return median(taken)


def _register(
    registry: CollectorRegistry, family: Family, series: Mapping[str, list[list[str]]]
) -> None:
    """Have the library hold the *series* of *family*, by the label values of each."""
    named = (family.help, family.labels)
    match family.kind:
        case Kind.COUNTER:
            counter = Counter(family.stem, *named, registry=registry)
            for labels in series.get(family.name, []):
                (counter.labels(*labels) if labels else counter).inc(7)
        case Kind.GAUGE:
            gauge = Gauge(family.name, *named, registry=registry)
            for labels in series.get(family.name, []):
                (gauge.labels(*labels) if labels else gauge).set(7)
        case Kind.HISTOGRAM:
            sums = series.get(f"{family.name}_sum", [])
            lines = len(series.get(f"{family.name}_bucket", []))
            # The library adds the last bucket, without bound, by itself.
            bounds = [float(n) for n in range(1, lines // max(1, len(sums)))]
            histogram = Histogram(family.name, *named, registry=registry, buckets=bounds or [1.0])
            for labels in sums:
                (histogram.labels(*labels) if labels else histogram).observe(1.5)
        case _:
            assert_never(family.kind)
