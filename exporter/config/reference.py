"""The reference page of all settings, written from the settings themselves."""

from inspect import cleandoc

from pydantic.fields import FieldInfo

from exporter.config import expectations
from exporter.config.changes import why_fixed
from exporter.config.document import KeyPath
from exporter.config.effective import plain
from exporter.config.environment import variable_for
from exporter.config.problems import dotted
from exporter.config.relabelling import PlanFamilySettings
from exporter.config.tree import SECTIONS, SETTINGS

_INTRODUCTION = """\
<!-- Written by: make docs -->

# Configuration

One YAML file. Only `admin.endpoint` must be set, or `admin.config_file`, which may name it:

```yaml
admin:
  endpoint: dns:///flyteadmin:81
  insecure: true  # no TLS inside the cluster
```

`flyte-exporter check-config FILE` lists every problem with its line and column, and starts nothing.
Unknown keys are refused. SIGHUP and `POST /-/reload` put a changed file [into effect](reload.md),
and `/config` shows what is. [Authentication](authentication.md) shows how to reach each kind of
Flyte Admin.

- **Durations** carry their unit: `250ms`, `30s`, `1h30m`, `2d`. A bare number is refused.
- **Environment variables** win over the file. Each setting has one, named in the tables. Its value
  is read as YAML, and a list replaces the whole list: `["*/production", "*/staging"]`.
- flytekit's own variables, such as `FLYTE_PLATFORM_URL`, count where neither says otherwise.
- **Secrets** never stand in the file: settings name the file or the variable that holds one. What
  stands where a secret might be put by mistake is not repeated in messages.
- `null` leaves a setting unset.
- YAML is read by the rules of version 1.2: `yes`, `off`, `010` and `1:30` are text. Quote text that
  begins with `*`, `[`, `&` or `!`: `"*/*"`, `"[::]:9942"`.
"""

_LISTS = """\
Lists of entries for launch plans. `match` is a pattern PROJECT/DOMAIN/LAUNCH_PLAN, in which `*` and
`?` stand for any characters; the first entry that matches holds.

```yaml
freshness:
  - match: "*/production/etl.*"
    limit: 26h
```
"""
FAMILIES = ("metrics", "families")
"""The section whose own sections are alike: they are described once, by the name"""
NAME = "NAME"

_HEAD = """\
| Key | Type | Default | Meaning | Environment variable |
|---|---|---|---|---|
"""


def reference() -> str:
    """Return the page as Markdown: one table for each section, and one for all families."""
    sections = [_section(path) for path in SECTIONS if path[:-1] != FAMILIES]
    return "\n".join([_INTRODUCTION, *sections, _lists()])


def _lists() -> str:
    """Return the settings that stand beside the sections."""
    rows = "".join(_row(path, field) for path, field in SETTINGS.items() if len(path) == 1)
    return f"## Beside the sections\n\n{_LISTS}\n{_HEAD}{rows}"


def _section(path: KeyPath) -> str:
    text = f"## `{dotted(path)}`\n\n{_paragraphs(SECTIONS[path].__doc__)}\n\n"
    if path == FAMILIES:
        fields = ((NAME, *each) for each in PlanFamilySettings.model_fields.items())
        rows = "".join(_row((*path, name, key), field) for name, key, field in fields)
        return f"{text}{_families()}\n\n{_HEAD}{rows}"
    rows = "".join(_row(each, field) for each, field in SETTINGS.items() if each[:-1] == path)
    return f"{text}{_HEAD}{rows}"


def documented(path: KeyPath) -> KeyPath:
    """Return under which path the page describes what stands at *path*."""
    below = len(FAMILIES)
    return (*FAMILIES, NAME, *path[below + 1 :]) if path[:below] == FAMILIES else path


def _families() -> str:
    """List what `NAME` stands for."""
    lines = [f"`{NAME}` is one of:", ""]
    for path, section in SECTIONS.items():
        if path[:-1] == FAMILIES:
            lacks = (
                "" if issubclass(section, PlanFamilySettings) else ", without the key `launch_plan`"
            )
            lines.append(f"- `{path[-1]}`{lacks}")
    return "\n".join(lines)


def _row(path: KeyPath, field: FieldInfo) -> str:
    kind = expectations.of_field(field)
    cells = (
        f"`{dotted(path)}`",
        kind[0].upper() + kind[1:],
        "**required**" if field.is_required() else f"`{_written(plain(field.default, field))}`",
        _one_line(field.description)
        + (" **A change needs a restart.**" if why_fixed(path) else ""),
        f"`{variable_for(path)}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _written(value: object) -> str:
    """Return a plain *value* as it would stand in the file."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str() if value.startswith("*"):
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case _:
            return str(value)


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(map(_one_line, cleandoc(text or "").split("\n\n")))


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
