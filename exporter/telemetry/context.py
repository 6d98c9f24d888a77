"""A span, as others want to have it named."""

from collections.abc import Mapping

from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    TraceFlags,
    format_span_id,
    format_trace_id,
    get_current_span,
)

_NONE: Mapping[str, str] = {}


def trace_ids() -> Mapping[str, str]:
    """Return `trace_id` and `span_id` of the current one, in hexadecimal; nothing where none is."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return _NONE
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


def sampled_trace_id(span: Span) -> str | None:
    """Return the trace id of *span* in hexadecimal, if the trace is one that is kept."""
    if span is INVALID_SPAN:
        return None
    trace_id, _, _, flags, _, _ = span.get_span_context()
    return f"{trace_id:032x}" if flags & TraceFlags.SAMPLED else None


def trace_metadata(span: Span) -> tuple[tuple[str, str], ...]:
    """
    Return what a call must carry to be continued below *span*; keys in lower case.

    It is W3C's form, which Admin understands, whatever is in use around it. Not by
    `opentelemetry.propagate`, which cannot be imported where `OTEL_PROPAGATORS` names a propagator
    that is not installed; and there is no `tracestate` to pass on, for our traces begin here.
    """
    if span is INVALID_SPAN:
        return ()
    trace_id, span_id, _, flags, _, valid = span.get_span_context()
    return (("traceparent", f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"),) if valid else ()
