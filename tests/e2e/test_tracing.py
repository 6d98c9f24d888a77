"""What a collector hears of polls, as the real command tells it over OTLP."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import Simulator
from tests.e2e.programs import free_port, get, until
from tests.otlp import PROTOCOLS, Protocol, Received, collector

_RPC = "flyteidl.service.AdminService/ListExecutions"
_DURATION = "flyte_admin_rpc_duration_seconds"
_INTERNAL, _CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT


def config_for(directory: Path, simulator: Simulator, **tracing: Any) -> Path:
    """Return a configuration that traces one target's polls."""
    return write_config(
        directory,
        endpoint=simulator.address,
        discovery={"include": ["etl/production"]},
        tracing=tracing,
        log={"level": "debug"},
    )


def _families(spans: list[Received]) -> list[tuple[Received, Received, Received]]:
    """Return polls with a call of theirs and an attempt of that, all of them there."""
    by_id = {each.span.span_id: each for each in spans}
    found = []
    for attempt in spans:
        call = by_id.get(attempt.span.parent_span_id)
        poll = by_id.get(call.span.parent_span_id) if call else None
        if attempt.name == _RPC and call and poll:
            found.append((poll, call, attempt))
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_poll_its_calls_and_their_attempts(
    simulator: Simulator, tmp_path: Path, protocol: Protocol
) -> None:
    """One trace for each poll, with who was asked about and how it ended, under one service."""
    async with collector(protocol) as receiver:
        config = config_for(
            tmp_path, simulator, exporter="otlp", protocol=protocol, endpoint=receiver.endpoint
        )
        with Exporter(config) as exporter:
            await asyncio.to_thread(exporter.wait_until_ready)
            await receiver.until(lambda: len(_families(receiver.spans)) >= 3)
            document = await asyncio.to_thread(
                get, exporter.port, "/metrics", accept="application/openmetrics-text"
            )
            log = exporter.program.said()
            assert await asyncio.to_thread(exporter.program.terminate) == 0
    families = _families(receiver.spans)
    for poll, call, attempt in families:
        assert poll.name == "poll"
        assert not poll.span.parent_span_id
        assert (
            poll.attributes.items()
            >= {
                "flyte.project": "etl",
                "flyte.domain": "production",
                "flyte.poll.outcome": "success",
            }.items()
        )
        assert (call.name, call.span.kind) == ("ListExecutions", _INTERNAL)
        assert call.attributes["flyte.page"] >= 1
        assert call.attributes["flyte.rows"] >= 0
        assert attempt.span.kind == _CLIENT
        assert (
            attempt.attributes.items()
            >= {
                "rpc.system.name": "grpc",
                "rpc.method": _RPC,
                "rpc.response.status_code": "OK",
                "flyte.attempt": 1,
                "flyte.project": "etl",
            }.items()
        )
        assert len({each.span.trace_id for each in (poll, call, attempt)}) == 1
        for each in (poll, call, attempt):
            assert each.span.status.code == Status.STATUS_CODE_UNSET
            assert each.resource["service.name"] == "flyte-exporter"
    traces = {each.span.trace_id.hex() for each in receiver.spans}
    assert document is not None
    assert _exemplars(document.body) & traces
    assert _traces_of_log(log) & traces


def _exemplars(document: str) -> set[str]:
    """Return the traces that the buckets of calls lead to."""
    return {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(document)  # type: ignore[no-untyped-call]
        if family.name == _DURATION
        for sample in family.samples
        if sample.exemplar
    }


def _traces_of_log(log: str) -> set[str]:
    """Return the traces that lines of the log name, each of them about a poll."""
    polled = [line for line in log.splitlines() if " event=polled " in line]
    assert polled
    found = [
        re.search(r"\btrace_id=([0-9a-f]{32}) span_id=[0-9a-f]{16}\b", line) for line in polled
    ]
    assert all(found)
    return {match[1] for match in found if match}


def test_spans_on_the_console(simulator: Simulator, tmp_path: Path) -> None:
    """Whoever wants to look sees them without a collector."""
    with Exporter(config_for(tmp_path, simulator, exporter="console")) as exporter:
        assert exporter.program.wait_for(r'"name": "poll"')
        assert exporter.program.wait_for(re.escape(f'"name": "{_RPC}"'))


def test_a_collector_that_is_not_there_costs_a_counter(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Polls go on, failures are counted and said once, and the end is not delayed for long."""
    config = config_for(
        tmp_path, simulator, exporter="otlp", endpoint=f"http://127.0.0.1:{free_port()}"
    )
    with Exporter(config) as exporter:
        exporter.wait_until_ready()
        spans, polls = "flyte_exporter_spans_total", "flyte_exporter_polls_total"
        until(
            lambda: (exporter.value(spans, outcome="failed") or 0) > 0, within=30, what="a failure"
        )
        goal = (exporter.value(polls, outcome="success") or 0) + 5
        until(
            lambda: (exporter.value(polls, outcome="success") or 0) >= goal,
            within=10,
            what="more polls",
        )
        assert exporter.value(spans, outcome="exported") == 0
        assert exporter.program.said().count("spans are not exported") == 1
        began = time.monotonic()
        assert exporter.program.terminate(within=20) == 0
        assert time.monotonic() - began < 10
