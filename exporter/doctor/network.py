"""The way to Admin, step by step, as gRPC goes it."""

from collections.abc import Awaitable
from datetime import timedelta

from exporter.admin import diagnosis, findings
from exporter.admin.certificates import ConnectionSettingsError
from exporter.config.settings import AdminSettings
from exporter.doctor.finding import Finding
from exporter.doctor.judgement import length
from exporter.model.clock import Clock
from exporter.model.time import to_datetime

_SOON = timedelta(days=14)
"""Time enough to renew a certificate; what renews them by itself does so earlier."""


async def dns(settings: AdminSettings, *, patience: float) -> Finding:
    """Check that the name of Admin leads somewhere."""
    return await _told(diagnosis.look_up(settings, seconds=patience))


async def tcp(settings: AdminSettings, *, patience: float) -> Finding:
    """Check that somebody listens there."""
    return await _told(diagnosis.reach(settings, seconds=patience))


async def tls(settings: AdminSettings, *, clock: Clock, patience: float) -> Finding:
    """Check that it is Admin, by its certificate, and that it speaks HTTP/2."""
    now = to_datetime(clock.now())
    # Each of its up to four connections has a limit of its own.
    greeting = diagnosis.greet(settings, now=now, seconds=patience / 2)
    try:
        greeted = await greeting
    except findings.Finding as found:
        return Finding.fail(str(found), fix=found.advice)
    except ConnectionSettingsError as error:
        return Finding.of_error(error)
    if settings.insecure_skip_verify:
        return Finding.warn(
            f"{greeted}, as admin.insecure_skip_verify says",
            fix="set admin.ca_file to the authority that issued it; until then anybody in between"
            " can pass for Admin",
        )
    if greeted.expires_at is not None and greeted.expires_at - now < _SOON:
        left = length((greeted.expires_at - now).total_seconds())
        return Finding.warn(f"{greeted}, in {left}", fix="have Admin's certificate renewed")
    return Finding.ok(str(greeted))


async def _told(step: Awaitable[object]) -> Finding:
    try:
        return Finding.ok(str(await step))
    except findings.Finding as found:
        return Finding.fail(str(found), fix=found.advice)
