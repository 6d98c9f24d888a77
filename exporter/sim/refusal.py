"""Admin says no with a status and a sentence; a client may get details to act upon."""

import json
from typing import Any

import grpc
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

NIL = "<nil>"
"""What Go prints of a message that is not there."""


class Refusal(Exception):
    """
    What Admin answers instead of a response.

    Attributes:
        code: The gRPC status.
        details: Its text, as a person reads it.
        reason: The message that the status carries for programs, if any.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, *, reason: Message | None = None
    ) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details
        self.reason = reason


def invalid(details: str) -> Refusal:
    """Return a refusal of the request itself."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, details)


def missing(field: str) -> Refusal:
    """Return a refusal of a request that leaves out *field*."""
    return invalid(f"missing {field}")


def not_found(entity: str, **identifier: str) -> Refusal:
    """Return a refusal to answer about what is not there, *identifier* printed as protobuf."""
    return Refusal(
        grpc.StatusCode.NOT_FOUND,
        f"missing entity of type {entity} with identifier {printed(**identifier)}",
    )


def no_such(entity: str, identifier: Message) -> Refusal:
    """Return a refusal to answer about what *identifier* names, which is not there."""
    return Refusal(
        grpc.StatusCode.NOT_FOUND,
        f"missing entity of type {entity} with identifier {printed_message(identifier)}",
    )


def database_fault(details: str) -> Refusal:
    """
    Return what Admin makes of a PostgreSQL error that it does not know.

    Source: flyteadmin `pkg/repositories/errors/postgres.go`.
    """
    return Refusal(grpc.StatusCode.UNKNOWN, f"failed database operation with {details}")


def already_exists(constraint: str) -> Refusal:
    """Return what Admin makes of a unique key that is taken."""
    return Refusal(
        grpc.StatusCode.ALREADY_EXISTS,
        "value with matching already exists "
        f'(duplicate key value violates unique constraint "{constraint}")',
    )


def printed(**fields: str) -> str:
    """Return the set *fields* as Go prints a protobuf message on one line."""
    return " ".join(f"{name}:{_quoted(value)}" for name, value in fields.items() if value)


def printed_message(message: Message) -> str:
    """Return *message* as Go prints it on one line; it holds no maps."""
    return " ".join(
        f"{field.name}:{_printed_value(field, item)}"
        for field, value in message.ListFields()
        for item in (value if field.is_repeated else [value])
    )


def enum_name(enum: EnumDescriptor, number: int) -> str:
    """Return what Go calls the value *number* of *enum*: by its number, where it has no name."""
    known = enum.values_by_number.get(number)
    return known.name if known else str(number)


def _printed_value(field: FieldDescriptor, value: Any) -> str:
    if field.message_type is not None:
        return f"{{{printed_message(value)}}}"
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
