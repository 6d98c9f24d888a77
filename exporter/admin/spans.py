"""
What OpenTelemetry is told of a call: one span for the call, and below it one for each attempt.

The attempt's span is the CLIENT span of the RPC conventions, since it is what a server span would
have as its parent; the span of the call holds it together with the pauses and the waits for room.

Source: OpenTelemetry semantic conventions for gRPC: `rpc.system.name`, `rpc.method` in full,
    `rpc.response.status_code`; an error is whatever is not OK.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)

from exporter.admin.errors import AdminError
from exporter.admin.question import Question

_SERVICE = "flyteidl.service.AdminService"
_SYSTEM = "grpc"


class Spans:
    """Spans of calls to Admin, by one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        # Without tracing, spans that record nothing would be a tenth of a call's cost.
        self._off = isinstance(tracer, NoOpTracer)

    @contextmanager
    def call(self, question: Question) -> Iterator[Span]:
        """Have a span around a call; an `AdminError` that ends the block is recorded."""
        if self._off:
            yield INVALID_SPAN
            return
        with self._span(question.method, SpanKind.INTERNAL, question.attributes()) as span:
            yield span

    @contextmanager
    def attempt(self, question: Question, *, number: int) -> Iterator[Span]:
        """Have a span around attempt *number*, from 1, of a call."""
        if self._off:
            yield INVALID_SPAN
            return
        name = f"{_SERVICE}/{question.method}"
        about = {
            "rpc.system.name": _SYSTEM,
            "rpc.method": name,
            "flyte.attempt": number,
            **question.attributes(),
        }
        with self._span(name, SpanKind.CLIENT, about) as span:
            yield span

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str | int]
    ) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            code = "CANCELLED"
            try:
                yield span
                code = "OK"
            except AdminError as error:
                code = error.code
                # The sentence, and not Admin's own text: that one may be 32,000 bytes long.
                span.set_status(Status(StatusCode.ERROR, str(error)))
                span.set_attribute("error.type", code)
                raise
            finally:
                span.set_attribute("rpc.response.status_code", code)
