"""A call is a span, each of its attempts a span below it, and Admin is told which."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from flyteidl.admin import execution_pb2, version_pb2
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from exporter.admin import query
from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError
from exporter.admin.opening import open_client
from exporter.model.targets import Target
from tests.admin.conftest import Impatient, Refused, ScriptedAdmin, settings_for
from tests.calls import Calls
from tests.rows import NOON

_TARGET = Target("flytesnacks", "production")
_PATIENCE = 10.0


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """Return where spans end up."""
    return InMemorySpanExporter()


@pytest.fixture
async def traced(
    server: ScriptedAdmin, calls: Calls, clock: Impatient, memory: InMemorySpanExporter
) -> AsyncIterator[AdminClient]:
    """Yield a client whose spans are all recorded."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    async with open_client(
        settings_for(server), clock=clock, observer=calls, tracer=provider.get_tracer("test")
    ) as client:
        yield client
    provider.shutdown()


def refusing_once(code: grpc.StatusCode, details: str) -> Any:
    """Return an answer that refuses, and then is given."""
    left = [Refused(code, details)]

    def answer(_: Any) -> Any:
        if left:
            raise left.pop()
        return execution_pb2.ExecutionList()

    return answer


def ended(memory: InMemorySpanExporter) -> tuple[list[ReadableSpan], ReadableSpan]:
    """Return the spans of attempts, in order, and that of the one call there was."""
    *attempts, call = memory.get_finished_spans()
    return attempts, call


async def test_a_call_and_its_attempts(
    traced: AdminClient, server: ScriptedAdmin, memory: InMemorySpanExporter
) -> None:
    """The names and attributes are those of OpenTelemetry for RPCs, and Flyte's own."""
    server.answers["ListExecutions"] = refusing_once(grpc.StatusCode.UNKNOWN, "database")
    await traced.list_executions(
        _TARGET, query.created_from(NOON), limit=3, timeout=_PATIENCE, page=2
    )
    (failed, answered), call = ended(memory)
    about = {"flyte.project": "flytesnacks", "flyte.domain": "production", "flyte.page": 2}
    assert (call.name, call.kind) == ("ListExecutions", SpanKind.INTERNAL)
    assert dict(call.attributes or {}) == about | {
        "rpc.response.status_code": "OK",
        "flyte.rows": 0,
    }
    rpc = "flyteidl.service.AdminService/ListExecutions"
    for attempt, number in ((failed, 1), (answered, 2)):
        assert (attempt.name, attempt.kind) == (rpc, SpanKind.CLIENT)
        assert attempt.parent == call.get_span_context()
        assert attempt.attributes is not None
        assert attempt.attributes["rpc.system.name"] == "grpc"
        assert attempt.attributes["rpc.method"] == rpc
        assert attempt.attributes["flyte.attempt"] == number
        assert about.items() <= dict(attempt.attributes).items()
    assert failed.attributes is not None
    assert failed.attributes["rpc.response.status_code"] == "UNKNOWN"
    assert failed.attributes["error.type"] == "UNKNOWN"
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == (
        "ListExecutions for flytesnacks/production failed with UNKNOWN: database"
    )
    assert answered.status.status_code is StatusCode.UNSET
    assert call.status.status_code is StatusCode.UNSET


async def test_an_execution_is_named(
    traced: AdminClient, server: ScriptedAdmin, memory: InMemorySpanExporter
) -> None:
    """A call about one execution says which, and that it failed."""
    server.answers["GetExecution"] = lambda _: _raise(grpc.StatusCode.NOT_FOUND)
    with pytest.raises(AdminError):
        await traced.get_execution(_TARGET, "a", timeout=_PATIENCE)
    (attempt,), call = ended(memory)
    for span in (attempt, call):
        assert span.attributes is not None
        assert span.attributes["flyte.execution"] == "a"
        assert span.attributes["rpc.response.status_code"] == "NOT_FOUND"
        assert span.status.status_code is StatusCode.ERROR


async def test_admin_can_continue_the_trace(
    traced: AdminClient, server: ScriptedAdmin, memory: InMemorySpanExporter, calls: Calls
) -> None:
    """W3C context travels in the metadata and names the attempt; the observer gets the trace."""
    server.answers["GetVersion"] = lambda _: version_pb2.GetVersionResponse()
    await traced.get_version(timeout=_PATIENCE)
    (attempt,), call = ended(memory)
    context = attempt.get_span_context()
    assert context is not None
    trace, span = format_trace_id(context.trace_id), format_span_id(context.span_id)
    version, *names, flags = server.carried[0]["traceparent"].split("-")
    assert (version, *names) == ("00", trace, span)
    assert int(flags, 16) & 1, "marked as sampled"
    assert calls.traces == [trace]
    assert call.parent is None


async def test_a_call_that_is_given_up_is_no_error(
    traced: AdminClient, server: ScriptedAdmin, memory: InMemorySpanExporter
) -> None:
    """Our own cancellation is told as such."""
    arrived = asyncio.Event()

    def answer(_: Any) -> Any:
        arrived.set()
        return asyncio.get_running_loop().create_future()

    server.answers["GetVersion"] = answer
    asking = asyncio.ensure_future(traced.get_version(timeout=_PATIENCE))
    await asyncio.wait_for(arrived.wait(), _PATIENCE)
    asking.cancel()
    await asyncio.wait([asking])
    (attempt,), call = ended(memory)
    for span in (attempt, call):
        assert span.attributes is not None
        assert span.attributes["rpc.response.status_code"] == "CANCELLED"
        assert span.status.status_code is StatusCode.UNSET


async def test_without_tracing_nothing_travels(
    client: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """No trace, no metadata, no exemplar."""
    server.answers["GetVersion"] = lambda _: version_pb2.GetVersionResponse()
    await client.get_version(timeout=_PATIENCE)
    assert all("traceparent" not in carried for carried in server.carried)
    assert calls.traces == [None]


def _raise(code: grpc.StatusCode) -> Any:
    raise Refused(code, "no")
