"""What is installed is what runs: everything that is needed is declared, and in the package."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata, resources
from pathlib import Path

import pytest

import exporter

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PACKAGE = _ROOT / "exporter"
_PINNED_BY_ANOTHER = {
    "pydantic-core": "pydantic",
    "opentelemetry-proto": "opentelemetry-exporter-otlp-proto-grpc",
}
"""A distribution that comes in one exact version with another, which alone is declared."""
_READ_BY_PYTHON = {"tzdata"}
"""What Python itself reads where the system does not have it, as small images do not."""


def declared() -> set[str]:
    """Return the distributions that ours says it needs, by their normal names."""
    names = (re.match(r"[\w.-]+", line) for line in _PROJECT["project"]["dependencies"])
    direct = {normal(name[0]) for name in names if name}
    return direct | {name for name, owner in _PINNED_BY_ANOTHER.items() if owner in direct}


def normal(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Return every module that ours import by its full name, but our own and Python's."""
    found: set[str] = set()
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    own = {*sys.stdlib_module_names, "exporter"}
    return {name for name in found if name.partition(".")[0] not in own}


@cache
def providers() -> dict[str, set[str]]:
    """Return which distributions may provide each imported module."""
    files = {
        str(file).removesuffix(".py").removesuffix("/__init__").replace("/", "."): normal(
            one.metadata["Name"]
        )
        for one in metadata.distributions()
        for file in one.files or ()
        if file.suffix in {".py", ".so", ".pyd"}
    }
    by_top = {
        top: {normal(name) for name in names}
        for top, names in metadata.packages_distributions().items()
    }
    return {
        module: {files[module]} if module in files else by_top.get(module.partition(".")[0], set())
        for module in imported()
    }


def test_every_import_is_declared() -> None:
    """Nothing is there only because something else happens to need it."""
    undeclared = {module: names for module, names in providers().items() if not names & declared()}
    assert undeclared == {}


def test_everything_declared_is_imported() -> None:
    """Nobody installs what is not used."""
    used = set().union(*providers().values())
    assert declared() - used == _READ_BY_PYTHON


def test_the_command_is_installed() -> None:
    """`flyte-exporter` leads to the function that turns failures into exit codes."""
    (command,) = metadata.entry_points(group="console_scripts", name="flyte-exporter")
    assert command.value == "exporter.cli.main:main"
    assert callable(command.load())


def test_there_is_one_version() -> None:
    """The distribution's and the package's are the same."""
    assert metadata.version("flyte-exporter") == exporter.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab.]\w+)?", exporter.__version__)


@pytest.mark.parametrize(
    ("package", "name"),
    [("exporter.ledger", "schema.sql"), ("exporter.web", "landing.css"), ("exporter", "py.typed")],
)
def test_files_that_are_not_python_are_found(package: str, name: str) -> None:
    """They are asked for as resources, so they must be where the package is."""
    assert resources.files(package).joinpath(name).is_file()


def test_no_file_of_the_package_is_ignored() -> None:
    """The wheel leaves out what git ignores; none of ours may be among that."""
    files = [
        str(path.relative_to(_ROOT))
        for path in _PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    if not (_ROOT / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=_ROOT,
        check=False,
        input="\n".join(files),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""


def test_every_package_is_one() -> None:
    """A directory without `__init__.py` would be a namespace, which type checkers pass over."""
    folders = {path.parent for path in _PACKAGE.rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", _PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
def test_what_the_source_distribution_names_is_there(name: str) -> None:
    """A file that was renamed would be left out in silence."""
    assert (_ROOT / name.removeprefix("/")).exists()
