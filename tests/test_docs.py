"""The pages say what the program does: every family, setting and command is on one of them."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from exporter.admin.client import METHODS
from exporter.cli import reference as commands
from exporter.cli.main import cli
from exporter.config.problems import dotted
from exporter.config.reference import documented
from exporter.config.settings import MetricsSettings
from exporter.config.tree import SETTINGS
from exporter.metrics import reference as metrics
from exporter.metrics.catalog import FAMILIES, Family

_ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """Return a page of the repository."""
    return (_ROOT / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Return the table rows of *text* that begin with a name in backticks, by that name."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"\| \[?`([^`]+)`(?:\]\(#\1\))? \|(.*)\|$", line):
            cells = re.split(r"(?<!\\)\|", match[2])
            assert match[1] not in found
            found[match[1]] = [cell.strip().replace("\\", "") for cell in cells]
    return found


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("docs/metrics.md", metrics.reference()),
        ("docs/commands.md", commands.reference()),
        ("README.md", metrics.embed(page("README.md"))),
    ],
)
def test_a_written_page_is_up_to_date(name: str, written: str) -> None:
    """The page is what this checkout would write; `make docs` mends it."""
    assert page(name) == written


@pytest.mark.parametrize("name", ["docs/metrics.md", "README.md"])
def test_every_family_has_one_row(name: str) -> None:
    """With its type, its labels and what it means, on the page and in the README."""
    described = {k: v for k, v in rows(page(name)).items() if k.startswith("flyte_")}
    assert set(described) == {family.name for family in FAMILIES}
    for family in FAMILIES:
        kind, labels, meaning = described[family.name]
        assert kind.split(",")[0] == family.kind.value
        assert re.findall(r"`(\w+)`", labels) == list(family.labels)
        assert meaning == family.help


def test_the_readme_names_every_call() -> None:
    """Whoever has to let us through to Admin can go by that list."""
    named = set(re.findall(r"`(\w+)`", page("README.md").partition("reads and never writes")[2]))
    assert {*METHODS, "GetPublicClientConfig", "GetOAuth2Metadata"} <= named


def test_the_changelog_names_every_family() -> None:
    """Metrics are public: whoever adds one, or renames it, says so there."""
    named = set(re.findall(r"`(flyte_\w+)`", page("CHANGELOG.md")))
    assert {family.name for family in FAMILIES} <= named


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_page_says_what_a_family_answers(family: Family) -> None:
    """Under its name: the question, and an expression to copy that answers it."""
    section = page("docs/metrics.md").partition(f"### `{family.name}`\n")[2].partition("\n#")[0]
    question, example = re.findall(r"\A\n(.+)\n\n```promql\n([^`]+)\n```\n\Z", section)[0]
    assert (question, example) == (family.question, family.example)


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family.buckets], ids=lambda family: family.name
)
def test_fixed_bounds_are_documented(family: Family) -> None:
    """Who writes a quantile wants to know which bounds there are."""
    (kind, _, _) = rows(page("docs/metrics.md"))[family.name]
    shown = kind.removeprefix("histogram, bounds ").split()
    assert tuple(map(float, shown)) == family.buckets


def test_settings_that_the_metrics_page_names_exist() -> None:
    """A setting that was renamed is renamed here as well."""
    named = set(re.findall(r"`metrics\.(\w+)`", metrics.reference()))
    assert named == set(MetricsSettings.model_fields)


@pytest.mark.parametrize("setting", {dotted(documented(path)): None for path in SETTINGS})
def test_every_setting_is_documented(setting: str) -> None:
    """Each has a row of its own on the configuration page."""
    assert setting in rows(page("docs/configuration.md"))


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_is_documented(name: str) -> None:
    """Its section says what it does, and every option by each of its names."""
    text = page("docs/commands.md")
    section = text.partition(f"## `flyte-exporter {name}`")[2].partition("## `")[0]
    command = cli.commands[name]
    assert command.help
    assert command.help.split("\n", maxsplit=1)[0] in " ".join(section.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            assert all(option in section for option in parameter.opts)
        else:
            assert parameter.human_readable_name in section


@pytest.mark.parametrize("columns", ["40", "200"])
def test_pages_do_not_depend_on_the_terminal(columns: str) -> None:
    """Whoever writes them, in whatever window, writes the same."""
    script = "from exporter.cli.reference import reference; print(reference(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=_ROOT,
        env={"COLUMNS": columns},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == commands.reference()


_BEGIN, _END = metrics.BEGIN, metrics.END


def test_the_table_takes_the_place_of_the_old_one() -> None:
    """What is around the markers stays, and a second time changes nothing."""
    once = metrics.embed(f"before\n{_BEGIN}an old table\n{_END}after\n")
    assert once == f"before\n{_BEGIN}\n{metrics.table()}\n{_END}after\n"
    assert metrics.embed(once) == once


@pytest.mark.parametrize(
    "text",
    ["", _BEGIN, _END, _END + _BEGIN, _BEGIN + _END + _END, _BEGIN + _BEGIN + _END],
    ids=["none", "no-end", "no-begin", "reversed", "two-ends", "two-begins"],
)
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    """Rather than left with a table that is out of date."""
    with pytest.raises(ValueError, match="each once and on a line of its own"):
        metrics.embed(text)


def test_links_between_pages_lead_somewhere() -> None:
    """Each file that README and pages link to is in the repository."""
    broken = [
        f"{source.name}: {link}"
        for source in (_ROOT / "README.md", *(_ROOT / "docs").glob("*.md"))
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", source.read_text(encoding="utf-8"))
        if not (source.parent / link).exists()
    ]
    assert broken == []
