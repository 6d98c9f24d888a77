"""Admin is asked which tokens it wants as politely and as visibly as it is asked for rows."""

import asyncio

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id

from exporter.admin.auth.errors import CredentialsError
from exporter.admin.certificates import ConnectionSettingsError
from exporter.admin.limits import Limits
from tests.admin.auth.conftest import CLIENT, AdminServer, Bench

_CLIENT_SECRET = {"type": "client_secret", "client_id": CLIENT, "client_secret_env": "SECRET"}


async def test_it_keeps_to_the_rate_of_all_calls(bench: Bench, admin: AdminServer) -> None:
    """Its second question waits until it may begin."""
    waits: list[float] = []
    bench.limits = Limits(rate=100, burst=1, concurrency=1, waited=waits.append)
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        await credentials.metadata()
    assert len(admin.asked) == 2
    assert len(waits) == 1


async def test_without_room_it_is_held_back(bench: Bench, admin: AdminServer) -> None:
    """It says which settings are in the way, and Admin hears nothing."""
    bench.limits = Limits(rate=100, burst=100, concurrency=1, waited=lambda _: None)
    bench.timeout = "50ms"
    async with bench.credentials(**_CLIENT_SECRET) as credentials, bench.limits.room(within=1):
        with pytest.raises(CredentialsError) as failed:
            await credentials.metadata()
    assert failed.value.code == "DEADLINE_EXCEEDED"
    assert str(failed.value) == (
        "Admin was not asked which tokens it wants: admin.rate_limit and admin.max_concurrency"
        " left no room for it within its time."
    )
    assert admin.asked == []


async def test_each_question_is_a_span(bench: Bench, admin: AdminServer) -> None:
    """Below that of the call that needs a token; Admin is told of it, and a failure is shown."""
    memory, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    bench.tracer = provider.get_tracer("test")
    admin.refuse_metadata = (grpc.StatusCode.UNAVAILABLE, "not now")
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        with pytest.raises(CredentialsError):
            await credentials.metadata()
        admin.refuse_metadata = None
        bench.clock.advance(5)
        with bench.tracer.start_as_current_span("call") as call:
            await credentials.metadata()
    provider.shutdown()
    failed, *answered, _ = memory.get_finished_spans()
    service = "flyteidl.service.AuthMetadataService"
    for span, method, (_, carried) in zip(
        answered,
        ("GetPublicClientConfig", "GetOAuth2Metadata"),
        admin.asked[1:],
        strict=True,
    ):
        assert (span.name, span.kind) == (f"{service}/{method}", SpanKind.CLIENT)
        assert span.parent == call.get_span_context()
        assert span.attributes is not None
        assert span.attributes["rpc.method"] == span.name
        assert span.attributes["rpc.response.status_code"] == "OK"
        context = span.get_span_context()
        assert context is not None
        assert format_span_id(context.span_id) in carried["traceparent"]
    assert failed.attributes is not None
    assert failed.attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert failed.status.status_code is StatusCode.ERROR


async def test_certificates_that_cannot_be_used_are_no_bug(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with them is told to every call, as long as it lasts."""

    async def channel() -> grpc.aio.Channel:
        await asyncio.sleep(0)
        raise ConnectionSettingsError("admin.ca_file: it is gone. Put it there.")

    monkeypatch.setattr(bench.connection, "channel", channel)
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(2):
            with pytest.raises(CredentialsError, match=r"^admin\.ca_file: it is gone") as failed:
                await credentials.metadata()
            assert (failed.value.code, failed.value.lasting) == ("UNAVAILABLE", False)
