"""
Spans as OTLP has them.

The SDK's own encoder takes three times as long, mostly for attributes. Ours are few and come again
and again, so each pair of name and value is encoded once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    Span,
    SpanFlags,
    Status,
)
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanKind, StatusCode
from opentelemetry.util.types import Attributes

_REMEMBERED = 4096
"""Pairs: names of methods and targets, for which this is plenty, beside numbers of rows."""

_PLAIN = (str, bool, int, float)
"""The types that attributes of ours have; any other becomes text."""

_KINDS: Mapping[SpanKind, Span.SpanKind.ValueType] = {
    kind: Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind
}
_CODES: Mapping[StatusCode, Status.StatusCode.ValueType] = {
    code: Status.StatusCode.Value(f"STATUS_CODE_{code.name}") for code in StatusCode
}
_NO_STATUS = Status()
_LOCAL_PARENT = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK


def encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Return *spans*, which are all of one resource and none of which has links."""
    resource = Resource(attributes=_pairs(spans[0].resource.attributes))
    by_scope = groupby(
        sorted(spans, key=_scope_name),
        key=lambda span: span.instrumentation_scope,
    )
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=resource,
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(name=scope.name, version=scope.version),
                        spans=map(_span, members),
                    )
                    for scope, members in by_scope
                    if scope
                ],
            )
        ]
    )


def _scope_name(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


def _span(span: ReadableSpan) -> Span:
    parent, status = span.parent, span.status
    context = span.get_span_context() or INVALID_SPAN_CONTEXT
    return Span(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        parent_span_id=parent.span_id.to_bytes(8, "big") if parent else b"",
        trace_state=context.trace_state.to_header() if context.trace_state else "",
        flags=context.trace_flags | _LOCAL_PARENT,
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        attributes=_pairs(span.attributes),
        events=map(_event, span.events),
        status=_NO_STATUS
        if status.status_code is StatusCode.UNSET
        else Status(code=_CODES[status.status_code], message=status.description or ""),
    )


def _event(event: Event) -> Span.Event:
    return Span.Event(
        name=event.name, time_unix_nano=event.timestamp, attributes=_pairs(event.attributes)
    )


def _pairs(attributes: Attributes) -> Iterable[KeyValue]:
    return [
        _pair(key, value if isinstance(value, _PLAIN) else str(value))
        for key, value in (attributes or {}).items()
    ]


# Typed, for to Python 1, 1.0 and True are the same.
@lru_cache(_REMEMBERED, typed=True)
def _pair(key: str, value: str | float) -> KeyValue:
    match value:
        case bool():
            held = AnyValue(bool_value=value)
        case int():
            held = AnyValue(int_value=value)
        case float():
            held = AnyValue(double_value=value)
        case _:
            held = AnyValue(string_value=value)
    return KeyValue(key=key, value=held)
