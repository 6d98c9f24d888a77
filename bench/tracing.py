"""
What spans cost: a round of polls with every span exported, beside the same round with none.

Two programs with the same thousand targets run at the same time against the same server; one of
them traces, to a collector that is a process of its own. What one span costs is measured here, in
this process, beside a span of OpenTelemetry's SDK.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Tracer

from bench.figures import Figure, median
from bench.pair import cost_of_spans, pair
from bench.processes import serving
from bench.running import watched
from bench.worlds import Crowd
from exporter.telemetry.encoding import encoded, request_for
from exporter.telemetry.spans import LightProvider, LightSpan

_TARGETS = 1000
_LIVE = 10
_INTERVAL_SECONDS = 10
_ROUNDS = 5
_SETTLING_SECONDS = 2.0

_TRIPLES = 3000
_REPEATS = 5
_BATCH = 512
_BAR_OF_SDK = 0.5


def measure() -> Sequence[Figure]:
    """Measure a round, and a span."""
    return [_round(), _span()]


def _round() -> Figure:
    """Watch both programs for some rounds."""
    crowd = Crowd(project="idle", targets=_TARGETS, plans=3, live=_LIVE)
    with (
        serving([crowd]) as admin,
        pair(admin, interval_seconds=_INTERVAL_SECONDS) as programs,
    ):
        time.sleep(_SETTLING_SECONDS)
        off, on = watched(programs, _INTERVAL_SECONDS, times=_ROUNDS)
    return cost_of_spans(f"spans on versus off, a round of {_TARGETS:,} targets", off, on)


class _Kept:
    """Takes spans that have ended, for either kind of tracer."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def take(self, span: LightSpan | ReadableSpan) -> None:
        """Take one."""
        self.spans.append(span)


class _KeptBySdk(SpanProcessor):
    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    def on_end(self, span: ReadableSpan) -> None:
        self._kept.take(span)


def _span() -> Figure:
    """Make and encode spans of a poll, a call and an attempt: ours, and the SDK's."""
    resource = Resource.create({"service.name": "bench"})
    sampler = TraceIdRatioBased(1.0)
    ours, theirs = _Kept(), _Kept()
    sdk = TracerProvider(sampler=ParentBased(sampler), resource=resource, shutdown_on_exit=False)
    sdk.add_span_processor(_KeptBySdk(theirs))
    light = LightProvider(resource=resource, sample_ratio=1.0, sink=ours)
    costs = [(_cost(light, ours, _by_us), _cost(sdk, theirs, _by_sdk)) for _ in range(_REPEATS)]
    own, other = (
        [median(column) for column in zip(*each, strict=True)] for each in zip(*costs, strict=True)
    )
    ratio = sum(own) / sum(other)
    return Figure(
        what="one span, of a poll, a call and an attempt",
        bar=f"<= {_BAR_OF_SDK} of the SDK's",
        measured=f"{sum(own):.1f} us: {own[0]:.1f} to make and {own[1]:.1f} to encode",
        beside=f"the SDK's {other[0]:.1f} and {other[1]:.1f} us: {ratio:.2f}",
        met=ratio <= _BAR_OF_SDK,
    )


def _by_us(spans: Sequence[LightSpan]) -> bytes:
    return request_for([encoded(span) for span in spans])


def _by_sdk(spans: Sequence[ReadableSpan]) -> bytes:
    request: bytes = encode_spans(spans).SerializeToString()
    return request


def _cost(
    provider: trace.TracerProvider, kept: _Kept, encode: Callable[[Sequence[Any]], bytes]
) -> tuple[float, float]:
    """Return the microseconds that one span takes to make, and to encode."""
    kept.spans.clear()
    tracer = provider.get_tracer("bench")
    began = time.process_time()
    for _ in range(_TRIPLES):
        _triple(tracer)
    made = time.process_time()
    for first in range(0, len(kept.spans), _BATCH):
        encode(kept.spans[first : first + _BATCH])
    done = time.process_time()
    number = len(kept.spans)
    return (made - began) / number * 1e6, (done - made) / number * 1e6


def _triple(tracer: Tracer) -> None:
    method = "flyteidl.service.AdminService/ListExecutions"
    target = {"flyte.project": "flytesnacks", "flyte.domain": "development"}
    with (
        tracer.start_as_current_span("poll", attributes=target),
        tracer.start_as_current_span(
            "ListExecutions", attributes={"rpc.method": method, **target, "flyte.page": 1}
        ) as call,
        tracer.start_as_current_span(
            method,
            kind=SpanKind.CLIENT,
            attributes={
                "rpc.system.name": "grpc",
                "rpc.method": method,
                "server.address": "flyteadmin.example.com",
                "server.port": 443,
                "flyte.attempt": 1,
            },
        ) as attempt,
    ):
        attempt.set_attribute("rpc.response.status_code", "OK")
        call.set_attribute("flyte.rows", 10)
