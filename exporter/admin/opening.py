"""A client of Admin, put together from the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from opentelemetry.trace import Tracer

from exporter.admin import retry
from exporter.admin.auth.credentials import credentials_from
from exporter.admin.auth.reports import AuthObserver
from exporter.admin.breaker import Breaker
from exporter.admin.client import AdminClient
from exporter.admin.connection import Connection
from exporter.admin.limits import limits_of
from exporter.admin.line import Line
from exporter.admin.retry import RetryBudget
from exporter.admin.spans import Spans
from exporter.admin.transport import CallObserver, Transport
from exporter.config.settings import AdminSettings
from exporter.model.clock import Clock


class ClientObserver(CallObserver, AuthObserver, Protocol):
    """Is told what becomes of calls and of tokens."""


@asynccontextmanager
async def open_client(
    settings: AdminSettings,
    *,
    clock: Clock,
    observer: ClientObserver,
    tracer: Tracer,
    attempts: int = retry.ATTEMPTS,
) -> AsyncIterator[AdminClient]:
    """
    Connect to Admin, lazily: nothing is sent before the first call.

    Args:
        settings: How Admin is reached, and how it is spared.
        clock: By which tokens expire, and pauses are slept.
        observer: Is told what becomes of calls and of tokens.
        tracer: Makes the spans of calls.
        attempts: How many attempts a call may have; 1 for somebody who wants to see each failure.
    """
    limits = limits_of(settings, waited=observer.waited_for_rate)
    spans = Spans(tracer)
    async with (
        Connection(settings, clock=clock) as connection,
        credentials_from(
            settings, connection, limits=limits, spans=spans, clock=clock, observer=observer
        ) as credentials,
    ):
        transport = Transport(
            line=Line(connection),
            tokens=credentials,
            limits=limits,
            breaker=Breaker(),
            budget=RetryBudget(),
            spans=spans,
            observer=observer,
            attempt_timeout=settings.timeout.total_seconds(),
            attempts=attempts,
            sleep=clock.sleep,
        )
        yield AdminClient(transport)
