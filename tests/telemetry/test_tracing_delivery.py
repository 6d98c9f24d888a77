"""A collector that is slow, wrong or gone costs nothing but a counter."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest
from opentelemetry.trace import Tracer
from structlog.testing import capture_logs

from tests.otlp import PROTOCOLS, Mood, Protocol, collector
from tests.telemetry.conftest import Tally, tracing_of


def make(tracer: Tracer, number: int = 1) -> None:
    """End some spans."""
    for _ in range(number):
        tracer.start_span("one").end()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_streak_of_failures_is_one_warning(tally: Tally, protocol: Protocol) -> None:
    """With the reason; and when it is over, that is said, with what was lost."""
    with capture_logs() as logs:
        async with (
            collector(protocol) as receiver,
            tracing_of(
                tally, exporter="otlp", protocol=protocol, endpoint=receiver.endpoint
            ) as tracing,
        ):
            tracer = tracing.tracer("x")
            receiver.mood = "refuse"
            for failed in (2, 4, 6):
                make(tracer, 2)
                await tally.until(failed=failed)
            receiver.mood = "accept"
            make(tracer)
            await tally.until(failed=6, exported=1)
            make(tracer)
            await tally.until(failed=6, exported=2)
    begun, warning, recovery = logs
    assert begun["event"] == "tracing"
    assert (warning["event"], warning["log_level"]) == ("spans are not exported", "warning")
    assert warning["to"].startswith(receiver.endpoint)
    assert {"grpc": "PERMISSION_DENIED", "http/protobuf": "403"}[protocol] in warning["reason"]
    assert (recovery["event"], recovery["log_level"]) == ("spans are exported again", "info")
    assert recovery["lost"] == 6
    assert tally.counts == {"failed": 6, "exported": 2}


async def test_each_streak_has_its_reason(tally: Tally) -> None:
    """Also the second within 20 s, for which the SDK logs nothing by itself."""
    with capture_logs() as logs:
        async with (
            collector("grpc") as receiver,
            tracing_of(tally, exporter="otlp", endpoint=receiver.endpoint) as tracing,
        ):
            for turn in (1, 2):
                receiver.mood = "refuse"
                make(tracing.tracer("x"))
                await tally.until(**{"failed": turn, **({"exported": 1} if turn > 1 else {})})
                receiver.mood = "accept"
                make(tracing.tracer("x"))
                await tally.until(failed=turn, exported=turn)
    reasons = [line["reason"] for line in logs if line["log_level"] == "warning"]
    assert len(reasons) == 2
    assert all("PERMISSION_DENIED" in reason for reason in reasons)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_secrets_are_masked_in_the_reason(tally: Tally, protocol: Protocol) -> None:
    """Whatever the SDK says of its endpoint, where nobody listens, and of its headers."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20c2VjcmV0",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
    }
    endpoint = "http://user:hunter22@127.0.0.1:1"
    with capture_logs() as logs:
        async with tracing_of(
            tally, environ, exporter="otlp", protocol=protocol, endpoint=endpoint
        ) as tracing:
            make(tracing.tracer("x"))
            await tally.until(failed=1)
    _, failure = logs
    assert failure["event"] == "spans are not exported"
    assert {"grpc": "UNAVAILABLE", "http/protobuf": "timeout"}[protocol] in failure["reason"]
    assert "hunter22" not in repr(logs)
    assert "c2VjcmV0" not in repr(logs)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mood", ["unavailable", "hang"])
