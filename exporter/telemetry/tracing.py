"""
Where spans of polls and of calls to Admin come from, and go to.

Off unless it is asked for, and then nothing of OpenTelemetry's SDK is even imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider

import exporter
from exporter.config.settings import TracingSettings
from exporter.telemetry.log import get_logger
from exporter.telemetry.outcomes import SpanObserver
from exporter.telemetry.plan import masked, plan_for
from exporter.telemetry.variables import environment_of

log = get_logger(__name__)

SHUTDOWN_SECONDS = 5.0
"""How long the end of the program waits for the collector, at most."""


class Delivery(Protocol):
    """Has spans under way."""

    async def close(self, *, seconds: float) -> None:
        """Send what waits, within so many *seconds*."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """
    Gives tracers, and sees their spans off.

    Attributes:
        provider: Gives the tracers; with tracing off, those of which no span records anything.
    """

    provider: TracerProvider = field(default_factory=NoOpTracerProvider)
    delivery: Delivery | None = None

    def tracer(self, name: str) -> Tracer:
        """Return the tracer of the module called *name*."""
        return self.provider.get_tracer(name, exporter.__version__)

    async def shutdown(self, *, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send what waits, within so many *seconds*; what is not sent by then is dropped."""
        if self.delivery is not None:
            await self.delivery.close(seconds=seconds)


def start_tracing(
    settings: TracingSettings, environ: Mapping[str, str], *, observer: SpanObserver
) -> Tracing:
    """
    Set tracing up. Whatever is wrong is logged; nothing stops us.

    Args:
        settings: Ours; those that were set win over *environ*.
        environ: Is looked at for OpenTelemetry's variables.
        observer: Is told what becomes of spans.
    """
    plan = plan_for(settings, environ)
    for problem in plan.problems:
        log.warning("tracing is not as configured", problem=problem)
    if plan.destination == "none":
        return Tracing()
    try:
        with environment_of({}):
            # Takes 0.2 s and 5 MiB, which whoever does not trace shall not pay.
            from exporter.telemetry import sdk  # noqa: PLC0415

            tracing = Tracing(*sdk.assemble(plan, observer))
    # The edge of somebody else's code, without which we can do.
    except Exception as error:  # noqa: BLE001
        log.warning("tracing is off", reason=masked(str(error), plan.secrets))
        return Tracing()
    log.info("tracing", to=plan.place, sample_ratio=plan.sample_ratio)
    return tracing
