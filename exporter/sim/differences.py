"""
Registering other content under a version that is taken is refused with the places that differ.

Admin compares Go's JSON of both versions and names those paths that changed in both directions:
values that differ, and fields that one version lacks. Lists are compared as far as both reach.

Source: flyteadmin `pkg/errors/errors.go`, `compareJsons`; wI2L/jsondiff.
"""

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_WORD = re.compile(r"_?([a-z])([a-z]*)")
_ABSENT = object()


def differences(old: Message, new: Message) -> list[str]:
    """Return one text for each path at which *old* and *new* differ."""
    return list(_compared("", go_json(old), go_json(new)))


def go_json(message: Message) -> dict[str, Any]:
    """Return *message* as Go's own encoding/json sees it: no protobuf JSON."""
    return {
        key: value for field, content in message.ListFields()
        for key, value in [_member(field, content)]
    }  # fmt: skip


def _member(field: FieldDescriptor, content: Any) -> tuple[str, Any]:
    value = _value(field, content)
    oneof = field.containing_oneof
    if oneof is None:
        return field.name, value
    # Go wraps the choice of a oneof in a struct without JSON names.
    return _go_name(oneof.name), {_go_name(field.name): value}


def _value(field: FieldDescriptor, content: Any) -> Any:
    if field.message_type is None:
        return list(content) if field.is_repeated else content
    if field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        return {str(key): _value(inner, content[key]) for key in content}
    if field.is_repeated:
        return [go_json(item) for item in content]
    return go_json(content)


def _go_name(name: str) -> str:
    return _WORD.sub(lambda match: match[1].upper() + match[2], name)


def _compared(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _compared(f"{path}/{key}", old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _compared(f"{path}/{index}", one, other)
    elif old != new:
        yield f"{path}:\n\t- {_printed(old)} \n\t+ {_printed(new)}"


def _printed(value: Any) -> str:
    """Return *value* as Go's %v prints it."""
    if value is _ABSENT:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(_printed(item) for item in value)}]"
    return str(value)
