"""
A page of executions, read column by column instead of row by row.

Decoding is done by protobuf's C code and is cheap. What is dear is reading: every field of every
row that Python asks for costs an object, and a row has a dozen, nested three deep. That alone took
half of a poll's time. So the page is decoded into a message that has no rows: all of them are
merged into one, whose fields are declared `repeated`, and a whole column comes out in one go.

    executions: [{id: {name: "a"}, closure: {phase: 4}}, {id: {name: "b"}}]      Admin's rows
    {id: {name: ["", "a", "", "b"]}, closure: {phase: [M, 4, M]}}                ours, merged

A field that is not set leaves no gap in its column. To tell whose value is whose, the encoded rows
are joined with a mark: an encoded row of its own, which adds a value that Admin never sends (M) to
every column. What follows a mark is the row's; where nothing does, the field was not set.

Only fields that we read are declared. The rest is skipped, unread.

A page with anything odd in it (a field twice, a mark's value, a time that no calendar has, no name)
is read row by row by `admin.convert`, which knows what to make of it, and says what is wrong. So
there is one set of rules, and this is merely the quick way to the same rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, TypeVar

import grpc
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.message import DecodeError

from exporter.admin import convert
from exporter.admin.errors import nonsense
from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.time import SECOND, Micros

T = TypeVar("T")

_new = tuple.__new__
_LONG = convert.LONGEST * SECOND // 2
"""Microseconds; whether a longer duration can be is for `convert` to say."""

_Fields = Mapping[str, "int | _Fields"]
"""Fields of a message by name: the type that a value is declared with, or fields of its own."""

_Kind = descriptor_pb2.FieldDescriptorProto
_TIME: _Fields = {"seconds": _Kind.TYPE_INT64, "nanos": _Kind.TYPE_INT32}
# A message that is declared as bytes comes out whole: where being there means something of itself,
# or where there are few that differ.
_ROW: _Fields = {
    "id": {"name": _Kind.TYPE_STRING},
    "spec": {
        "launch_plan": _Kind.TYPE_BYTES,
        "metadata": {"mode": _Kind.TYPE_INT32, "scheduled_at": _Kind.TYPE_BYTES},
    },
    "closure": {
        "phase": _Kind.TYPE_INT32,
        "created_at": _TIME,
        "updated_at": _TIME,
        "started_at": _Kind.TYPE_BYTES,
        "duration": _Kind.TYPE_BYTES,
    },
}
_MARKS: Mapping[int, Any] = {
    # From here on Python has one object for each number: a column of marks costs none.
    _Kind.TYPE_INT32: -5,
    _Kind.TYPE_INT64: -5,
    _Kind.TYPE_STRING: "\0",
    _Kind.TYPE_BYTES: b"\xff",  # the beginning of a number that never ends: no message
}
"""By type, the value that Admin does not send; a page where it does is read row by row."""


class _Odd(Exception):
    """This page has to be read row by row."""


class _Plans(dict[bytes, str]):
    """Names of launch plans by their encoded identifiers; a page has few, and the same again."""

    _MOST = 10_000

    def __missing__(self, encoded: bytes) -> str:
        identifier = identifier_pb2.Identifier.FromString(encoded)
        if "\0" in identifier.name:
            raise _Odd
        if len(self) >= self._MOST:
            self.clear()
        self[encoded] = convert.launch_plan(identifier)
        return self[encoded]


def _declare(name: str, source: Any, fields: _Fields, file: Any) -> None:
    """Declare in *file* the message *name*: *fields* of *source*, merged and repeated."""
    message = file.message_type.add(name=name)
    for field, kind in fields.items():
        declared = message.field.add(name=field, number=source.fields_by_name[field].number)
        if isinstance(kind, int):
            declared.label, declared.type = _Kind.LABEL_REPEATED, kind
        else:
            declared.label, declared.type = _Kind.LABEL_OPTIONAL, _Kind.TYPE_MESSAGE
            declared.type_name = f".{file.package}.{name}_{field}"
            _declare(f"{name}_{field}", source.fields_by_name[field].message_type, kind, file)


def _mark(message: Any) -> Any:
    """Return *message* with a mark in every column."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            getattr(message, field.name).append(_MARKS[field.type])
        else:
            _mark(getattr(message, field.name))
    return message


