"""
One company, held to every bar that is about more than one target.

It has 200 projects with 3 domains each and 5,000 launch plans, all of which are active and run by a
schedule, and 100,000 executions that run. There are two of it. In one they just run, as in the
world of which the bar for a round speaks. In the other a hundred a second are launched, and as many
end, so that each lasts a quarter of an hour. That one is scraped first, as the document at its
largest is. Then the real program runs with its default interval: over the first once without spans
and once with them, and over the second.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import grpc

from bench import exposition, fleet, latency
from bench.exposition import Observed
from bench.figures import Figure
from bench.observation import total, wait_until_listed
from bench.pair import cost_of_spans, pair
from bench.processes import serving
from bench.running import Running, Work, running, watched, whole
from bench.server import CONTROL
from bench.stopwatch import LONGEST_SECONDS
from bench.worlds import Crowd, active_plans
from exporter.metrics import catalog
from exporter.model.executions import Phase

_CALM = [
    Crowd(
        project="company",
        targets=600,
        domains=3,
        plans=8,
        active=True,
        live=168,
        # What ended lately, so that it is known how launch plans fared.
        rows=15,
        newest_seconds=300,
        settled=True,
    ),
    # The rest of 5,000 launch plans. The cursors of all move with what it launches.
    Crowd(
        project="large",
        plans=200,
        active=True,
        rows=600,
        newest_seconds=-300,
        spacing_micros=1_000_000,
        settled=True,
    ),
]
_BUSY = [
    # The first are over at the start, the others come while we measure.
    replace(_CALM[0], rows=60, newest_seconds=-270, spacing_micros=6_000_000, turnover=True),
    _CALM[1],
]
_TARGETS = sum(crowd.targets for crowd in _CALM)
_ENDS = _BUSY[0].targets
_PLANS = 5_000
_LIVE = 100_000
_INTERVAL_SECONDS = 30
_STRETCHES = 3
"""The interval in parts, so that the neighbours spoil one of them and not the whole."""
_LISTED_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 3 * _INTERVAL_SECONDS


def measure() -> Sequence[Figure]:
    """Scrape it, then watch the program work."""
    seen = exposition.observed(_BUSY)
    return [
        _document(seen),
        _reload("a reload", seen.reload),
        _reload("a reload that renames all launch plans", seen.rename),
        *_work(),
    ]


def _document(seen: Observed) -> Figure:
    series = total(seen.body, catalog.SERIES)
    overflowed = total(seen.body, catalog.SERIES_OVERFLOW)
    plans = total(seen.body, catalog.LAUNCH_PLAN_INFO)
    return Figure(
        what=f"company: 200 projects with 3 domains, {plans:,} scheduled launch plans, "
        f"{seen.active:,} live",
        bar="fits into the default series_limit; /metrics, event loop and memory as above",
        measured=f"{series:,} series, {overflowed} overflowed; /metrics {seen.plain.cpu * 1e3:.0f} "
        f"ms; loop {seen.blocked * 1e3:.0f} ms; {seen.peak_mebibytes:.0f} MiB",
        beside=f"generate_latest {seen.latest * 1e3:,.0f} ms: 1/{1 / seen.share:.0f}",
        met=seen.met and not overflowed and plans >= _PLANS and seen.active >= _LIVE,
    )


def _reload(name: str, lag: Mapping[str, float]) -> Figure:
    blocked = lag["worst_own_seconds"]
    return Figure(
        what=f"company: event loop under {name} and the first polls after it",
        bar="never blocked > 50 ms",
        measured=f"by us at most {blocked * 1e3:.0f} ms; {lag['late']:.0f} of "
        f"{lag['turns']:,.0f} turns late; in effect after {lag['taken_seconds']:.1f} s",
        beside=f"by all that ran on the machine {lag['worst_seconds'] * 1e3:.0f} ms",
        met=blocked <= LONGEST_SECONDS,
    )


def _work() -> Sequence[Figure]:
    # What is held at its first sample is not what this is about.
    metrics = {"first_sample_hold": "0s"}
    with (
        serving(_CALM) as calm_admin,
        serving(_BUSY) as busy_admin,
        pair(calm_admin, interval_seconds=_INTERVAL_SECONDS, metrics=metrics) as calm,
        running(busy_admin, interval_seconds=_INTERVAL_SECONDS, metrics=metrics) as busy,
    ):
        for program in (*calm, busy):
            wait_until_listed(program.port, active_plans(_CALM), seconds=_LISTED_SECONDS)
        # Meanwhile all ask how those launch plans fared that ended nothing in the lookback: that
        # is over when what costs CPU is looked at.
        waits = _waits(busy_admin, busy)
        off, on, turning = watched((*calm, busy), _INTERVAL_SECONDS / _STRETCHES, times=_STRETCHES)
    spans = f"company: spans on versus off, a round of {_TARGETS} targets"
    return [
        _round("where executions just run", whole(off), calm.off),
        *_turnover(_round("where 100 a second end", whole(turning), busy), whole(turning)),
        latency.figure(
            "company: end reported to end visible", waits, interval_seconds=_INTERVAL_SECONDS
        ),
        cost_of_spans(spans, off, on),
    ]


def _round(where: str, done: Work, program: Running) -> Figure:
    figure = fleet.figure(
        f"company, {where}: one round of {_TARGETS} targets",
        done,
        targets=_TARGETS,
        interval_seconds=_INTERVAL_SECONDS,
    )
    return figure._replace(
        beside=f"{figure.beside}; {done.calls / _INTERVAL_SECONDS:.0f} calls/s; "
        f"{done.ends:,} ends; ready {program.ready_seconds:.1f} s after its start"
    )


def _turnover(figure: Figure, done: Work) -> Sequence[Figure]:
    """Have only the calls of *figure* held to a bar: that for CPU is about next to no ends."""
    calls = done.calls / done.polls
    share, _, beside = figure.beside.partition("; ")
    return [
        figure._replace(
            bar=f"<= {fleet.BAR_CALLS} calls a poll",
            measured=f"{calls:.2f} calls and {done.rows / done.polls:.0f} rows each",
            beside=beside,
            met=round(calls, 1) <= fleet.BAR_CALLS,
        ),
        Figure(
            what="the same, its CPU",
            bar="",
            measured=f"{done.cpu_seconds:.2f} s CPU",
            beside=share,
            met=None,
        ),
    ]


def _waits(admin: str, program: Running) -> list[float]:
    """
    Have an execution of each target fail at one instant, and see after how long each shows.

    Targets have their turns all over the interval, and nothing else in this world fails.
    """
    with grpc.insecure_channel(admin) as channel:
        began = time.perf_counter()
        call: Any = channel.unary_unary(f"/{CONTROL}/Fail")
        call(b"")
    waits: list[float] = []
    while len(waits) < _ENDS:
        document = program.document()
        waited = time.perf_counter() - began
        if waited > _PATIENCE_SECONDS:
            raise RuntimeError(f"{_ENDS - len(waits)} of {_ENDS} ends never showed")
        failed = total(document, catalog.EXECUTIONS_FINISHED, f'phase="{Phase.FAILED.name}"')
        waits += [waited] * (failed - len(waits))
        time.sleep(_LOOK_SECONDS)
    return waits
