"""
The whole visit: which checks there are, in which order, and what each stands on.

From the outside in: whoever cannot find Admin's name need not hear about its database.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from opentelemetry.trace import NoOpTracer

from exporter.admin.auth.credentials import credentials_from
from exporter.admin.connection import Connection
from exporter.admin.limits import limits_of
from exporter.admin.opening import open_client
from exporter.admin.spans import Spans
from exporter.config.load import load
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings
from exporter.doctor import local, network
from exporter.doctor.admin import AdminChecks
from exporter.doctor.examination import LIMIT, Check, Look, examine, not_tried
from exporter.doctor.finding import Finding, Result
from exporter.doctor.listener import Listener
from exporter.doctor.token import token
from exporter.doctor.tracing import tracing
from exporter.model.clock import Clock

CONFIGURATION = "configuration"

NEEDS: Mapping[str, tuple[str, ...]] = {
    CONFIGURATION: (),
    "dns": (),
    "tcp": ("dns",),
    "tls": ("tcp",),
    "token": ("tls",),
    "version": ("token",),
    "projects": ("version",),
    "executions": ("projects",),
    "clock": ("projects",),
    "phase-index": ("projects",),
    "demand": ("projects",),
    "ledger": (),
    "web-port": (),
    "tracing": (),
}
"""Every check in its order, and those without which it makes no sense; all need the first."""

_PATIENCE = 0.9
"""Part of a check's time that one call may take: what is left is for saying what came of it."""


async def visit(
    config: Path,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    begins: Callable[[str], None],
    limit: float = LIMIT,
) -> AsyncGenerator[Result, None]:
    """
    Yield the result of every check, in order, as soon as it is known.

    Args:
        config: The configuration file.
        environ: Environment variables, which win over it.
        clock: Ours, which is compared with Admin's as well.
        begins: Is told the name of each check before it looks.
        limit: Seconds that each may take.
    """
    read: list[Settings] = []

    async def configuration() -> Finding:
        try:
            read.append(await asyncio.to_thread(load, config, environ))
        except ConfigError as error:
            return of_configuration(config, error)
        return Finding.ok(f"{config}: valid")

    first = Check(name=CONFIGURATION, look=configuration)
    async for result in examine([first], clock=clock, begins=begins, limit=limit):
        yield result
    rest = [name for name in NEEDS if name != CONFIGURATION]
    if not read:
        for name in rest:
            yield Result(name=name, finding=not_tried(CONFIGURATION), seconds=0.0)
        return
    async with AsyncExitStack() as stack:
        looks = await _looks(read[0], environ, stack, clock=clock, patience=limit * _PATIENCE)
        checks = [Check(name=name, look=looks[name], needs=NEEDS[name]) for name in rest]
        async for result in examine(checks, clock=clock, begins=begins, limit=limit):
            yield result


def of_configuration(config: Path, error: ConfigError) -> Finding:
    """Return the failure of a configuration that cannot be used: every problem on its own line."""
    count = len(error.problems)
    return Finding.fail(
        f"{config}: {count} {'problem' if count == 1 else 'problems'}",
        fix="\n".join(map(str, error.problems)),
    )


async def _looks(
    settings: Settings,
    environ: Mapping[str, str],
    stack: AsyncExitStack,
    *,
    clock: Clock,
    patience: float,
) -> Mapping[str, Look]:
    """Return how to look at what is left to check, by the name of the check."""
    listener = Listener()
    client = await stack.enter_async_context(
        open_client(settings.admin, clock=clock, observer=listener, tracer=NoOpTracer(), attempts=1)
    )
    # Not those of the client: what it does with its own shows in its answers.
    connection = await stack.enter_async_context(Connection(settings.admin, clock=clock))
    credentials = await stack.enter_async_context(
        credentials_from(
            settings.admin,
            connection,
            limits=limits_of(settings.admin, waited=listener.waited_for_rate),
            spans=Spans(NoOpTracer()),
            clock=clock,
            observer=listener,
            environ=environ,
        )
    )
    admin = AdminChecks(client, settings, clock=clock, patience=patience)
    return {
        "dns": partial(network.dns, settings.admin, patience=patience),
        "tcp": partial(network.tcp, settings.admin, patience=patience),
        "tls": partial(network.tls, settings.admin, clock=clock, patience=patience),
        "token": partial(token, credentials, settings.admin.auth, clock=clock, patience=patience),
        "version": admin.version,
        "projects": admin.projects,
        "executions": admin.executions,
        "clock": admin.clocks,
        "phase-index": admin.phase_index,
        "demand": admin.demand,
        "ledger": partial(local.ledger, settings, patience=patience),
        "web-port": partial(local.web_port, settings, patience=patience),
        "tracing": partial(tracing, settings.tracing, environ, patience=patience),
    }
