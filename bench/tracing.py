"""
What spans cost: a round of polls with every span exported, beside the same round with none.

Two programs with the same thousand targets run at the same time against the same server; one of
them traces, to a collector that is a process of its own. What one span costs is measured here, in
this process, beside a span of OpenTelemetry's SDK.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Tracer

from bench import settings
from bench.figures import Figure, median, spread
from bench.observation import Usage, free_port, get, total, wait_until_ready
from bench.processes import COMMAND, awaited, program, serving
from bench.server import LISTENING
from bench.worlds import Crowd
from exporter.metrics import catalog
from exporter.telemetry.encoding import encoded, request_for
from exporter.telemetry.outcomes import EXPORTED
from exporter.telemetry.spans import LightProvider, LightSpan

_TARGETS = 1000
_LIVE = 10
_INTERVAL_SECONDS = 10
_ROUNDS = 5
_READY_SECONDS = 60.0
_SETTLING_SECONDS = 2.0
_BAR = 0.10
_SPANS = 3
"""The least that a poll makes: itself, a call and an attempt."""

_TRIPLES = 3000
_REPEATS = 5
_BATCH = 512
_BAR_OF_SDK = 0.5


def measure() -> Sequence[Figure]:
    """Measure a round, and a span."""
    return [_round(), _span()]


class _Seen(NamedTuple):
    cpu_seconds: float
    polls: int
    spans: int

    def since(self, then: "_Seen") -> "_Seen":
        """Return what was done after *then*."""
        return _Seen(
            self.cpu_seconds - then.cpu_seconds, self.polls - then.polls, self.spans - then.spans
        )


def _round() -> Figure:
    """Watch both programs for some rounds."""
    crowd = Crowd(project="idle", targets=_TARGETS, plans=3, live=_LIVE)
    with (
        serving([crowd]) as admin,
        program([sys.executable, "-m", "bench.collector"], orders=True) as process,
        ExitStack() as stack,
    ):
        endpoint = awaited(process, LISTENING)
        tracing = {"exporter": "otlp", "protocol": "grpc", "endpoint": endpoint}
        looks = [
            stack.enter_context(_running(admin, tracing=each))
            for each in ({"exporter": "none"}, tracing)
        ]
        time.sleep(_SETTLING_SECONDS)
        pairs: list[tuple[_Seen, _Seen]] = []
        before = [look() for look in looks]
        for _ in range(_ROUNDS):
            time.sleep(_INTERVAL_SECONDS)
            after = [look() for look in looks]
            off, on = (now.since(then) for then, now in zip(before, after, strict=True))
            pairs.append((off, on))
            before = after
    polls, spans = sum(on.polls for _, on in pairs), sum(on.spans for _, on in pairs)
    if spans < polls * _SPANS:
        raise RuntimeError(f"{spans} spans were exported in {polls} polls")
    # A round's polls may begin in the one before: the CPU time of a poll is what compares.
    ratios = [on.cpu_seconds / on.polls / (off.cpu_seconds / off.polls) - 1 for off, on in pairs]
    off_millis = median(off.cpu_seconds / off.polls for off, _ in pairs) * 1000
    extra = median(ratios)
    return Figure(
        what=f"spans on versus off, a round of {_TARGETS:,} targets",
        bar=f"<= {_BAR:.0%} of a round",
        measured=f"{extra:+.1%} ({spread(ratios, '{:+.1%}')})",
        beside=f"{off_millis:.2f} ms CPU a poll without; {spans / polls:.1f} spans a poll",
        met=extra <= _BAR,
    )


@contextmanager
def _running(admin: str, *, tracing: Mapping[str, str]) -> Iterator[Callable[[], _Seen]]:
    """Run the program while the block runs; yields what looks at it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        config = settings.write(
            Path(directory),
            admin=admin,
            port=port,
            scrape={"interval": f"{_INTERVAL_SECONDS}s"},
            tracing=tracing,
        )
        with program([COMMAND, "run", "--config", str(config)]) as process:
            wait_until_ready(port, seconds=_READY_SECONDS)
            usage = Usage(process.pid)

            def look() -> _Seen:
                document = get(port, "/metrics").body
                return _Seen(
                    usage.cpu_seconds(),
                    total(document, catalog.POLLS),
                    total(document, catalog.SPANS, f'outcome="{EXPORTED}"'),
                )

            yield look


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
