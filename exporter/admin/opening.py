"""A client of Admin, put together from the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flyteidl.service import admin_pb2_grpc
from opentelemetry.trace import Tracer

from exporter.admin import retry
from exporter.admin.auth.anonymous import Anonymous
from exporter.admin.breaker import Breaker
from exporter.admin.channel import connect
from exporter.admin.client import AdminClient
from exporter.admin.limits import Limits
from exporter.admin.retry import RetryBudget
from exporter.admin.spans import Spans
from exporter.admin.transport import CallObserver, Transport
from exporter.config.settings import AdminSettings
from exporter.model.clock import Clock


@asynccontextmanager
async def open_client(
    settings: AdminSettings,
    *,
    clock: Clock,
    observer: CallObserver,
    tracer: Tracer,
    attempts: int = retry.ATTEMPTS,
) -> AsyncIterator[AdminClient]:
    """
    Connect to Admin, lazily: nothing is sent before the first call.

    Args:
        settings: How Admin is reached, and how it is spared.
        clock: By which tokens expire, and pauses are slept.
        observer: Is told what becomes of calls.
        tracer: Makes the spans of calls.
        attempts: How many attempts a call may have; 1 for somebody who wants to see each failure.
    """
    async with connect(settings) as channel:
        service = admin_pb2_grpc.AdminServiceStub(channel)

        async def stub() -> Any:
            return service

        yield AdminClient(
            Transport(
                stub=stub,
                tokens=Anonymous(),
                limits=Limits(
                    rate=settings.rate_limit,
                    burst=settings.burst,
                    concurrency=settings.max_concurrency,
                    waited=observer.waited_for_rate,
                ),
                breaker=Breaker(),
                budget=RetryBudget(),
                spans=Spans(tracer),
                observer=observer,
                attempt_timeout=settings.timeout.total_seconds(),
                attempts=attempts,
                sleep=clock.sleep,
            )
        )
