"""Whether there is a token to ask Admin with."""

import asyncio

from exporter.admin.auth.credentials import Credentials
from exporter.admin.auth.errors import CredentialsError
from exporter.config.settings import AuthSettings
from exporter.doctor.finding import Finding
from exporter.doctor.judgement import length
from exporter.model.clock import Clock
from exporter.model.time import SECOND


async def token(
    credentials: Credentials, auth: AuthSettings, *, clock: Clock, patience: float
) -> Finding:
    """Check that a token can be had; whether Admin accepts it, its answers will show."""
    if auth.type == "none" and not auth.proxy_command:
        return Finding.skip('not configured (admin.auth.type is "none")')
    try:
        async with asyncio.timeout(patience):
            await credentials.metadata()
    except CredentialsError as error:
        return Finding.of_error(error)
    except TimeoutError:
        return Finding.fail(
            f"none came within {length(patience)}: {credentials.description}",
            fix="check that it can be reached from here, and what it waits for",
        )
    words = [credentials.description]
    if credentials.expires_at is not None:
        left = (credentials.expires_at - clock.now()) / SECOND
        words.append(f"expires in {length(max(0.0, left))}")
    if credentials.scopes:
        words.append(f"scopes {' '.join(credentials.scopes)}")
    return Finding.ok(", ".join(words))
