"""
Spans as OTLP has them.

The SDK's own encoder takes ten times as long, mostly for attributes. Ours are few and come again
and again, so each pair of name and value is encoded once; and ids and times always take as many
bytes. What makes that possible is a law of protobuf: messages that are put one after the other, as
bytes, are one message with the fields of all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    Span,
    SpanFlags,
    Status,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import DEFAULT_TRACE_STATE, SpanKind, StatusCode

from exporter.telemetry.spans import UNSET, LightSpan

_REMEMBERED = 4096
"""Pairs: names of methods and targets, for which this is plenty, beside numbers of rows."""

_NUMBERS = (int, bool, float)
"""The types that attributes of ours have, beside text; any other becomes text."""

_INTEGERS = range(-(2**63), 2**63)
"""Those that OTLP has room for."""

_CODES: Mapping[StatusCode, Status.StatusCode.ValueType] = {
    code: Status.StatusCode.Value(f"STATUS_CODE_{code.name}") for code in StatusCode
}
# By identity, for it takes long to hash a member of an enumeration. No span goes without a status.
_KINDS: Mapping[int, bytes] = {
    id(kind): Span(
        kind=Span.SpanKind.Value(f"SPAN_KIND_{kind.name}"), status=Status()
    ).SerializeToString()
    for kind in SpanKind
}
_RESOURCES_TAG = ExportTraceServiceRequest(resource_spans=[ResourceSpans()]).SerializeToString()[:1]
_SCOPES_TAG = ResourceSpans(scope_spans=[ScopeSpans()]).SerializeToString()[:1]
_SPANS_TAG = ScopeSpans(spans=[Span()]).SerializeToString()[:1]
_LOCAL_PARENT = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK

# Each field after what protobuf puts before it, in the order of their numbers.
_FIXED = Struct("<2s16s2s8scQcQ2sI")
_TRACE_ID, _, _SPAN_ID, _, _START, _, _END, _, _FLAGS, _ = _FIXED.unpack(
    Span(
        trace_id=bytes(16),
        span_id=bytes(8),
        start_time_unix_nano=1,
        end_time_unix_nano=1,
        flags=_LOCAL_PARENT,
    ).SerializeToString()
)
_PARENT_ID = Span(parent_span_id=bytes(8)).SerializeToString()[:2]


Encoded = tuple[Resource, InstrumentationScope, bytes]
"""Of which process a span is, of which tracer, and itself as it stands in a list of spans."""


def encoded(span: LightSpan) -> Encoded:
    """Return *span*, which has ended."""
    # Unpacked, for its properties take long.
    trace_id, span_id, _, flags, state, _ = span.context
    parts = [
        _named(span.name),
        _KINDS[id(span.kind)],
        _FIXED.pack(
            *(_TRACE_ID, trace_id.to_bytes(16)),
            *(_SPAN_ID, span_id.to_bytes(8)),
            *(_START, span.start_nanos),
            *(_END, span.end_nanos),
            *(_FLAGS, flags | _LOCAL_PARENT),
        ),
        *[
            _PAIRS[
                (key, value)
                if (kind := type(value)) is str
                else (key, value, kind)
                if kind in _NUMBERS
                else (key, str(value))
            ]
            for key, value in span.attributes.items()
        ],
    ]
    if span.parent is not None:
        parts += (_PARENT_ID, span.parent[1].to_bytes(8))
    if span.status is not UNSET or span.events or state is not DEFAULT_TRACE_STATE:
        parts.append(_seldom(span))
    body = b"".join(parts)
    return span.resource, span.scope, _heading(len(body)) + body


def request_for(spans: Sequence[Encoded]) -> bytes:
    """Return what takes *spans*, all of them of one resource, to a collector: its request."""
    # By identity: each tracer has one, and to compare them takes long.
    scopes = {id(scope): scope for _, scope, _ in spans}
    bodies = defaultdict(list)
    for _, scope, body in spans:
        bodies[id(scope)].append(body)
    resource = resource_pb2.Resource(attributes=_attributes(spans[0][0].attributes))
    parts = [ResourceSpans(resource=resource).SerializeToString()]
    for key, scope in scopes.items():
        own = common_pb2.InstrumentationScope(name=scope.name, version=scope.version or "")
        members = [ScopeSpans(scope=own).SerializeToString(), *bodies[key]]
        parts += (_SCOPES_TAG, _length(sum(map(len, members))), *members)
    return b"".join((_RESOURCES_TAG, _length(sum(map(len, parts))), *parts))


def _seldom(span: LightSpan) -> bytes:
    """Return the fields that hardly any span has."""
    found = Span(trace_state=span.context.trace_state.to_header(), events=map(_event, span.events))
    if span.status.status_code is not StatusCode.UNSET:
        found.status.code = _CODES[span.status.status_code]
        found.status.message = _text(span.status.description or "")
    return found.SerializeToString()


def _event(event: Event) -> Span.Event:
    return Span.Event(
        name=_text(event.name),
        time_unix_nano=event.timestamp,
        attributes=_attributes(event.attributes or {}),
    )


def _attributes(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [_key_value(key, value) for key, value in attributes.items()]


class _Pairs(dict[tuple[Any, ...], bytes]):
    """Attributes by name, value and, unless it is text, its type: Python takes 1 for True."""

    def __missing__(self, pair: tuple[Any, ...]) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        encoded = Span(attributes=[_key_value(pair[0], pair[1])]).SerializeToString()
        self[pair] = encoded
        return encoded


_PAIRS = _Pairs()


def _key_value(key: str, value: object) -> KeyValue:
    match value:
        case bool():
            held = AnyValue(bool_value=value)
        case int() if value in _INTEGERS:
            held = AnyValue(int_value=value)
        case float():
            held = AnyValue(double_value=value)
        case _:
            held = AnyValue(string_value=_text(str(value)))
    return KeyValue(key=_text(key), value=held)


@lru_cache(_REMEMBERED)
def _named(name: str) -> bytes:
    return Span(name=_text(name)).SerializeToString()


@lru_cache(_REMEMBERED)
def _heading(length: int) -> bytes:
    """Return what stands before a span of *length* bytes in a list of them."""
    return _SPANS_TAG + _length(length)


def _length(length: int) -> bytes:
    """Return a length as it stands before what is so long."""
    found = bytearray()
    while length >> 7:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    found.append(length)
    return bytes(found)


def _text(text: str) -> str:
    """Return *text* with escapes for what UTF-8 has no bytes for, as in the names of some files."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
