"""The page about authentication says what the program does."""

import re
from pathlib import Path

import pytest
import yaml

from exporter.config import flyte_options
from exporter.config.admin import KEYS_OF_TYPE
from exporter.config.load import decode
from exporter.config.problems import dotted
from exporter.config.settings import AdminSettings
from exporter.config.tree import SETTINGS

_PAGE = (Path(__file__).parents[1] / "docs" / "authentication.md").read_text(encoding="utf-8")
_SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", _PAGE, re.MULTILINE | re.DOTALL))
_EXAMPLES = [
    pytest.param(example, id=f"{title} {number}")
    for title, text in _SECTIONS.items()
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL), 1)
]
_THEIRS = """\
admin:
  endpoint: dns:///flyte.example.com
  authType: ClientSecret
  clientId: robot
  clientSecretLocation: /etc/secrets/flyte
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay a configuration of flytectl where the page looks for one."""
    (tmp_path / ".flyte").mkdir()
    (tmp_path / ".flyte" / "config.yaml").write_text(_THEIRS, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))


def _admin(example: str) -> AdminSettings:
    return decode(example.encode(), file=Path("example"), environ={}).admin


@pytest.mark.parametrize("example", _EXAMPLES)
def test_each_example_can_be_used(example: str) -> None:
    """Copied into a file of its own, it is a configuration, and each line of it has an effect."""
    admin = _admin(example)
    assert admin != AdminSettings(endpoint=admin.endpoint)
    written = yaml.safe_load(example)["admin"]
    assert set(written) <= admin.model_fields_set
    assert set(written.get("auth", {})) <= admin.auth.model_fields_set


def test_every_way_of_authentication_has_an_example() -> None:
    """And so has every setting that belongs to one."""
    admins = [_admin(str(example.values[0])) for example in _EXAMPLES]
    assert {admin.auth.type for admin in admins} == set(KEYS_OF_TYPE)
    shown = {key for admin in admins for key in admin.auth.model_fields_set}
    named = set(re.findall(r"`admin\.auth\.(\w+)`", _PAGE))
    assert shown | named >= {str(path[-1]) for path in SETTINGS if path[:2] == ("admin", "auth")}


def test_every_link_in_the_first_table_leads_to_a_section() -> None:
    """A reader finds what to write from what the Admin is like."""
    anchors = re.findall(r"\]\(#([\w-]+)\)", _PAGE)
    titles = {title.lower().replace(" ", "-").replace(",", "") for title in _SECTIONS}
    assert anchors
    assert set(anchors) <= titles


def test_the_table_of_options_is_what_is_read() -> None:
    """No option is left out, none is made up, and each has the names that are looked for."""
    rows = re.findall(
        r"^\| (`\w+`|-) \| (`[\w.]+`|-)(?: \(refused\))? \| (`\w+`|-) \| `([\w.]+)` \|$",
        _SECTIONS["An existing configuration"],
        re.MULTILINE,
    )
    told = [tuple(cell.strip("`").replace("-", "") for cell in row[:3]) for row in rows]
    options = flyte_options.OPTIONS
    assert set(told) == {
        (each.key or "", f"{each.section}.{each.name}" if each.name else "", each.variable)
        for each in options
    }
    assert len(told) == len(options)
    assert {row[3] for row in rows} <= {dotted(path) for path in SETTINGS}


def test_settings_that_the_page_names_exist() -> None:
    """A setting that was renamed is renamed here as well."""
    named = set(re.findall(r"`(admin\.[\w.]+)(?:: [\w ]+)?`", _PAGE)) - {"admin.auth"}
    assert named <= {dotted(path) for path in SETTINGS}
