"""Spans arrive at a collector as they were made, over either protocol."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.trace import (
    INVALID_SPAN,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    use_span,
)
from structlog.testing import capture_logs

import exporter
from exporter.config.settings import TracingSettings
from exporter.telemetry.context import sampled_trace_id, trace_ids, trace_metadata
from exporter.telemetry.log import add_trace_ids, configure, get_logger
from exporter.telemetry.tracing import start_tracing
from tests.otlp import PROTOCOLS, Protocol, collector
from tests.telemetry.authority import identity
from tests.telemetry.conftest import Tally, tracing_of


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_spans_arrive_as_they_were_made(tally: Tally, protocol: Protocol) -> None:
    """Names, kinds, attributes, times, statuses and who is whose child; and who we are."""
    async with (
        collector(protocol) as receiver,
        tracing_of(
            tally, exporter="otlp", protocol=protocol, endpoint=receiver.endpoint
        ) as tracing,
    ):
        tracer = tracing.tracer("exporter.scrape")
        with tracer.start_as_current_span("poll", attributes={"flyte.project": "p"}) as poll:
            with tracer.start_as_current_span("call", kind=SpanKind.CLIENT) as call:
                call.set_attributes({"rows": 7, "ok": True, "seconds": 0.5})
                call.set_status(StatusCode.ERROR, "no")
            poll.set_attribute("outcome", "success")
            poll.update_name("a poll")
            poll.set_status(Status(StatusCode.OK))
        await receiver.until_spans(2)
        await tally.until(exported=2)
    parent, child = receiver.named("a poll"), receiver.named("call")
    assert parent.attributes == {"flyte.project": "p", "outcome": "success"}
    assert child.attributes == {"rows": 7, "ok": True, "seconds": 0.5}
    assert child.span.trace_id == parent.span.trace_id
    assert (child.span.parent_span_id, parent.span.parent_span_id) == (parent.span.span_id, b"")
    assert (child.span.kind, parent.span.kind) == (3, 1)
    assert (child.span.status.code, child.span.status.message) == (2, "no")
    assert parent.span.status.code == 1
    times = [
        parent.span.start_time_unix_nano,
        child.span.start_time_unix_nano,
        child.span.end_time_unix_nano,
        parent.span.end_time_unix_nano,
    ]
    assert times == sorted(times)
    assert child.scope == "exporter.scrape"
    assert child.resource["service.name"] == "flyte-exporter"
    assert child.resource["service.version"] == exporter.__version__
    assert child.resource["service.instance.id"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_headers_and_compression_go_along(
    tally: Tally, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configured by variables alone, as a platform does it; the environment is left as it was."""
    async with collector(protocol) as receiver:
        variables = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "X-Tenant=flyte%20team",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "another",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        before = dict(os.environ)
        async with tracing_of(tally, os.environ) as tracing:
            assert dict(os.environ) == before
            with tracing.tracer("x").start_as_current_span("one"):
                pass
            await receiver.until_spans(1)
    (received,) = receiver.spans
    assert received.headers["x-tenant"] == "flyte team"
    assert received.resource["service.name"] == "another"
    if protocol == "http/protobuf":
        assert received.headers["content-encoding"] == "gzip"


