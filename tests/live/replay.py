"""
Recordings of what one Admin answered, held against what another answers.

Times are never the same twice, so a recording has them as offsets from the creation of named
executions; they are filled in with those of the Admin under test. So is the name of the project, in
which all of a recording happens.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from flyteidl.admin import execution_pb2
from flyteidl.service import admin_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_FOLDER = Path(__file__).parents[1] / "sim"
LIFE = _FOLDER / "flyte-admin-1.16.8.jsonl"
"""What clients and propeller do, from registration to the end."""
CORNERS = _FOLDER / "flyte-admin-1.16.8-corners.jsonl"
"""Where Admin is more particular, or less, than one would think."""
NODES = _FOLDER / "flyte-admin-1.16.8-nodes.jsonl"
"""What propeller reports of nodes and of attempts at tasks, and what becomes of it in lists."""

RECORDINGS = {"life": LIFE, "corners": CORNERS, "nodes": NODES}

PROJECT = "contract"
"""The project of every recording; the word stands for nothing else in them."""

NOT_SIMULATED = frozenset({"GetExecutionData", "GetExecutionMetrics"})
"""Calls that the product does not use: left out by method, whatever they say."""

METHODS = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name

_NOT_RECORDED = frozenset(
    {
        "annotations",
        "auth",
        "default_inputs",
        "expected_inputs",
        "expected_outputs",
        "fixed_inputs",
        "max_parallelism",
        "security_context",
        "spec_hash",
    }
)
_CREATING = frozenset({"CreateExecution", "RelaunchExecution", "RecoverExecution"})
_CREATED = re.compile(r"\$\{created\.([a-z0-9]+)(\|ns)?(?:([+-])([0-9.]+)s)?\}")
_ANY = "${any}"
_SECOND = 1_000_000_000


class Answer(NamedTuple):
    """What an Admin made of one call."""

    status: str
    details: str = ""
    response: Message | None = None


Call = Callable[[str, Message], Awaitable[Answer]]
Pause = Callable[[], Awaitable[None]]


def lines(recording: Path = LIFE, *, project: str = PROJECT) -> Iterator[dict[str, Any]]:
    """Yield the calls of *recording* in order, as if it had happened in *project*."""
    text = recording.read_text(encoding="utf-8").replace(PROJECT, project)
    yield from map(json.loads, text.splitlines())


def request(method: str, content: dict[str, Any]) -> Message:
    """Return the request message of *method* that the recording has as *content*."""
    message = message_factory.GetMessageClass(METHODS[method].input_type)()
    return json_format.ParseDict(content, message)


async def disagreements(
    recording: Path, call: Call, pause: Pause, *, project: str = PROJECT
) -> list[str]:
    """
    Replay *recording*; return where the Admin under test answers otherwise.

    Args:
        recording: What to replay.
        call: Sends one request.
        pause: Lets time pass between two creations, as it did when the recording was made.
        project: Where to replay it; must not be registered yet.
    """
    replay = _Replay(call, pause)
    found = []
    for number, line in enumerate(lines(recording, project=project), start=1):
        if line["method"] in NOT_SIMULATED:
            continue
        if difference := await replay.disagreement(line):
            found.append(f"line {number} ({line['method']}, {line['note']}): {difference}")
    return found


@dataclass
class _Replay:
    """One run of a recording against *call*."""

    call: Call
    pause: Pause
    created: dict[str, int] = field(default_factory=dict)

    async def disagreement(self, line: dict[str, Any]) -> str:
        """Send one recorded call; return what differs from what was recorded, or nothing."""
        method = line["method"]
        if method in _CREATING:
            await self.pause()
        answer = await self.call(method, request(method, self._filled_in(line["request"])))
        if method in _CREATING and answer.status == "OK":
            await self._remember(answer.response)
        found = {"status": answer.status, "details": _one_line(answer.details)}
        expected = {"status": line["status"], "details": _one_line(line.get("details", ""))}
        if answer.response is not None:
            found["response"] = _comparable(_as_json(answer.response))
        if "response" in line:
            expected["response"] = _comparable(self._filled_in(line["response"]))
        return "" if _agree(expected, found) else f"expected {expected}\n   found {found}"

    async def _remember(self, response: Any) -> None:
        asked = execution_pb2.WorkflowExecutionGetRequest(id=response.id)
        answer = await self.call("GetExecution", asked)
        assert isinstance(answer.response, execution_pb2.Execution)
        self.created[response.id.name] = answer.response.closure.created_at.ToNanoseconds()

    def _filled_in(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled_in(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled_in(item) for item in value]
        return _CREATED.sub(self._instant, value) if isinstance(value, str) else value

    def _instant(self, match: re.Match[str]) -> str:
        name, uncut, sign, seconds = match.groups()
        nanoseconds = self.created[name]
        if not uncut:
            nanoseconds -= nanoseconds % 1000
        offset = round(float(seconds or 0) * _SECOND)
        stamp = Timestamp()
        stamp.FromNanoseconds(nanoseconds + (-offset if sign == "-" else offset))
        return stamp.ToJsonString()


def _as_json(message: Message) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _comparable(item) for key, item in value.items() if key not in _NOT_RECORDED}
    return {key: item for key, item in kept.items() if item not in ({}, [], "")}


def _agree(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(
            _agree(expected[key], found[key]) for key in expected
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_agree, expected, found))
    if isinstance(expected, str) and _ANY in expected and isinstance(found, str):
        before, _, after = expected.partition(_ANY)
        return found.startswith(before) and found.endswith(after)
    return bool(expected == found)


def _one_line(text: str) -> str:
    # Go prints protobuf with one blank or two, by the process.
    return re.sub(r" +", " ", text)
