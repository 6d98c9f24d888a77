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
from itertools import compress, repeat
from typing import Any, NamedTuple, NoReturn, TypeVar

import grpc
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import admin_pb2_grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from exporter.admin import convert
from exporter.admin.errors import nonsense
from exporter.model.executions import FAILURES, Execution, ExecutionId, Mode, Phase
from exporter.model.failures import Failure
from exporter.model.time import Micros

T = TypeVar("T")

_new = tuple.__new__


class _Value(NamedTuple):
    """
    How a value is declared.

    Attributes:
        type: Of protobuf's.
        mark: A value that Admin does not send; a page where it does is read row by row. Short,
            because there is one in every row and column. Numbers are among those of which Python
            has one object each: a column of marks costs none.
    """

    type: int
    mark: Any


_Kind = descriptor_pb2.FieldDescriptorProto
_TEXT = _Value(_Kind.TYPE_STRING, "\0")
_MESSAGE = _Value(_Kind.TYPE_BYTES, b"\xff")  # the beginning of a number that never ends
_NUMBER = _Value(_Kind.TYPE_INT32, 127)  # far beyond Flyte's modes and phases
_NANOS = _Value(_Kind.TYPE_INT32, 1)  # no clock is as fine
_INSTANT = _Value(_Kind.TYPE_INT64, 1)  # Flyte is younger
_LENGTH = _Value(_Kind.TYPE_INT64, -5)  # any second may be how long one ran

_Fields = Mapping[str, "_Value | _Fields"]
"""Fields of a message by name: the values that they have, or fields of their own."""

_TIME: _Fields = {"seconds": _INSTANT, "nanos": _NANOS}
_ROW: _Fields = {
    "id": {"name": _TEXT},
    "spec": {
        # As bytes it comes out whole: there are few that differ.
        "launch_plan": _MESSAGE,
        "metadata": {
            "mode": _NUMBER,
            "scheduled_at": _TIME,
            "system_metadata": {"execution_cluster": _TEXT},
        },
    },
    "closure": {
        "phase": _NUMBER,
        "created_at": _TIME,
        "updated_at": _TIME,
        "started_at": _TIME,
        "duration": {"seconds": _LENGTH, "nanos": _NANOS},
    },
}
_RESULTS = [
    result.name
    for result in execution_pb2.ExecutionClosure.DESCRIPTOR.oneofs_by_name["output_result"].fields
]
_ERROR = "error"
_FAILED_ROW: _Fields = {"closure": dict.fromkeys(_RESULTS, _MESSAGE)}
"""What is read besides of rows that failed; they are few, and have their error in full."""


class _Odd(Exception):
    """This page has to be read row by row."""


class _Known(dict[bytes, T]):
    """What encoded messages were read as: there are few that differ, and the same come again."""

    def __init__(self, read: Callable[[bytes], T], *, most: int) -> None:
        """Keep what *read* makes of *most* messages."""
        self._read = read
        self._most = most

    def __missing__(self, encoded: bytes) -> T:
        found = self._read(encoded)
        if len(self) >= self._most:
            self.clear()
        self[encoded] = found
        return found


def _plan(encoded: bytes) -> str:
    identifier = identifier_pb2.Identifier.FromString(encoded)
    if "\0" in identifier.name:
        raise _Odd
    return convert.launch_plan(identifier)


def _failure(encoded: bytes) -> Failure:
    return convert.error(core_execution_pb2.ExecutionError.FromString(encoded))


def _declare(name: str, source: Any, fields: _Fields, file: Any) -> None:
    """Declare in *file* the message *name*: *fields* of *source*, merged and repeated."""
    message = file.message_type.add(name=name)
    for field, value in fields.items():
        declared = message.field.add(name=field, number=source.fields_by_name[field].number)
        if isinstance(value, _Value):
            declared.label, declared.type = _Kind.LABEL_REPEATED, value.type
        else:
            declared.label, declared.type = _Kind.LABEL_OPTIONAL, _Kind.TYPE_MESSAGE
            declared.type_name = f".{file.package}.{name}_{field}"
            _declare(f"{name}_{field}", source.fields_by_name[field].message_type, value, file)


def _mark(message: Any, fields: _Fields) -> Any:
    """Return *message* with a mark in every column."""
    for field, value in fields.items():
        if isinstance(value, _Value):
            getattr(message, field).append(value.mark)
        else:
            _mark(getattr(message, field), value)
    return message


