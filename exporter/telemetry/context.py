"""The span that is the current one, as others want to have it named."""

from collections.abc import Mapping

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

_NONE: Mapping[str, str] = {}


def trace_ids() -> Mapping[str, str]:
    """Return `trace_id` and `span_id` in hexadecimal; nothing outside of any span."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return _NONE
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


def sampled_trace_id() -> str | None:
    """Return the trace id in hexadecimal, if the trace is one that is kept."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.trace_flags.sampled else None


def trace_metadata() -> tuple[tuple[str, str], ...]:
    """
    Return what a call must carry to become part of the current trace; keys in lower case.

    It is W3C's form, which Admin understands, whatever is in use around it. Not by
    `opentelemetry.propagate`, which cannot be imported where `OTEL_PROPAGATORS` names a propagator
    that is not installed; and there is no `tracestate` to pass on, for our traces begin here.
    """
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return ()
    traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return (("traceparent", traceparent),)