def _messages() -> tuple[Any, Any, Any]:
    """Make the messages that pages, rows and times are decoded into."""
    file = descriptor_pb2.FileDescriptorProto(
        name="exporter/columns.proto", package="exporter.columns", syntax="proto3"
    )
    listed = execution_pb2.ExecutionList.DESCRIPTOR
    _declare("Listed", listed, {"executions": _Kind.TYPE_BYTES, "token": _Kind.TYPE_STRING}, file)
    _declare("Row", execution_pb2.Execution.DESCRIPTOR, _ROW, file)
    _declare("Time", timestamp_pb2.Timestamp.DESCRIPTOR, _TIME, file)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    listed_, row, time = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"exporter.columns.{name}"))
        for name in ("Listed", "Row", "Time")
    )
    return listed_, row, time


_Listed, _Row, _Time = _messages()
_ROW_MARK, _TIME_MARK = (_mark(kind()).SerializeToString() for kind in (_Row, _Time))
_TEXT_MARK, _BYTES_MARK = _MARKS[_Kind.TYPE_STRING], _MARKS[_Kind.TYPE_BYTES]
_NUMBER_MARK, _LONG_MARK = _MARKS[_Kind.TYPE_INT32], _MARKS[_Kind.TYPE_INT64]
_PLANS = _Plans()


def stub(channel: grpc.aio.Channel) -> Any:
    """Return the stub of Admin's service, which decodes lists of executions for `page`."""
    made = admin_pb2_grpc.AdminServiceStub(channel)
    made.ListExecutions = channel.unary_unary(
        "/flyteidl.service.AdminService/ListExecutions",
        request_serializer=common_pb2.ResourceListRequest.SerializeToString,
        response_deserializer=decode,
    )
    return made


def decode(encoded: bytes) -> Any:
    """Decode a `flyteidl.admin.ExecutionList` as far as `Page` needs it: its rows stay encoded."""
    return _Listed.FromString(encoded)


class Page:
    """
    One page of executions.

    Its rows are decoded when they are first asked for, so that the next page can be on its way
    while that is done.

    Attributes:
        token: Where the list goes on; empty on the last page.
    """

    def __init__(self, listed: Any, *, subject: str) -> None:
        """Take what `decode` returned; *subject* is whose list it is, for errors."""
        self.token: str = next(reversed(listed.token), "")
        self._listed = listed
        self._subject = subject

    def __len__(self) -> int:
        return len(self._listed.executions)

    @property
    def first_created(self) -> Micros:
        """
        When the first row was created.

        Raises:
            AdminError: That row cannot be used.
        """
        return self._created(0)

    @property
    def last_created(self) -> Micros:
        """
        When the last row was created.

        Raises:
            AdminError: That row cannot be used.
        """
        return self._created(-1)

    @cached_property
    def executions(self) -> list[Execution]:
        """
        The rows.

        Raises:
            AdminError: One of them cannot be used; see `convert.execution`.
        """
        encoded = self._listed.executions[:]
        try:
            return _rows(encoded)
        except (_Odd, DecodeError):
            return [self._row(row) for row in encoded]

    def _created(self, place: int) -> Micros:
        return self._row(self._listed.executions[place]).id.created_at

    def _row(self, encoded: bytes) -> Execution:
        try:
            return convert.execution(execution_pb2.Execution.FromString(encoded))
        except DecodeError as error:
            finding = "bytes that are no execution"
            raise nonsense("ListExecutions", self._subject, finding) from error
        except ValueError as error:
            raise nonsense("ListExecutions", self._subject, str(error)) from error