async def test_only_the_environment_that_was_given_counts(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK looks at the process's own, too, and is kept from it."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "stray=1")
    async with (
        collector("grpc") as receiver,
        tracing_of(tally, exporter="otlp", endpoint=receiver.endpoint) as tracing,
    ):
        tracing.tracer("x").start_span("one").end()
        await receiver.until_spans(1)
    assert "stray" not in receiver.named("one").resource


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_certificates_are_shown_and_looked_at(
    tally: Tally, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an authority of one's own, and to a collector that wants to know who asks."""
    # The library under OTLP over HTTP would take what these name instead.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    one = identity(tmp_path)
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(one.authority),
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": str(one.key),
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": str(one.certificate),
    }
    async with collector(protocol, identity=one) as receiver:
        settings = {"exporter": "otlp", "protocol": protocol, "endpoint": receiver.endpoint}
        async with tracing_of(tally, environ, **settings) as tracing:
            tracing.tracer("x").start_span("one").end()
            await receiver.until_spans(1)
        # Neither is it trusted without that authority, nor are we without a certificate.
        for names in ([], ["OTEL_EXPORTER_OTLP_CERTIFICATE"]):
            stranger = Tally()
            less = {name: environ[name] for name in names}
            async with tracing_of(
                stranger, {"OTEL_EXPORTER_OTLP_TIMEOUT": "300", **less}, **settings
            ) as tracing:
                tracing.tracer("x").start_span("two").end()
                await stranger.until(failed=1)
    assert receiver.names == ["one"]


async def test_variables_that_break_the_sdk_break_nothing(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not start with any of these in its environment."""
    variables = {
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "ten",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "zstd",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",
        "OTEL_PROPAGATORS": "nonsense",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization:Bearer-secret-word",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with collector("grpc") as receiver:
        with capture_logs() as logs:
            async with tracing_of(
                tally, os.environ, exporter="otlp", endpoint=receiver.endpoint
            ) as tracing:
                with tracing.tracer("x").start_as_current_span("one"):
                    pass
                await receiver.until_spans(1)
    problems = [line["problem"].split(":")[0] for line in logs if "problem" in line]
    assert sorted(problems) == [
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    ]
    assert "secret-word" not in repr(logs)


async def test_an_exception_marks_the_span_that_it_passes(tally: Tally) -> None:
    """With its kind and its words, but not with our source code."""
    async with (
        collector("grpc") as receiver,
        tracing_of(tally, exporter="otlp", endpoint=receiver.endpoint) as tracing,
    ):
        with (
            pytest.raises(LookupError),
            tracing.tracer("x").start_as_current_span("one"),
        ):
            raise LookupError("nobody")
        await receiver.until_spans(1)
    span = receiver.named("one").span
    assert (span.status.code, span.status.message) == (2, "LookupError: nobody")
    (event,) = span.events
    assert event.name == "exception"
    assert {pair.key: pair.value.string_value for pair in event.attributes} == {
        "exception.type": "builtins.LookupError",
        "exception.message": "nobody",
    }


async def test_a_span_that_ended_changes_no_more(tally: Tally) -> None:
    """And it is sent once."""
    async with collector("grpc") as receiver:
        async with tracing_of(tally, exporter="otlp", endpoint=receiver.endpoint) as tracing:
            span = tracing.tracer("x").start_span("one", start_time=1)
            assert span.is_recording()
            span.end(end_time=2)
            assert not span.is_recording()
            span.set_attribute("late", 1)
            span.set_attributes({"late": 1})
            span.set_status(StatusCode.ERROR)
            span.update_name("other")
            span.add_event("late")
            span.end()
        await receiver.until_spans(1)
    (received,) = receiver.spans
    assert (received.name, received.attributes, received.span.status.code) == ("one", {}, 0)
    assert (received.span.start_time_unix_nano, received.span.end_time_unix_nano) == (1, 2)
    assert not received.span.events


async def test_a_trace_is_kept_as_a_whole_or_not_at_all(tally: Tally) -> None:
    """About the part of them that was asked for."""
    kept = 0
    async with tracing_of(tally, exporter="console", sample_ratio=0.5) as tracing:
        tracer = tracing.tracer("x")
        for _ in range(400):
            with tracer.start_as_current_span("poll") as poll:
                child = tracer.start_span("call")
                assert child.is_recording() is poll.is_recording()
                contexts = child.get_span_context(), poll.get_span_context()
                assert contexts[0].trace_id == contexts[1].trace_id
                assert contexts[0].span_id != contexts[1].span_id
                kept += poll.is_recording()
    # Outside of this once in 10^9.
    assert 140 < kept < 260


async def test_off_means_that_nothing_is_recorded(tally: Tally) -> None:
    """The tracer is the one of OpenTelemetry's API that does nothing."""
    tracing = start_tracing(TracingSettings(), {}, observer=tally)
    with tracing.tracer("x").start_as_current_span("poll") as span:
        assert span is INVALID_SPAN
        assert (trace_ids(), sampled_trace_id(span), trace_metadata(span)) == ({}, None, ())
    await tracing.shutdown()
    assert tally.counts == {}


def test_off_costs_no_import() -> None:
    """The SDK and its exporters take 0.2 s to import, which is a tenth of our start."""
    program = (
        "import sys\n"
        "from exporter.config.settings import TracingSettings\n"
        "from exporter.telemetry.tracing import start_tracing\n"
        "start_tracing(TracingSettings(), {}, observer=None)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout == b"[]\n"


async def test_the_current_span_is_known_to_others(tally: Tally) -> None:
    """To calls, to exemplars and to the log."""
    async with tracing_of(tally, exporter="console") as tracing:
        with tracing.tracer("x").start_as_current_span("poll") as span:
            context = get_current_span().get_span_context()
            trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            assert trace_metadata(span) == (("traceparent", f"00-{trace_id}-{span_id}-01"),)
            assert sampled_trace_id(span) == trace_id
            assert add_trace_ids(None, "", {"event": "e"}) == {
                "event": "e",
                "trace_id": trace_id,
                "span_id": span_id,
            }
        assert add_trace_ids(None, "", {"event": "e"}) == {"event": "e"}


async def test_a_log_line_says_its_trace(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    """As the program writes it."""
    configure(level="info", media="logfmt")
    async with tracing_of(tally, exporter="console") as tracing:
        with tracing.tracer("x").start_as_current_span("poll"):
            ids = trace_ids()
            get_logger("exporter.x").info("within")
        get_logger("exporter.x").info("after")
    _, within, after = capsys.readouterr().err.splitlines()
    assert "event=within" in within
    assert f"trace_id={ids['trace_id']}" in within
    assert f"span_id={ids['span_id']}" in within
    assert "trace_id" not in after


async def test_a_trace_that_is_not_kept_is_still_told_to_admin(tally: Tally) -> None:
    """With the flag that says so, so that it does not begin one by itself; but no exemplar."""
    async with tracing_of(tally, exporter="console", sample_ratio=0.0) as tracing:
        with tracing.tracer("x").start_as_current_span("poll") as span:
            ((key, value),) = trace_metadata(span)
            assert (key, value[-3:]) == ("traceparent", "-00")
            assert sampled_trace_id(span) is None


async def test_each_task_has_its_own_current_span(tally: Tally) -> None:
    """Polls run side by side, and their calls must not be taken for each other's."""
    async with tracing_of(tally, exporter="console") as tracing:
        tracer = tracing.tracer("x")
        gate = asyncio.Event()

        async def poll(name: str) -> tuple[str | None, str]:
            with tracer.start_as_current_span(name) as span:
                if name == "second":
                    gate.set()
                await gate.wait()
                return sampled_trace_id(
                    get_current_span()
                ), f"{span.get_span_context().trace_id:032x}"

        results = await asyncio.gather(poll("first"), poll("second"))
    assert all(current == own for current, own in results)
    assert results[0] != results[1]


async def test_the_console_gets_one_line_each(
    tally: Tally, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard output, away from the log."""
    with capture_logs():
        async with tracing_of(tally, exporter="console") as tracing:
            tracer = tracing.tracer("x")
            with use_span(tracer.start_span("one", attributes={"a": 1}), end_on_exit=True):
                tracer.start_span("two").end()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["two", "one"]
    assert lines[1]["attributes"] == {"a": 1}
    assert lines[0]["parent_id"] == lines[1]["context"]["span_id"]


async def test_a_file_that_cannot_be_read_turns_tracing_off(tally: Tally) -> None:
    """We run, and say why nothing is traced."""
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"}
    with capture_logs() as logs:
        async with tracing_of(tally, environ, exporter="otlp") as tracing:
            assert tracing.tracer("x").start_span("one") is INVALID_SPAN
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("tracing is off", "warning")
    assert "/nowhere/ca.pem" in line["reason"]


def test_what_the_sdk_logs_is_kept_off_standard_error() -> None:
    """It writes a line for each export that fails; ours are a warning and a recovery."""
    assert not logging.getLogger("opentelemetry").propagate
