"""
OpenTelemetry's exporters, set up from a plan.

They read the environment themselves, and some values in it break them, or are read otherwise than
the specification says (their timeouts are in seconds). So while they are built they see only what
the plan holds.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from exporter.telemetry.delivery import Delivery, Target
from exporter.telemetry.encoding import Encoded, encoded, request_for
from exporter.telemetry.outcomes import SpanObserver
from exporter.telemetry.plan import Collector, Plan
from exporter.telemetry.spans import LightProvider, LightSpan
from exporter.telemetry.variables import environment_of


def assemble(plan: Plan, observer: SpanObserver) -> tuple[LightProvider, Delivery]:
    """
    Build what *plan* says, and start its thread.

    Raises:
        OSError: A file that the plan names cannot be read.
    """
    target: Target = _console() if plan.collector is None else _otlp(plan.collector)
    formed: Callable[[LightSpan], Any] = readable
    if isinstance(target, _GrpcExporter):
        formed = encoded
    delivery = Delivery(
        target,
        formed=formed,
        place=plan.place,
        observer=observer,
        queue_size=plan.queue_size,
        batch_size=plan.batch_size,
        delay_seconds=plan.delay_seconds,
        secrets=plan.secrets,
    )
    provider = LightProvider(
        resource=_OneResource(Resource.create(dict(plan.resource)).attributes),
        sample_ratio=plan.sample_ratio,
        sink=delivery,
    )
    return provider, delivery


def readable(span: LightSpan) -> ReadableSpan:
    """Return *span*, which has ended, as OpenTelemetry's own exporters want it."""
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        span.attributes,
        span.events,
        kind=span.kind,
        status=span.status,
        start_time=span.start_nanos,
        end_time=span.end_nanos,
        instrumentation_scope=span.scope,
    )


class _OneResource(Resource):
    """A resource that is only equal to itself: spans are grouped by it, one hash for each."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class _GrpcExporter(OTLPSpanExporter):
    """The SDK's, with our encoder. That for HTTP has no place for one, and keeps the SDK's."""

    def _initialize_channel_and_stub(self) -> None:
        self._stub = _BytesStub
        super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]

    def _translate_data(self, data: Sequence[Encoded]) -> bytes:  # type: ignore[override]
        return request_for(data)


class _BytesStub:
    """The collector's stub, for requests that are encoded already."""

    def __init__(self, channel: Any) -> None:
        self.Export = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            response_deserializer=ExportTraceServiceResponse.FromString,
        )


def _console() -> Target:
    return ConsoleSpanExporter(
        out=sys.stdout, formatter=lambda span: f"{span.to_json(indent=None)}\n"
    )


def _otlp(collector: Collector) -> Target:
    words = {
        "CERTIFICATE": collector.certificate,
        "CLIENT_KEY": collector.client_key,
        "CLIENT_CERTIFICATE": collector.client_certificate,
    }
    for path in filter(None, words.values()):
        Path(path).read_bytes()
    if collector.compression != "none":
        words["COMPRESSION"] = collector.compression
    variables = {f"OTEL_EXPORTER_OTLP_TRACES_{key}": word for key, word in words.items() if word}
    with environment_of(variables):
        if collector.protocol == "grpc":
            return _GrpcExporter(
                endpoint=collector.endpoint,
                insecure=collector.insecure,
                headers=dict(collector.headers),
                timeout=collector.timeout_seconds,
            )
        return HttpExporter(
            endpoint=collector.endpoint,
            headers=dict(collector.headers),
            timeout=collector.timeout_seconds,
        )
