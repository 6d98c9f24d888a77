"""The configuration page says what the program does."""

import re
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config.environment import variable_for
from exporter.config.load import decode
from exporter.config.problems import dotted
from exporter.config.reference import FAMILIES, documented, reference
from exporter.config.relabelling import FamiliesSettings
from exporter.config.tree import SECTIONS, SETTINGS

_ROOT = Path(__file__).parents[1]


def test_the_page_is_up_to_date() -> None:
    """The page is what the settings of this checkout would write; `make docs` mends it."""
    assert (_ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference()


def test_every_setting_has_one_row() -> None:
    """No setting is left out, and each row names its environment variable."""
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| `(\w+)` \|$", reference(), re.MULTILINE)
    shown = [
        documented(path) for section in (*SECTIONS, ()) for path in SETTINGS if path[:-1] == section
    ]
    assert rows == [(dotted(path), variable_for(path)) for path in dict.fromkeys(shown)]


def test_every_section_has_a_table() -> None:
    """A section in a section too, under a heading that says where it stands in the file."""
    headings = re.findall(r"^## `([\w.]+)`$", reference(), re.MULTILINE)
    assert headings == [dotted(path) for path in SECTIONS if path[:-1] != FAMILIES]


def test_every_family_is_named() -> None:
    """Their settings are alike and described once, for a name in this list."""
    listed = re.findall(
        r"^- `(flyte_\w+)`(, without the key `launch_plan`)?$", reference(), re.MULTILINE
    )
    assert [name for name, _ in listed] == [*FamiliesSettings.model_fields]
    assert {bool(without) for _, without in listed} == {True, False}


def test_the_example_is_valid() -> None:
    """What the page shows can be copied into a file and used."""
    examples = re.findall(r"```yaml\n(.*?)```", reference(), re.DOTALL)
    settings = decode("".join(examples).encode(), file=Path("example"), environ={})
    assert settings.admin.insecure
    assert settings.freshness[0].limit == timedelta(hours=26)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (path, text)
        for path, text in re.findall(r"^\| `(.+?)` \| .+? \| (.+?) \|", reference(), re.MULTILINE)
        if text != "**required**"
    ],
)
def test_a_default_can_be_written_as_it_is_shown(path: str, text: str) -> None:
    """Each default, copied from the page into a file, is the default."""
    base = "admin: {endpoint: flyteadmin:81}\n"
    path = path.replace("NAME", "flyte_executions_active")
    *sections, key = path.split(".")
    nested = f"{key}: {text.strip('`')}"
    for section in reversed(sections):
        nested = f"{section}: {{{nested}}}"
    head = "" if path.startswith("admin.") else base
    nested = nested.replace("admin: {", "admin: {endpoint: flyteadmin:81, ", 1)
    shown = decode(f"{head}{nested}\n".encode(), file=Path("page"), environ={})
    unset = decode(base.encode(), file=Path("page"), environ={})
    assert shown == unset


def test_check_tells_a_page_that_is_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` fails for a stale page, says how to mend it and leaves it alone."""
    before = (_ROOT / "docs" / "configuration.md").read_bytes()
    script = runpy.run_path(str(_ROOT / "docs" / "generate.py"))
    monkeypatch.setitem(script["PAGES"], "docs/configuration.md", lambda: "something else")
    with pytest.raises(SystemExit) as caught:
        script["generate"](["--check"])
    assert caught.value.code == 1
    assert capsys.readouterr().out == "docs/configuration.md: out of date; run: make docs\n"
    assert (_ROOT / "docs" / "configuration.md").read_bytes() == before


def test_check_passes_when_nothing_has_drifted() -> None:
    """`python -m docs.generate --check` is quiet when every page is current."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
