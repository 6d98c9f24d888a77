"""Every section and every setting by its path, in the order in which they are documented."""

from collections.abc import Iterator
from typing import TypeGuard, get_args

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
    return kind if isinstance(kind, type) and _is_section(kind) else None


def _is_section(kind: type) -> TypeGuard[type[Section]]:
    return issubclass(kind, Section)


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
    """Return the section that each item of the list *field* is; None where it is none."""
    kinds = get_args(field.annotation)
    return kinds[0] if kinds and isinstance(kinds[0], type) and _is_section(kinds[0]) else None


def model_at(path: KeyPath) -> type[Section] | None:
    """Return the section at *path*, which may be an item of a list."""
    if not path:
        return Settings
    listed = SETTINGS.get(path[:-1])
    return item_of(listed) if listed else SECTIONS.get(path)


def setting_at(path: KeyPath) -> FieldInfo | None:
    """Return the setting at *path*, also one in an item of a list."""
    model = model_at(path[:-1])
    return SETTINGS.get(path) or (model.model_fields.get(str(path[-1])) if model else None)


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
