"""
What OpenTelemetry is told of a call: one span for the call, and below it one for each attempt.

The attempt's span is the CLIENT span of the RPC conventions, since it is what a server span would
have as its parent; the span of the call holds it together with the pauses and the waits for room.

Source: OpenTelemetry semantic conventions for gRPC: `rpc.system.name`, `rpc.method` in full,
    `rpc.response.status_code`; an error is whatever is not OK.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import TracebackType

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from exporter.admin.errors import AdminError
from exporter.admin.question import Question

_SYSTEM = "grpc"


class Spans:
    """Spans of calls to Admin, by one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        # Without tracing, spans that record nothing would be a tenth of a call's cost.
        self._off = isinstance(tracer, NoOpTracer)

    def call(self, question: Question) -> AbstractContextManager[Span]:
        """Have a span around a call; an `AdminError` that ends the block is recorded."""
        if self._off:
            return _NOTHING
        about = question.attributes()
        return _Recorded(
            self._tracer.start_span(question.method, kind=SpanKind.INTERNAL, attributes=about)
        )

    def attempt(self, question: Question, *, number: int) -> AbstractContextManager[Span]:
        """Have a span around attempt *number*, from 1, of a call."""
        if self._off:
            return _NOTHING
        name = _full_name(question.service, question.method)
        about = {
            "rpc.system.name": _SYSTEM,
            "rpc.method": name,
            "flyte.attempt": number,
            **question.attributes(),
        }
        return _Recorded(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=about))


_NOTHING = nullcontext(INVALID_SPAN)


class _Recorded:
    """Has a span be the current one, and ends it with how the block ended."""

    # Not a generator: that would cost as much as the span itself.
    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

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
        span = self._span
        code = "OK" if error is None else "CANCELLED"
        if isinstance(error, AdminError):
            code = error.code
            # The sentence, and not Admin's own text: that one may be 32,000 bytes long.
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.set_attribute("error.type", code)
        span.set_attribute("rpc.response.status_code", code)
        span.end()


@cache
def _full_name(service: str, method: str) -> str:
    return f"{service}/{method}"
