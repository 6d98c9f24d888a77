"""The span that is the current one, as others want to have it named."""

from collections.abc import Mapping

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Not opentelemetry.propagate: that fails to be imported where OTEL_PROPAGATORS names one that is
# not installed. Admin understands W3C's form, whatever else is in use around it.
_PROPAGATOR = TraceContextTextMapPropagator()
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
    """Return what a call must carry to become part of the current trace; keys in lower case."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return tuple(carrier.items())
