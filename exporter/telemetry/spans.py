"""
Spans at a price at which every call may have one.

They go to OpenTelemetry's exporters, and code that makes them sees nothing but OpenTelemetry's API.
Its SDK's own span takes 25 us to begin and end on a machine on which this one takes 5; with five
spans a poll, the difference is a tenth of all that a quiet exporter does.

The rules that make it cheap: attributes are taken as they are, for they are all ours, few, and of
plain types; there are no links and no limits; and only the first span of a trace asks the sampler.
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler
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

_UNSET = Status()
_DROPPED = TraceFlags(TraceFlags.DEFAULT)
# Not the flag for a random trace id as well: OpenTelemetry for Go, and so Admin, took a traceparent
# with it for a broken one until 2026.
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Sink(Protocol):
    """Takes spans that have ended."""

    def take(self, span: ReadableSpan) -> None:
        """Take one; must not wait."""


class LightProvider(TracerProvider):
    """
    Gives tracers whose spans go to *sink*.

    Args:
        resource: Says what this process is.
        sampler: Is asked once for each trace.
        sink: Takes what has ended.
    """

    def __init__(self, *, resource: Resource, sampler: Sampler, sink: Sink) -> None:
        self._resource = _OneResource(resource.attributes, resource.schema_url)
        self._sampler = sampler
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
        return _LightTracer(self._resource, self._sampler, self._sink, scope)


class _OneResource(Resource):
    """A resource that is only equal to itself: spans are grouped by it, one hash for each."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class _LightTracer(Tracer):
    def __init__(
        self, resource: Resource, sampler: Sampler, sink: Sink, scope: InstrumentationScope
    ) -> None:
        self.resource = resource
        self.scope = scope
        self.sink = sink
        self._sampler = sampler
        self._ids = RandomIdGenerator()

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
        parent: SpanContext | None = get_current_span(context).get_span_context()
        span_id = self._ids.generate_span_id()
        if parent is not None and parent.is_valid:
            own = SpanContext(
                parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state
            )
        else:
            parent = None
            trace_id = self._ids.generate_trace_id()
            decision = self._sampler.should_sample(None, trace_id, name).decision
            flags = _SAMPLED if decision is Decision.RECORD_AND_SAMPLE else _DROPPED
            own = SpanContext(trace_id, span_id, False, flags)
        if not own.trace_flags.sampled:
            return NonRecordingSpan(own)
        return _LightSpan(
            self,
            name,
            context=own,
            parent=parent,
            kind=kind,
            attributes=attributes,
            start_nanos=start_time,
        )

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


class _LightSpan(Span):
    __slots__ = (
        "_attributes",
        "_context",
        "_ended",
        "_events",
        "_kind",
        "_name",
        "_parent",
        "_start_nanos",
        "_status",
        "_tracer",
    )

    def __init__(
        self,
        tracer: _LightTracer,
        name: str,
        *,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        start_nanos: int | None,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._attributes: dict[str, AnyValue] = dict(attributes) if attributes else {}
        self._events: list[Event] = []
        self._status = _UNSET
        self._ended = False
        self._start_nanos = time.time_ns() if start_nanos is None else start_nanos

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return not self._ended

    def set_attribute(self, key: str, value: AnyValue) -> None:
        if not self._ended:
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        if not self._ended:
            self._attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        if not self._ended:
            self._events.append(Event(name, attributes, timestamp))

    def update_name(self, name: str) -> None:
        if not self._ended:
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if not self._ended:
            self._status = status if isinstance(status, Status) else Status(status, description)

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
        if self._ended:
            return
        self._ended = True
        tracer = self._tracer
        tracer.sink.take(
            ReadableSpan(
                self._name,
                self._context,
                self._parent,
                tracer.resource,
                self._attributes,
                self._events,
                kind=self._kind,
                status=self._status,
                start_time=self._start_nanos,
                end_time=time.time_ns() if end_time is None else end_time,
                instrumentation_scope=tracer.scope,
            )
        )
