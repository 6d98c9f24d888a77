"""What a setting takes, in words, read from the type that checks it."""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.config.values import Expected

_Note = TypeVar("_Note")


def of_field(field: FieldInfo) -> str:
    """Return what *field* takes, such as `a whole number from 1 to 64`."""
    return _words(*_kind(field))


def noted(field: FieldInfo, kind: type[_Note]) -> _Note | None:
    """Return what is noted as *kind* beside the type of *field*."""
    _, metadata = _kind(field)
    return next((fact for fact in metadata if isinstance(fact, kind)), None)


def of_item(field: FieldInfo) -> str:
    """Return what each item of the list *field* takes."""
    item = get_args(field.annotation)[0]
    base, *metadata = get_args(item) or (item,)
    return _words(base, metadata)


def _kind(field: FieldInfo) -> tuple[object, Sequence[object]]:
    """Return the type of *field* and what is noted beside it, whether or not it may be absent."""
    if get_origin(field.annotation) not in {Union, UnionType}:
        return field.annotation, field.metadata
    (kind,) = (each for each in get_args(field.annotation) if each is not NoneType)
    if get_origin(kind) is not Annotated:
        return kind, field.metadata
    base, *metadata = get_args(kind)
    return base, [*metadata, *field.metadata]


def _words(kind: object, metadata: Sequence[object]) -> str:
    for fact in metadata:
        if isinstance(fact, Expected):
            return fact.words
    if get_origin(kind) is Literal:
        *others, last = (f'"{choice}"' for choice in get_args(kind))
        return f"{', '.join(others)} or {last}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"a mapping of {' and '.join(kind.model_fields)}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return _whole_number(metadata)
    if kind is float:
        low, high = _bounds(metadata)
        return f"a number from {low} to {high}"
    raise TypeError(f"no words for {kind}: annotate it with Expected")


def _whole_number(metadata: Sequence[object]) -> str:
    low, high = _bounds(metadata)
    if high is None:
        return f"a whole number of at least {low}"
    return f"a whole number from {low} to {high}"


def _bounds(metadata: Sequence[object]) -> tuple[object, object]:
    low = next((fact.ge for fact in metadata if isinstance(fact, Ge)), None)
    high = next((fact.le for fact in metadata if isinstance(fact, Le)), None)
    return low, high