def _messages() -> tuple[Any, Any, Any]:
    """Make the messages that pages, rows and rows that failed are decoded into."""
    file = descriptor_pb2.FileDescriptorProto(
        name="exporter/columns.proto", package="exporter.columns", syntax="proto3"
    )
    listed = execution_pb2.ExecutionList.DESCRIPTOR
    _declare("Listed", listed, {"executions": _MESSAGE, "token": _TEXT}, file)
    _declare("Row", execution_pb2.Execution.DESCRIPTOR, _ROW, file)
    _declare("FailedRow", execution_pb2.Execution.DESCRIPTOR, _FAILED_ROW, file)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    listed_, row, failed_row = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"exporter.columns.{name}"))
        for name in ("Listed", "Row", "FailedRow")
    )
    return listed_, row, failed_row


_Listed, _Row, _FailedRow = _messages()
_ROW_MARK = _mark(_Row(), _ROW).SerializeToString()
_FAILED_MARK = _mark(_FailedRow(), _FAILED_ROW).SerializeToString()
_PLANS = _Known(_plan, most=10_000)
_FAILURES = _Known(_failure, most=1_000)


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
    names = _column(merged.id.name, _TEXT, count, "")
    if "" in names or "\0" in "".join(names):
        raise _Odd
    plans = _column(spec.launch_plan, _MESSAGE, count, b"")
    modes = _column(spec.metadata.mode, _NUMBER, count, 0)
    clusters = spec.metadata.system_metadata.execution_cluster
    phases = _column(closure.phase, _NUMBER, count, 0)
    created = _instants(closure.created_at, count)
    scheduled = _known(_instants(spec.metadata.scheduled_at, count))
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
                _known(_instants(closure.started_at, count)),
                _instants(closure.updated_at, count),
                _known(_durations(closure.duration, count)),
                scheduled,
                _column(clusters, _TEXT, count, ""),
                _failures(encoded, phases),
                strict=True,
            ),
        )
    )


def _failures(encoded: Sequence[bytes], phases: Sequence[int]) -> Sequence[Failure | None]:
    """
    Return why each row failed.

    Of an error and the other results the last that was sent counts, and columns do not know their
    order. So whoever failed may have nothing else.
    """
    found: list[Failure | None] = [None] * len(encoded)
    failed = list(compress(range(len(encoded)), map(FAILURES.__contains__, phases)))
    if not failed:
        return found
    rows = [encoded[place] for place in failed]
    closure = _FailedRow.FromString(_FAILED_MARK.join([b"", *rows])).closure
    if any(len(getattr(closure, result)) != len(failed) for result in _RESULTS if result != _ERROR):
        raise _Odd
    errors = _column(closure.error, _MESSAGE, len(failed), None)
    for place, error in zip(failed, errors, strict=True):
        if error is not None:
            found[place] = _FAILURES[error]
    return found


def _column(values: Sequence[Any], value: _Value, count: int, unset: T) -> Sequence[Any | T]:
    """Return one value for each of *count* rows, *unset* where a row has none."""
    mark = value.mark
    if len(values) == count:
        # Marks alone.
        return [unset] * count
    if len(values) == 2 * count:
        # Slices, because to go over what protobuf has takes three times as long.
        found = values[1::2]
        if values[::2].count(mark) == count and mark not in found:
            return found
    marked = values[:]
    if marked.count(mark) != count:
        raise _Odd
    # Behind the mark of a row there is its value or the next mark, and behind that value a mark.
    following = iter([*marked, mark])
    next(following)
    return [
        unset if value == mark else value if next(following) == mark else _odd()
        for value in following
    ]


def _odd() -> NoReturn:
    raise _Odd


def _known(values: list[int]) -> Sequence[int | None]:
    """Return *values*, with None for what is 0."""
    if not any(values):
        return [None] * len(values)
    return [value or None for value in values] if 0 in values else values


def _instants(times: Any, count: int) -> list[Any]:
    """Return a column of `google.protobuf.Timestamp` in microseconds, 0 where a row has none."""
    instants = _micros(times, _INSTANT, count)
    if instants and not 0 <= min(instants) <= max(instants) < convert.END_OF_TIME:
        raise _Odd
    return instants


def _durations(times: Any, count: int) -> list[int]:
    """Return a column of `google.protobuf.Duration`, which has the fields of a timestamp."""
    lengths = _micros(times, _LENGTH, count)
    if lengths and not 0 <= min(lengths) <= max(lengths) < convert.LONGEST:
        raise _Odd
    return lengths


def _micros(times: Any, value: _Value, count: int) -> list[int]:
    """Return a column of seconds and nanoseconds in microseconds, which are cut."""
    if len(times.seconds) == len(times.nanos) == count:
        return [0] * count
    seconds = _column(times.seconds, value, count, 0)
    nanos = _column(times.nanos, _NANOS, count, 0)
    return [whole * 1_000_000 + part // 1000 for whole, part in zip(seconds, nanos, strict=True)]
