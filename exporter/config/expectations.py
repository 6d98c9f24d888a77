"""What a setting takes, in words, read from the type that checks it."""

from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from exporter.config.values import Expected


def of_field(field: FieldInfo) -> str:
    """Return what *field* takes, such as `a whole number from 1 to 64`."""
    return _words(field.annotation, field.metadata)


def of_item(field: FieldInfo) -> str:
    """Return what each item of the list *field* takes."""
    base, *metadata = get_args(get_args(field.annotation)[0])
    return _words(base, metadata)


def _words(kind: object, metadata: Sequence[object]) -> str:
    for fact in metadata:
        if isinstance(fact, Expected):
            return fact.words
    if get_origin(kind) is Literal:
        *others, last = (f'"{choice}"' for choice in get_args(kind))
        return f"{', '.join(others)} or {last}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return _whole_number(metadata)
    raise TypeError(f"no words for {kind}: annotate it with Expected")


def _whole_number(metadata: Sequence[object]) -> str:
    low = next((fact.ge for fact in metadata if isinstance(fact, Ge)), None)
    high = next((fact.le for fact in metadata if isinstance(fact, Le)), None)
    if high is None:
        return f"a whole number of at least {low}"
    return f"a whole number from {low} to {high}"
