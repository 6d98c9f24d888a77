"""A page read by columns is the same page, row for row, whatever is in it."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flyteidl.admin import execution_pb2
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from exporter.admin import columns, convert
from exporter.admin.columns import Page
from exporter.admin.errors import AdminError, nonsense
from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.time import SECOND, Micros

_RECORDING = Path(__file__).parents[1] / "sim" / "flyte-admin-1.16.8.jsonl"

_INT32_MIN, _INT64_MIN = -(2**31), -(2**63)
_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
_seconds = st.sampled_from(
    [0, 1, 1_790_000_000, 253_402_300_799, 253_402_300_800, -1, 2**63 - 1, _INT64_MIN, 10**12]
)
_nanos = st.sampled_from([0, 1, 999, 1000, 999_999_999, 2**31 - 1, -1, -1000, _INT32_MIN])
_numbers = st.sampled_from([0, 1, 2, 3, 4, 9, 10, 77, -1, 2**31 - 1, _INT32_MIN])
_texts = st.sampled_from(["b", "nightly", "é" * 70, "", "\0", "a\0"])


def usual(name: str) -> Any:
    """Return a row such as Admin sends."""
    row = execution_pb2.Execution()
    row.id.name = name
    row.spec.launch_plan.name = "nightly"
    row.spec.launch_plan.resource_type = 3
    row.closure.created_at.seconds = 1_790_000_000
    row.closure.updated_at.seconds = 1_790_000_100
    return row


def named(name: str) -> bytes:
    """Return an encoded row that has a name and nothing else."""
    return changed("id.name", name)


def changed(path: str, value: Any) -> bytes:
    """Return an encoded row that has nothing but one field, which may be a message left empty."""
    row = execution_pb2.Execution()
    *above, field = path.split(".")
    message: Any = row
    for name in above:
        message = getattr(message, name)
    if value is None:
        getattr(message, field).SetInParent()
    else:
        setattr(message, field, value)
    serialized: bytes = row.SerializeToString()
    return serialized


_times = (
    "closure.created_at",
    "closure.updated_at",
    "closure.started_at",
    "closure.duration",
    "spec.metadata.scheduled_at",
)
_changes = st.one_of(
    st.builds(changed, st.sampled_from(["id.name", "spec.launch_plan.name"]), _texts),
    st.builds(
        changed,
        st.sampled_from(["spec.launch_plan.resource_type", "spec.metadata.mode", "closure.phase"]),
        _numbers,
    ),
    st.builds(changed, st.sampled_from(_times), st.none()),
    st.builds(changed, st.sampled_from([f"{time}.seconds" for time in _times]), _seconds),
    st.builds(changed, st.sampled_from([f"{time}.nanos" for time in _times]), _nanos),
    st.builds(changed, st.sampled_from(["id.project", "closure.error.message"]), _names),
    st.sampled_from([b"\xfa\x07\x03new", b"\xf8\x07\x05"]),  # fields of a newer server
)
_rows = st.builds(
    lambda row, changes: b"".join([row, *changes]),
    st.one_of(_names.map(lambda name: usual(name).SerializeToString()), _names.map(named)),
    st.lists(_changes, max_size=3),
)
"""Encoded rows: each something plain, followed by pieces that merge with it."""


def encoded(rows: Sequence[bytes], *tokens: str) -> bytes:
    """Return the encoded list of encoded rows."""
    page = b"".join(
        execution_pb2.ExecutionList(executions=[execution_pb2.Execution()]).SerializeToString()[:1]
        + _length(row)
        + row
        for row in rows
    )
    return page + b"".join(
        execution_pb2.ExecutionList(token=token).SerializeToString() for token in tokens
    )


def _length(row: bytes) -> bytes:
    """Return the length of *row* as protobuf writes it."""
    rest, written = len(row), bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def by_columns(page: bytes) -> object:
    """Return what the columns make of *page*: rows and token, or what is wrong."""
    found = Page(columns.decode(page), subject="p/d")
    try:
        return found.executions, found.token
    except AdminError as error:
        return str(error)


def by_rows(page: bytes) -> object:
    """Return what `convert` makes of *page*, row by row."""
    listed = execution_pb2.ExecutionList.FromString(page)
    try:
        return [convert.execution(row) for row in listed.executions], listed.token
    except ValueError as error:
        return str(nonsense("ListExecutions", "p/d", str(error)))


@given(st.lists(_rows, max_size=4), st.lists(st.text(max_size=3), max_size=2))
def test_any_page_is_the_same_page(page: list[bytes], tokens: list[str]) -> None:
    """Rows that are odd, in pieces, incomplete or hostile come out as `convert` has them."""
    sent = encoded(page, *tokens)
    assert by_columns(sent) == by_rows(sent)


@given(st.lists(st.builds(usual, st.sampled_from("abc")), max_size=4), st.binary(max_size=40))
def test_any_bytes_behind_a_page_are_read_alike(page: list[Any], noise: bytes) -> None:
    """What decodes as a list is the same list."""
    sent = encoded([row.SerializeToString() for row in page]) + noise
    try:
        expected = by_rows(sent)
    except DecodeError:
        return
    assert by_columns(sent) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Phase)[1:]),
            st.sampled_from(list(Mode)[1:]),
            st.integers(0, 3),
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.sampled_from([0, 999, 1000, 999_999_999]),
        ),
        max_size=8,
    )
)
def test_usual_rows_are_read_by_columns_alone(rows: list[tuple[Any, ...]]) -> None:
    """With any of what is optional left out, `convert` is not needed."""
    sent = []
    for number, (phase, mode, kind, started, over, scheduled, nanos) in enumerate(rows):
        row = usual(f"x{number}")
        row.closure.phase, row.spec.metadata.mode = phase, mode
        row.spec.launch_plan.resource_type = kind
        row.closure.created_at.nanos = nanos
        if started:
            row.closure.started_at.seconds, row.closure.started_at.nanos = 1_790_000_005, nanos
        if over:
            row.closure.duration.seconds, row.closure.duration.nanos = 5, nanos
        if scheduled:
            row.spec.metadata.scheduled_at.seconds = 1_789_999_800
            row.spec.metadata.scheduled_at.nanos = nanos
        sent.append(row)
    expected = [convert.execution(row) for row in sent]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(convert, "execution")
        page = encoded([row.SerializeToString() for row in sent], "8")
        assert by_columns(page) == (expected, "8")


def test_what_a_recorded_admin_sent() -> None:
    """Every list of executions of a real flyteadmin is read by columns alone, and alike."""
    found = 0
    for line in _RECORDING.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if call["method"] != "ListExecutions" or call["status"] != "OK":
            continue
        # The recording has times by what they depend on; which times they are matters little here.
        written = re.sub(r'"\$\{[^}]*\}"', '"2026-09-21T12:13:20.123456789Z"', json.dumps(call))
        listed = json_format.ParseDict(
            json.loads(written)["response"], execution_pb2.ExecutionList()
        )
        page = listed.SerializeToString()
        expected = by_rows(page)
        with pytest.MonkeyPatch.context() as patch:
            patch.delattr(convert, "execution")
            assert by_columns(page) == expected
        found += len(listed.executions)
    assert found > 50


def test_one_row_in_full() -> None:
    """Every field finds its place."""
    row = usual("a")
    row.closure.phase, row.spec.metadata.mode = Phase.SUCCEEDED, Mode.CHILD_WORKFLOW
    row.spec.launch_plan.resource_type = 1
    row.closure.started_at.seconds, row.closure.started_at.nanos = 1_790_000_005, 1_999
    row.closure.duration.FromTimedelta(timedelta(seconds=95, microseconds=7))
    assert by_columns(encoded([row.SerializeToString()])) == (
        [
            Execution(
                ExecutionId("a", Micros(1_790_000_000 * SECOND)),
                Phase.SUCCEEDED,
                Mode.CHILD_WORKFLOW,
                ".flytegen.nightly",
                Micros(1_790_000_005 * SECOND + 1),
                Micros(1_790_000_100 * SECOND),
                95 * SECOND + 7,
            )
        ],
        "",
    )


@pytest.mark.parametrize("name", ["", "\0", "a\0b"])
@pytest.mark.parametrize("path", ["id.name", "spec.launch_plan.name"])
def test_an_odd_name_is_read_alike(path: str, name: str) -> None:
    """What is nonsense row by row is nonsense here, in the same words."""
    page = encoded([usual("a").SerializeToString() + changed(path, name)])
    if not name:
        page = encoded([named("a"), changed("closure.created_at.seconds", 5)])
    assert by_columns(page) == by_rows(page)


@pytest.mark.parametrize("seconds", [0, -1, 253_402_300_799, 253_402_300_800, 2**63 - 1])
@pytest.mark.parametrize("time", _times)
def test_an_odd_time_is_read_alike(time: str, seconds: int) -> None:
    """At the ends of all calendars, and beyond them."""
    row = usual("a")
    row.spec.metadata.mode = Mode.SCHEDULED
    page = encoded([row.SerializeToString() + changed(f"{time}.seconds", seconds)])
    assert by_columns(page) == by_rows(page)


@pytest.mark.parametrize(
    ("mode", "slot"),
    [(Mode.SCHEDULED, Micros(1_789_999_800 * SECOND)), (Mode.RELAUNCH, None), (Mode.MANUAL, None)],
)
def test_only_what_a_schedule_launched_has_a_slot(mode: Mode, slot: Micros | None) -> None:
    """A relaunch carries the slot of the execution that it repeats, and does not fill it again."""
    row = usual("a")
    row.spec.metadata.mode = mode
    row.spec.metadata.scheduled_at.seconds = 1_789_999_800
    (found,) = Page(columns.decode(encoded([row.SerializeToString()])), subject="p/d").executions
    assert found.scheduled_at == slot
    assert convert.execution(row).scheduled_at == slot


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([1, 2], [], id="twice-and-not-at-all"),
        pytest.param([], [1, 2], id="not-at-all-and-twice"),
        pytest.param([5, _INT32_MIN], [], id="the-mark-behind-a-value"),
        pytest.param([_INT32_MIN], [6], id="the-mark-alone"),
        pytest.param([_INT32_MIN, 5], [6], id="the-mark-before-a-value"),
        pytest.param([0], [6], id="what-is-unset-and-sent-all-the-same"),
    ],
)
def test_no_value_moves_to_another_row(first: list[int], second: list[int]) -> None:
    """However often a field comes, and though it be what we took to be impossible."""
    page = encoded(
        [
            usual("a").SerializeToString() + b"".join(_phase(number) for number in numbers)
            for numbers in (first, second)
        ]
    )
    assert by_columns(page) == by_rows(page)


def _phase(number: int) -> bytes:
    """Return an encoded row with nothing but a phase, sent also where it is 0."""
    return changed("closure.phase", number) or b"\x1a\x02\x20\x00"


def test_bytes_that_are_no_row_are_nonsense() -> None:
    """A list whose rows cannot be decoded is an error, and no shorter list."""
    page = encoded([usual("a").SerializeToString(), b"\xff\xff"])
    assert by_columns(page) == str(nonsense("ListExecutions", "p/d", "bytes that are no execution"))


def test_how_a_page_goes_on_is_known_before_it_is_read() -> None:
    """How many rows, and when the first and the last were created; and the rows are read once."""
    first, last = usual("a"), usual("b")
    last.closure.created_at.seconds += 9
    page = Page(
        columns.decode(encoded([first.SerializeToString(), last.SerializeToString()])),
        subject="p/d",
    )
    noon = 1_790_000_000 * SECOND
    assert (len(page), page.first_created, page.last_created) == (2, noon, noon + 9 * SECOND)
    assert page.executions is page.executions
