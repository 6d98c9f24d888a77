"""
Rows are kept as the bytes they are answered with, so that a page is joined and not built.

Protobuf allows it: a message field is a tag, a length and the message's own bytes.
"""

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from exporter.model.time import Micros

NANOSECONDS = 1_000_000_000
_MICROSECOND = 1_000
_LOW_BITS = 0x7F
_MORE = 0x80


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _LOW_BITS:
        encoded.append(number & _LOW_BITS | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, payload: bytes) -> bytes:
    """Return *payload* (a serialized message, or text) as field *number* of another message."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def page(rows: Iterable[bytes], token: str) -> bytes:
    """Return a list message: the rows are its field 1, the token its field 2."""
    # The tag of field 1 is one byte; done here because it is done for every row of every page.
    encoded = b"".join([b"\x0a" + _varint(len(row)) + row for row in rows])
    return encoded + field(2, token.encode()) if token else encoded


def timestamp(nanoseconds: int) -> Timestamp:
    """Return an instant in nanoseconds since the epoch as protobuf has it."""
    seconds, nanos = divmod(nanoseconds, NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=nanos)


def nanoseconds(stamp: Timestamp) -> int:
    """Return *stamp* in nanoseconds since the epoch."""
    return stamp.seconds * NANOSECONDS + stamp.nanos


def nanos_of(instant: Micros) -> int:
    """Return *instant* in nanoseconds since the epoch."""
    return instant * _MICROSECOND


def micros_of(nanoseconds: int) -> Micros:
    """Return *nanoseconds* as a column holds them: cut, as Admin's driver does."""
    return Micros(nanoseconds // _MICROSECOND)
