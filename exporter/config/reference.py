"""The reference page of all settings, written from the settings themselves."""

from datetime import timedelta
from pathlib import Path

from pydantic.fields import FieldInfo

from exporter.config import expectations
from exporter.config.environment import variable_for
from exporter.config.settings import SECTIONS, Section
from exporter.config.values import ListenAddress
from exporter.model.time import format_duration

_INTRODUCTION = """\
<!-- Written by: make docs -->

# Configuration

One YAML file. Only `admin.endpoint` must be set:

```yaml
admin:
  endpoint: dns:///flyteadmin:81
  insecure: true  # no TLS inside the cluster
```

`flyte-exporter check-config FILE` lists every problem with its line and column, and starts nothing.
Unknown keys are refused.

- **Durations** carry their unit: `250ms`, `30s`, `1h30m`, `2d`. A bare number is refused.
- **Environment variables** win over the file. Each setting has one, named in the tables. Its value
  is read as YAML, and a list replaces the whole list: `["*/production", "*/staging"]`.
- YAML is read by the rules of version 1.2: `yes`, `off`, `010` and `1:30` are text. Quote text that
  begins with `*`, `[`, `&` or `!`: `"*/*"`, `"[::]:9942"`.
"""

_HEAD = """\
| Key | Type | Default | Meaning | Environment variable |
|---|---|---|---|---|
"""


def reference() -> str:
    """Return the page as Markdown: one table for each section."""
    return "\n".join([_INTRODUCTION, *(_section(*each) for each in SECTIONS.items())])


def _section(name: str, model: type[Section]) -> str:
    rows = "".join(_row(name, key, field) for key, field in model.model_fields.items())
    return f"## `{name}`\n\n{_one_line(model.__doc__)}\n\n{_HEAD}{rows}"


def _row(section: str, key: str, field: FieldInfo) -> str:
    kind = expectations.of_field(field)
    cells = (
        f"`{section}.{key}`",
        kind[0].upper() + kind[1:],
        "**required**" if field.is_required() else f"`{_written(field.default)}`",
        _one_line(field.description),
        f"`{variable_for(section, key)}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _written(value: object) -> str:
    """Return *value* as it would stand in the file."""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case ListenAddress() | Path():
            return str(value)
        case str() if value.startswith("*"):
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(_written, value))}]"
        case _:
            return str(value)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
