"""The simulator is as good as its answers are those of a real Flyte Admin."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message

from exporter.admin.client import AdminClient
from exporter.model.time import Micros
from exporter.sim.api import SERVICE, AdminApi
from exporter.sim.refusal import Refusal
from exporter.sim.store import Store
from tests.live.replay import (
    LIFE,
    METHODS,
    NOT_SIMULATED,
    PROJECT,
    RECORDINGS,
    Answer,
    disagreements,
    lines,
)

_GAP_SECONDS = 0.02
"""Between two creations when the recording was made."""


each_recording = pytest.mark.parametrize("recording", RECORDINGS.values(), ids=RECORDINGS)


@each_recording
async def test_the_simulator_answers_every_recorded_call_alike(recording: Path) -> None:
    """Status, error text, content, order and token are those of a real Admin, line for line."""
    now = [Micros(1_790_000_000_123_456)]
    api = AdminApi(Store(), now=lambda: now[0])

    async def call(method: str, request: Message) -> Answer:
        try:
            return Answer("OK", response=api.calls[method](request))
        except Refusal as refusal:
            return Answer(refusal.code.name, refusal.details)

    async def pause() -> None:
        now[0] = Micros(now[0] + 20_123)

    assert await disagreements(recording, call, pause) == []


def test_the_readme_says_how_many_calls_are_recorded() -> None:
    """As many as are replayed, and not those that are not simulated."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    replayed = [
        line
        for recording in RECORDINGS.values()
        for line in lines(recording)
        if line["method"] not in NOT_SIMULATED
    ]
    assert re.findall(r"answers (\d+) recorded calls", readme) == [str(len(replayed))]


@pytest.mark.live
@pytest.mark.write
@each_recording
async def test_an_admin_on_a_socket_answers_every_recorded_call_alike(
    client: AdminClient, admin_address: str, recording: Path
) -> None:
    """The same holds over real gRPC, for any Admin."""
    # Filters on tags find executions of the same name in other projects too: a second replay of
    # these would find those of the first.
    project = PROJECT if recording == LIFE else f"{PROJECT}-{uuid.uuid4().hex[:10]}"
    if any(target.project == project for target in await client.list_targets(timeout=10)):
        pytest.skip(f"this Admin has a project {project!r}: the recording begins by registering it")
    async with grpc.aio.insecure_channel(admin_address) as channel:

        async def call(method: str, request: Message) -> Answer:
            response = message_factory.GetMessageClass(METHODS[method].output_type)
            send: Any = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            try:
                return Answer("OK", response=await send(request, timeout=10))
            except grpc.aio.AioRpcError as error:
                return Answer(error.code().name, error.details() or "")

        async def pause() -> None:
            # The recording has no two executions of one instant; neither may its replay.
            await asyncio.sleep(_GAP_SECONDS)

        assert await disagreements(recording, call, pause, project=project) == []
