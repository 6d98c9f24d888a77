"""
Spans at a price at which every call may have one.

They go to OpenTelemetry's exporters, and code that makes them sees nothing but OpenTelemetry's API.
Its SDK's own span takes 25 us to begin and end on a machine on which this one takes 4; with five
spans a poll, the difference is a tenth of all that a quiet exporter does.

The rules that make it cheap: attributes are taken as they are, for they are all ours, few, and of
plain types; there are no links and no limits; and whether a trace is kept is decided once, by its
id alone, as OpenTelemetry's `TraceIdRatioBased` does.
"""

import time
from collections.abc import Mapping, Sequence
from random import getrandbits
from types import TracebackType
from typing import Any, Protocol

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AnyValue, Attributes

UNSET = Status()
"""Of spans of which nobody said how they went."""
_LOWER = TraceIdRatioBased.TRACE_ID_LIMIT
_NO_EVENTS: tuple[Event, ...] = ()
_DROPPED = TraceFlags(TraceFlags.DEFAULT)
# Not the flag for a random trace id as well: OpenTelemetry for Go, and so Admin, took a traceparent
# with it for a broken one until 2026.
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Sink(Protocol):
    """Takes spans that have ended."""

    def take(self, span: "LightSpan") -> None:
        """Take one; must not wait."""


class LightProvider(TracerProvider):
    """
    Gives tracers whose spans go to *sink*.

    Args:
        resource: Says what this process is.
        sample_ratio: Part of all traces that is kept.
        sink: Takes what has ended.
    """

    def __init__(self, *, resource: Resource, sample_ratio: float, sink: Sink) -> None:
        self._resource = resource
        self._bound = TraceIdRatioBased.get_bound_for_rate(sample_ratio)
        self._sink = sink

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return a tracer."""
        scope = InstrumentationScope(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        return _LightTracer(self._resource, self._bound, self._sink, scope)


class _LightTracer(Tracer):
    def __init__(
        self, resource: Resource, bound: int, sink: Sink, scope: InstrumentationScope
    ) -> None:
        self.resource = resource
        self.scope = scope
        self.sink = sink
        self._bound = bound

    def start_span(  # noqa: PLR0917  # the API's order
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Begin a span, of the trace of *context* or else of a new one. It ignores *links*."""
        del links, record_exception, set_status_on_exception
        outer = get_current_span(context).get_span_context()
        # Unpacked, for its properties take long.
        trace_id, _, _, flags, state, valid = outer
        # None may be 0, which one in 2^64 would be.
        span_id = getrandbits(64) or 1
        if valid:
            own = SpanContext(trace_id, span_id, False, flags, state)
        else:
            trace_id = getrandbits(128) or 1
            # Its lower half, for elsewhere ids are of 64 bits.
            flags = _SAMPLED if trace_id & _LOWER < self._bound else _DROPPED
            own = SpanContext(trace_id, span_id, False, flags)
        if not flags & _SAMPLED:
            return NonRecordingSpan(own)
        return LightSpan(self, name, own, outer if valid else None, kind, attributes, start_time)

    def start_as_current_span(  # type: ignore[override]  # noqa: PLR0917  # the API's own type
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> "_Current":
        """Begin a span that is the current one while the block runs. It ignores *links*."""
        del links
        span = self.start_span(name, context, kind, attributes, start_time=start_time)
        return _Current(span, end_on_exit, record_exception, set_status_on_exception)


class _Current:
    """Has a span be the current one. Does what `use_span` does, without a generator."""

    __slots__ = ("_ends", "_marks", "_records", "_span", "_token")

    def __init__(self, span: Span, ends: bool, records: bool, marks: bool) -> None:
        self._span = span
        self._ends = ends
        self._records = records
        self._marks = marks

    def __enter__(self) -> Span:
        self._token = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        detach(self._token)
        # Being cancelled is no error.
        if isinstance(error, Exception):
            if self._records:
                self._span.record_exception(error)
            if self._marks:
                self._span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
        if self._ends:
            self._span.end()


class LightSpan(Span):
    """
    A span, as it is made and as it ended.

    Attributes:
        resource: Of which process it is.
        scope: Of which tracer it is.
        context: Its ids.
        parent: Those of the span it is in; None for the first of a trace.
        start_nanos, end_nanos: Since the epoch; it ended when the second is not 0.
    """

    __slots__ = (
        "_sink",
        "attributes",
        "context",
        "end_nanos",
        "events",
        "kind",
        "name",
        "parent",
        "resource",
        "scope",
        "start_nanos",
        "status",
    )

    def __init__(  # noqa: PLR0917  # one is made for every call, and names cost
        self,
        tracer: _LightTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        start_nanos: int | None,
    ) -> None:
        self.resource = tracer.resource
        self.scope = tracer.scope
        self._sink = tracer.sink
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.attributes: dict[str, AnyValue] = dict(attributes) if attributes else {}
        self.events: Sequence[Event] = _NO_EVENTS
        self.status = UNSET
        self.end_nanos = 0
        self.start_nanos = time.time_ns() if start_nanos is None else start_nanos

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        return self.context

    def is_recording(self) -> bool:
        """Tell whether it has not ended."""
        return not self.end_nanos

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set an attribute, unless it has ended."""
        if not self.end_nanos:
            self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set some attributes, unless it has ended."""
        if not self.end_nanos:
            self.attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event, unless it has ended."""
        if not self.end_nanos:
            self.events = (*self.events, Event(name, attributes, timestamp))

    def update_name(self, name: str) -> None:
        """Give it another name, unless it has ended."""
        if not self.end_nanos:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went, unless it has ended."""
        if not self.end_nanos:
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an event. It has no stack trace: whose program this is finds that in its log."""
        del escaped
        kind = type(exception)
        found: dict[str, AnyValue] = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": str(exception),
            **(attributes or {}),
        }
        self.add_event("exception", found, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End it, once; it goes to the sink."""
        if self.end_nanos:
            return
        self.end_nanos = end_time or time.time_ns()
        self._sink.take(self)
