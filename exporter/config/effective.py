"""The settings in effect, as a file that would give them, and fit to be shown to anybody."""

from datetime import timedelta
from pathlib import Path

import yaml
from pydantic.fields import FieldInfo

from exporter.config import document
from exporter.config.expectations import noted
from exporter.config.section import Section
from exporter.config.settings import Settings
from exporter.config.values import Confidential, ListenAddress, Written
from exporter.model.time import format_duration


class _Dumper(yaml.SafeDumper):
    """PyYAML's, with quotes around text that we would read as something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if document.is_text(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def effective(settings: Settings) -> str:
    """
    Return all *settings* as YAML, those that were not set too.

    User information and queries of URLs, and arguments of commands, are `***`: secrets are at home
    there. What is left can be loaded again.
    """
    return yaml.dump(_plain_section(settings), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def plain(value: object, field: FieldInfo) -> object:
    """
    Return *value* as YAML has it: text, numbers, booleans, lists and None.

    Args:
        value: A value of *field*.
        field: The setting; says how the value is written, and what of it may be shown.
    """
    if value is None:
        return None
    if confidential := noted(field, Confidential):
        value = confidential.masked(value)
    if written := noted(field, Written):
        value = written.by(value)
    return _plain(value)


def _plain_section(section: Section) -> dict[str, object]:
    plain_values: dict[str, object] = {}
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        plain_values[key] = (
            _plain_section(value) if isinstance(value, Section) else plain(value, field)
        )
    return plain_values


def _plain(value: object) -> object:
    match value:
        case timedelta():
            return format_duration(value)
        case ListenAddress() | Path():
            return str(value)
        case Section():
            return _plain_section(value)
        case tuple():
            return list(map(_plain, value))
        case Section():
            return _plain_section(value)
        case _:
            return value