def _rows(encoded: list[bytes]) -> list[Execution]:
    count = len(encoded)
    merged = _Row.FromString(_ROW_MARK.join([b"", *encoded]))
    spec, closure = merged.spec, merged.closure
    names = _column(merged.id.name, _TEXT_MARK, count, "")
    if "" in names or "\0" in "".join(names):
        raise _Odd
    plans = _column(spec.launch_plan, _BYTES_MARK, count, b"")
    modes = _column(spec.metadata.mode, _NUMBER_MARK, count, 0)
    phases = _column(closure.phase, _NUMBER_MARK, count, 0)
    created = _instants(closure.created_at, count)
    updated = _instants(closure.updated_at, count)
    started = _column(closure.started_at, _BYTES_MARK, count, None)
    lasted = _column(closure.duration, _BYTES_MARK, count, None)
    scheduled = _column(spec.metadata.scheduled_at, _BYTES_MARK, count, None)
    if scheduled.count(None) != count:
        # A relaunch says for which slot the execution was that it repeats.
        pairs = zip(modes, scheduled, strict=True)
        scheduled = [slot if mode == Mode.SCHEDULED else None for mode, slot in pairs]
    return list(
        map(
            _new,
            repeat(Execution),
            zip(
                map(_new, repeat(ExecutionId), zip(names, created, strict=True)),
                map(convert.PHASES.get, phases, repeat(Phase.UNRECOGNIZED)),
                map(convert.MODES.get, modes, repeat(Mode.UNRECOGNIZED)),
                map(_PLANS.__getitem__, plans),
                _where_set(started, _instants),
                updated,
                _where_set(lasted, _durations),
                _where_set(scheduled, _instants),
                strict=True,
            ),
        )
    )


def _column(values: Sequence[Any], mark: Any, count: int, unset: T) -> Sequence[Any | T]:
    """Return one value for each of *count* rows, *unset* where a row has none."""
    if len(values) == 2 * count:
        # Slices, because to go over what protobuf has takes three times as long.
        found = values[1::2]
        if values[::2].count(mark) == count and mark not in found:
            return found
    marked = values[:]
    if marked.count(mark) != count:
        raise _Odd
    if len(marked) == count:
        return [unset] * count
    found, place = [unset] * count, -1
    for value in marked:
        if value == mark:
            place += 1
        elif found[place] is unset:
            found[place] = value
        else:
            raise _Odd
    return found


def _where_set(
    column: Sequence[bytes | None], read: Callable[[Any, int], list[T]]
) -> Sequence[T | None]:
    """Return *column* with what is set decoded and *read*, all of it at once."""
    encoded = [value for value in column if value is not None]
    if not encoded:
        return [None] * len(column)
    found = read(_Time.FromString(_TIME_MARK.join([b"", *encoded])), len(encoded))
    if len(found) == len(column):
        return found
    following = iter(found)
    return [None if value is None else next(following) for value in column]


def _instants(times: Any, count: int) -> list[Any]:
    """Return a column of `google.protobuf.Timestamp`."""
    instants = _micros(times, count)
    if instants and not 0 <= min(instants) <= max(instants) < convert.END_OF_TIME:
        raise _Odd
    return instants


def _durations(times: Any, count: int) -> list[int]:
    """Return a column of `google.protobuf.Duration`, which has the fields of a timestamp."""
    lengths = _micros(times, count)
    if lengths and not -_LONG <= min(lengths) <= max(lengths) <= _LONG:
        raise _Odd
    return lengths


def _micros(times: Any, count: int) -> list[int]:
    """Return a column of seconds and nanoseconds in microseconds, which are cut."""
    seconds = _column(times.seconds, _LONG_MARK, count, 0)
    nanos = _column(times.nanos, _NUMBER_MARK, count, 0)
    return [whole * 1_000_000 + part // 1000 for whole, part in zip(seconds, nanos, strict=True)]