async def test_what_passes_is_waited_for_until_the_timeout(
    tally: Tally, protocol: Protocol, mood: Mood
) -> None:
    """Then the batch is given up, and the next is tried."""
    async with (
        collector(protocol) as receiver,
        tracing_of(
            tally,
            {"OTEL_EXPORTER_OTLP_TIMEOUT": "200"},
            exporter="otlp",
            protocol=protocol,
            endpoint=receiver.endpoint,
        ) as tracing,
    ):
        receiver.mood = mood
        began = time.monotonic()
        make(tracing.tracer("x"), 3)
        await tally.until(failed=3)
        assert time.monotonic() - began < 4
        receiver.mood = "accept"
        make(tracing.tracer("x"))
        await tally.until(failed=3, exported=1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_does_not_fit_the_queue_is_dropped_and_counted(
    tally: Tally, protocol: Protocol
) -> None:
    """Each span is counted once, whatever becomes of it."""
    async with collector(protocol) as receiver:
        async with tracing_of(
            tally,
            {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"},
            exporter="otlp",
            protocol=protocol,
            endpoint=receiver.endpoint,
        ) as tracing:
            receiver.mood = "hang"
            make(tracing.tracer("x"), 25)
            assert tally.counts == {"dropped": 15}
            await receiver.asked.wait()
        assert tally.counts == {"dropped": 25}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_end_sends_what_waits(tally: Tally, protocol: Protocol) -> None:
    """Also what waits for others to go with, for up to an hour."""
    async with (
        collector(protocol) as receiver,
        tracing_of(
            tally,
            {"OTEL_BSP_SCHEDULE_DELAY": "3600000"},
            exporter="otlp",
            protocol=protocol,
            endpoint=receiver.endpoint,
        ) as tracing,
    ):
        make(tracing.tracer("x"), 1000)
        await tracing.shutdown(seconds=10)
        assert len(receiver.spans) == 1000
        assert tally.counts == {"exported": 1000}
        make(tracing.tracer("x"))
        assert tally.counts == {"exported": 1000, "dropped": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_end_does_not_wait_for_a_collector_that_hangs(
    tally: Tally, protocol: Protocol
) -> None:
    """Longer than it was told to; the loop runs on meanwhile, and what is lost is said."""
    before = set(threading.enumerate())
    async with collector(protocol) as receiver:
        receiver.mood = "hang"
        with capture_logs() as logs:
            async with tracing_of(
                tally, exporter="otlp", protocol=protocol, endpoint=receiver.endpoint
            ) as tracing:
                make(tracing.tracer("x"), 5)
                await receiver.asked.wait()
                began = time.monotonic()
                closing = asyncio.create_task(tracing.shutdown(seconds=0.3))
                turns = 0
                while not closing.done():
                    await asyncio.sleep(0.01)
                    turns += 1
                took = time.monotonic() - began
        if protocol == "grpc":
            # A request over HTTP cannot be ended from outside, but its thread keeps nobody.
            for thread in set(threading.enumerate()) - before:
                if thread.name == "flush spans":
                    await asyncio.to_thread(thread.join, 5)
                    assert not thread.is_alive()
    assert 0.3 <= took < 3
    assert turns > 5
    assert tally.counts == {"dropped": 5}
    (lost,) = (line for line in logs if line["log_level"] == "warning")
    assert (lost["event"], lost["spans"]) == ("spans lost at exit", 5)


async def test_making_spans_never_waits(tally: Tally) -> None:
    """With a collector that hangs and a queue that is full, as with none at all."""
    async with collector("grpc") as receiver:
        receiver.mood = "hang"
        async with tracing_of(
            tally,
            {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"},
            exporter="otlp",
            endpoint=receiver.endpoint,
        ) as tracing:
            tracer = tracing.tracer("x")
            make(tracer, 50)
            await receiver.asked.wait()
            began = time.monotonic()
            make(tracer, 2000)
            assert time.monotonic() - began < 2
            assert tally.counts == {"dropped": 2000}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_program_ends_though_its_collector_hangs(protocol: Protocol) -> None:
    """No thread of an exporter keeps the interpreter."""
    program = (
        "import asyncio, sys\n"
        "from exporter.config.settings import TracingSettings\n"
        "from exporter.telemetry.tracing import start_tracing\n"
        "class Nobody:\n"
        "    def spans_left(self, *, outcome, spans): pass\n"
        "async def main():\n"
        "    settings = TracingSettings(exporter='otlp', protocol=sys.argv[1],"
        " endpoint=sys.argv[2])\n"
        "    tracing = start_tracing(settings, {}, observer=Nobody())\n"
        "    tracing.tracer('x').start_span('one').end()\n"
        "    await tracing.shutdown(seconds=0.5)\n"
        "asyncio.run(main())\n"
    )
    async with collector(protocol) as receiver:
        receiver.mood = "hang"
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, protocol, receiver.endpoint),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _, complaints = await asyncio.wait_for(process.communicate(), timeout=30)
        took = time.monotonic() - began
    assert process.returncode == 0
    assert b"Traceback" not in complaints
    # Its default timeout is 10 s.
    assert took < 9
