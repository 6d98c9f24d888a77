"""Whether spans would arrive; nothing stops where they do not, so nothing here fails."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from exporter.config.settings import TracingSettings
from exporter.doctor.finding import Finding
from exporter.telemetry.plan import Plan, plan_for

_DEFAULT_PORTS = {"http": 80, "https": 443, "": 443}
"""By scheme; gRPC dials 443 where neither scheme nor port is given."""


async def tracing(
    settings: TracingSettings, environ: Mapping[str, str], *, patience: float
) -> Finding:
    """Check that the collector of spans can be reached."""
    plan = plan_for(settings, environ)
    if plan.problems:
        return Finding.warn(
            f"spans go to {plan.place}, which is not as configured", fix="\n".join(plan.problems)
        )
    if plan.destination == "none":
        return Finding.skip('not configured (tracing.exporter is "none")')
    if plan.collector is None:
        return Finding.ok(f"spans go to the {plan.place}")
    return await _reached(plan, plan.collector.endpoint, patience)


async def _reached(plan: Plan, endpoint: str, patience: float) -> Finding:
    url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    port = url.port or _DEFAULT_PORTS.get(url.scheme, 443)
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(url.hostname, port)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return Finding.warn(
            f"{plan.place} cannot be reached: {why}",
            fix="check tracing.endpoint; until then spans are dropped, and nothing else happens",
        )
    writer.close()
    return Finding.ok(f"spans go to {plan.place}")
