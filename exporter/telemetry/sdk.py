"""
OpenTelemetry's exporters, set up from a plan.

They read the environment themselves, and some values in it break them, or are read otherwise than
the specification says (their timeouts are in seconds). So while they are built they see only what
the plan holds.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from exporter.telemetry.delivery import Delivery
from exporter.telemetry.encoding import encoded
from exporter.telemetry.outcomes import SpanObserver
from exporter.telemetry.plan import Collector, Plan
from exporter.telemetry.spans import LightProvider
from exporter.telemetry.variables import environment_of


def assemble(plan: Plan, observer: SpanObserver) -> tuple[LightProvider, Delivery]:
    """
    Build what *plan* says, and start its thread.

    Raises:
        OSError: A file that the plan names cannot be read.
    """
    delivery = Delivery(
        _console() if plan.collector is None else _otlp(plan.collector),
        place=plan.place,
        observer=observer,
        queue_size=plan.queue_size,
        batch_size=plan.batch_size,
        delay_seconds=plan.delay_seconds,
        secrets=plan.secrets,
    )
    provider = LightProvider(
        resource=Resource.create(dict(plan.resource)),
        sampler=TraceIdRatioBased(plan.sample_ratio),
        sink=delivery,
    )
    return provider, delivery


class _GrpcExporter(OTLPSpanExporter):
    """The SDK's, with our encoder. That for HTTP has no place for one, and keeps the SDK's."""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        return encoded(data)


def _console() -> SpanExporter:
    return ConsoleSpanExporter(
        out=sys.stdout, formatter=lambda span: f"{span.to_json(indent=None)}\n"
    )


def _otlp(collector: Collector) -> SpanExporter:
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
