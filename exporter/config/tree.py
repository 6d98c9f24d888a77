"""Every section and every setting by its path, in the order in which they are documented."""

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic.fields import FieldInfo

from exporter.config.document import KeyPath
from exporter.config.expectations import noted
from exporter.config.section import Section
from exporter.config.settings import Settings
from exporter.config.values import Confidential


def _walk(model: type[Section], path: KeyPath = ()) -> Iterator[tuple[KeyPath, FieldInfo]]:
    for key, field in model.model_fields.items():
        yield (*path, key), field
        if inner := _section(field):
            yield from _walk(inner, (*path, key))


def _section(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


_FIELDS = dict(_walk(Settings))

SECTIONS: dict[KeyPath, type[Section]] = {
    path: model for path, field in _FIELDS.items() if (model := _section(field))
}
"""The sections of the file: `("admin",)`, and those in them: `("admin", "auth")`."""

SETTINGS: dict[KeyPath, FieldInfo] = {
    path: field for path, field in _FIELDS.items() if path not in SECTIONS
}
"""What has a value of its own: `("admin", "auth", "type")`."""


def item_of(field: FieldInfo) -> type[Section] | None:
    """Return the section that each item of the list *field* is; None where items are values."""
    if get_origin(field.annotation) is not tuple:
        return None
    item = get_args(field.annotation)[0]
    return item if isinstance(item, type) and issubclass(item, Section) else None


def section_at(path: KeyPath) -> type[Section] | None:
    """Return the section that stands at *path*, which may be an item of a list."""
    if path in SECTIONS:
        return SECTIONS[path]
    match path:
        case (*setting, int()) if tuple(setting) in SETTINGS:
            return item_of(SETTINGS[tuple(setting)])
        case ():
            return Settings
        case _:
            return None


def field_at(path: KeyPath) -> FieldInfo:
    """Return the setting that *path* leads to or into, within an item of a list too."""
    if section := section_at(path[:-1]):
        return section.model_fields[str(path[-1])]
    return field_at(path[:-1])


def known(path: KeyPath) -> KeyPath:
    """
    Return *path* without what lies below a setting, or below a name that nobody knows.

    Such names are somebody's text, and may be a secret.
    """
    for length, part in enumerate(path, 1):
        if path[:length] not in SECTIONS and not isinstance(part, int):
            inside = path[length:]
            indexes = next(
                (n for n, each in enumerate(inside) if isinstance(each, str)), len(inside)
            )
            return path[: length + indexes]
    return path


def confidential(path: KeyPath) -> bool:
    """Whether what stands at *path* may be a secret, by intent or by mistake."""
    prefixes = (path[:length] for length in range(len(path), 0, -1))
    deepest = next((prefix for prefix in prefixes if prefix in _FIELDS), None)
    return deepest is not None and noted(_FIELDS[deepest], Confidential) is not None
