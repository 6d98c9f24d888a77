"""
Spans as OTLP has them.

The SDK's own encoder takes five times as long, mostly for attributes. Ours are few and come again
and again, so each pair of name and value is encoded once. What makes that possible is a law of
protobuf: messages that are put one after the other, as bytes, are one message with the fields of
all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
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
_SPANS_TAG = ScopeSpans(spans=[Span()]).SerializeToString()[:1]
_LOCAL_PARENT = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK


def encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Return *spans*, which are all of one resource and none of which has links."""
    # By identity: each tracer has one, and to compare them takes long.
    by_scope: dict[int, list[ReadableSpan]] = defaultdict(list)
    for span in spans:
        by_scope[id(span.instrumentation_scope)].append(span)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_attributes(spans[0].resource.attributes)),
                scope_spans=[_scope_spans(members) for members in by_scope.values()],
            )
        ]
    )


def _scope_spans(spans: Sequence[ReadableSpan]) -> ScopeSpans:
    found = ScopeSpans()
    if scope := spans[0].instrumentation_scope:
        found.scope.name = scope.name
        found.scope.version = scope.version or ""
    scratch = Span()
    for_each: list[bytes] = []
    for span in spans:
        pairs = [
            _pair(key, value if isinstance(value, _PLAIN) else str(value))
            for key, value in (span.attributes or {}).items()
        ]
        _fill(scratch, span)
        body = b"".join([_named(span.name, span.kind), *pairs, scratch.SerializeToString()])
        for_each += (_SPANS_TAG, _varint(len(body)), body)
    found.MergeFromString(b"".join(for_each))
    return found


def _fill(message: Span, span: ReadableSpan) -> None:
    """Put into *message* what is of this span alone."""
    message.Clear()
    context = span.get_span_context() or INVALID_SPAN_CONTEXT
    message.trace_id = context.trace_id.to_bytes(16, "big")
    message.span_id = context.span_id.to_bytes(8, "big")
    message.flags = context.trace_flags | _LOCAL_PARENT
    if span.parent:
        message.parent_span_id = span.parent.span_id.to_bytes(8, "big")
    if context.trace_state:
        message.trace_state = context.trace_state.to_header()
    message.start_time_unix_nano = span.start_time or 0
    message.end_time_unix_nano = span.end_time or 0
    if span.status.status_code is not StatusCode.UNSET:
        message.status.code = _CODES[span.status.status_code]
        message.status.message = span.status.description or ""
    if span.events:
        message.events.extend(map(_event, span.events))


def _varint(number: int) -> bytes:
    """Return a length as it stands before what is so long."""
    found = bytearray()
    while number >> 7:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _event(event: Event) -> Span.Event:
    return Span.Event(
        name=event.name, time_unix_nano=event.timestamp, attributes=_attributes(event.attributes)
    )


def _attributes(attributes: Attributes) -> list[KeyValue]:
    return [
        _key_value(key, value if isinstance(value, _PLAIN) else str(value))
        for key, value in (attributes or {}).items()
    ]


@lru_cache(_REMEMBERED)
def _named(name: str, kind: SpanKind) -> bytes:
    return Span(name=name, kind=_KINDS[kind], status=Status()).SerializeToString()


# Typed, for to Python 1, 1.0 and True are the same.
@lru_cache(_REMEMBERED, typed=True)
def _pair(key: str, value: str | float) -> bytes:
    return Span(attributes=[_key_value(key, value)]).SerializeToString()


def _key_value(key: str, value: str | float) -> KeyValue:
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
