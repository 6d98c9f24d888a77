"""Our encoder says what the SDK's says, in a fraction of the time."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from exporter.telemetry.encoding import encoded, request_for
from exporter.telemetry.sdk import readable
from exporter.telemetry.spans import LightProvider, LightSpan

_KINDS = st.sampled_from(SpanKind)
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.sampled_from([0, 0.0, False, 1, 1.0, True]),
)
_ATTRIBUTES = st.dictionaries(st.text(min_size=1), _VALUES, max_size=5)
_CODES = st.sampled_from(StatusCode)


class Kept:
    """Keeps the spans that ended."""

    def __init__(self) -> None:
        self.spans: list[LightSpan] = []

    def take(self, span: LightSpan) -> None:
        """Keep one."""
        self.spans.append(span)


def provider(kept: Kept) -> LightProvider:
    """Return what makes spans for *kept*."""
    return LightProvider(
        resource=Resource({"service.name": "x", "n": 1}), sample_ratio=1.0, sink=kept
    )


def ours(kept: Kept) -> ExportTraceServiceRequest:
    """Return what a collector would read."""
    return ExportTraceServiceRequest.FromString(request_for([encoded(one) for one in kept.spans]))


def theirs(kept: Kept) -> ExportTraceServiceRequest:
    """Return what it would read from the SDK."""
    return encode_spans([readable(one) for one in kept.spans])


def spans_of(request: ExportTraceServiceRequest) -> Mapping[bytes, tuple[str, str, Span]]:
    """Return all spans by id, each with its scope; without flags, of which the SDK sends half."""
    found = {}
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            for span in scoped.spans:
                copy = Span.FromString(span.SerializeToString())
                copy.flags = 0
                found[span.span_id] = (scoped.scope.name, scoped.scope.version, copy)
    return found


@given(made=st.lists(st.tuples(_KINDS, _ATTRIBUTES, _CODES, st.text()), min_size=1, max_size=4))
@settings(deadline=None)
def test_it_says_what_the_sdk_says(
    made: list[tuple[SpanKind, dict[str, bool | int | float | str], StatusCode, str]],
) -> None:
    """Whatever the spans hold, and whichever tracers they are of."""
    kept = Kept()
    tracers = [provider(kept).get_tracer(name, "1.0") for name in ("b", "a")]
    for number, (kind, attributes, code, text) in enumerate(made):
        with tracers[number % 2].start_as_current_span(text, kind=kind) as outer:
            inner = tracers[1].start_span("inner", attributes=attributes)
            inner.set_status(code, text if code is StatusCode.ERROR else None)
            inner.add_event(text, attributes)
            inner.end()
            outer.set_attributes(attributes)
    own, other = ours(kept), theirs(kept)
    assert spans_of(own) == spans_of(other)
    assert own.resource_spans[0].resource == other.resource_spans[0].resource
    # Each resource once, and within it each tracer once.
    assert len(own.resource_spans) == 1
    names = [each.scope.name for each in own.resource_spans[0].scope_spans]
    assert len(names) == len(set(names))


def test_a_trace_that_came_from_elsewhere_is_continued() -> None:
    """With its id, its flags and its state."""
    kept = Kept()
    state = TraceState([("vendor", "1")])
    remote = SpanContext(5, 6, True, TraceFlags(1), state)
    context = set_span_in_context(NonRecordingSpan(remote), Context())
    provider(kept).get_tracer("x").start_span("one", context).end()
    (span,) = ours(kept).resource_spans[0].scope_spans[0].spans
    assert (span.trace_id[-1], span.parent_span_id[-1], span.trace_state) == (5, 6, "vendor=1")
    assert span.flags & 0xFF == 1
    assert spans_of(theirs(kept)) == spans_of(ours(kept))


def test_what_python_takes_for_equal_is_told_apart() -> None:
    """Pairs are remembered, and 1 is 1.0 is True."""
    kept = Kept()
    tracer = provider(kept).get_tracer("x")
    for value in (1, True, 1.0):
        tracer.start_span("one", attributes={"key": value}).end()
    spans = ours(kept).resource_spans[0].scope_spans[0].spans
    kinds = [span.attributes[0].value.WhichOneof("value") for span in spans]
    assert kinds == ["int_value", "bool_value", "double_value"]


@pytest.mark.parametrize("value", [["a", "b"], None, b"bytes"])
def test_a_value_of_another_type_becomes_text(value: object) -> None:
    """We set none; but one that slipped in must not cost the batch it is in."""
    kept = Kept()
    attributes = {"key": value}
    provider(kept).get_tracer("x").start_span("one", attributes=attributes).end()  # type: ignore[arg-type]
    (span,) = ours(kept).resource_spans[0].scope_spans[0].spans
    assert span.attributes[0].value.string_value == str(value)


def test_what_otlp_has_no_room_for_becomes_text() -> None:
    """A number beyond 64 bits, and the name of a file that is no UTF-8; the span still travels."""
    kept = Kept()
    span = provider(kept).get_tracer("x").start_span("a\udcff", attributes={"big": 2**63})
    span.set_status(StatusCode.ERROR, "no \udcff")
    span.record_exception(OSError("b\udcff"))
    span.end()
    (sent,) = ours(kept).resource_spans[0].scope_spans[0].spans
    assert sent.name == "a\\udcff"
    assert sent.attributes[0].value.string_value == str(2**63)
    assert sent.status.message == "no \\udcff"
    assert sent.events[0].attributes[1].value.string_value == "b\\udcff"
