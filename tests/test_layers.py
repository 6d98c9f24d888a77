"""Imports go one way, and what is said to be pure is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter

_PACKAGE = Path(exporter.__file__).parent
_LAYERS = (
    {"garbage", "model", "threads"},
    {"config"},
    {"telemetry"},
    {"ledger", "admin"},
    {"track", "metrics"},
    {"pipeline"},
    {"scrape", "web", "sim"},
    {"reload"},
    {"app", "doctor"},
    {"cli"},
)
"""Lowest first; those that share a line do not import each other."""
_RANKS = {layer: rank for rank, layers in enumerate(_LAYERS) for layer in layers}
_RESERVED = {
    "grpc": {"admin", "sim"},
    "flyteidl": {"admin", "sim"},
    "google": {"admin", "sim"},
    "sqlite3": {"ledger", "sim"},
    "structlog": {"telemetry"},
    "prometheus_client": {"metrics"},
    "cryptography": {"admin", "sim"},
    "aiohttp": {"admin", "sim", "web"},
    "click": {"cli"},
    "rich": {"cli"},
    "pydantic": {"config"},
    "yaml": {"config"},
}
"""What only these layers may import: a library has one home."""
_PURE = ("exporter.pipeline", "exporter.track", "exporter.model", "exporter.metrics.measure")
_HARMLESS = {
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "itertools",
    "json",
    "operator",
    "re",
    "re2",
    "textwrap",
    "types",
    "typing",
    "zoneinfo",  # the same rules for the same name, whoever asks
}
"""All that we use from elsewhere that can neither wait, nor ask the time, nor touch the world."""
_ASKS_THE_WORLD = {"now", "today", "utcnow", "open", "print", "input"}


def modules() -> dict[str, ast.Module]:
    """Return every module of the package, parsed, by its full name."""
    found = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = ("exporter", *path.relative_to(_PACKAGE).with_suffix("").parts)
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


_MODULES = modules()


def imported(tree: ast.Module, known: dict[str, ast.Module] = _MODULES) -> Iterator[str]:
    """Yield the full name of every module that *tree* imports, wherever in it that is."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(source), names=names, level=0):
                for alias in names:
                    inner = f"{source}.{alias.name}"
                    yield inner if inner in known else source
            case ast.ImportFrom():
                yield "."


def layer_of(module: str) -> str:
    """Return which layer a module of ours is in; empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def ours(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of this package that *tree* imports, but for the package itself."""
    yield from (name for name in imported(tree) if name.startswith("exporter."))


def test_every_module_has_a_layer() -> None:
    """A package that is in no layer would be checked by nobody."""
    assert {layer_of(module) for module in _MODULES} - {""} == set(_RANKS)


def test_imports_are_absolute() -> None:
    """A relative import says where the reader is, and not what is meant."""
    assert [name for name, tree in _MODULES.items() if "." in set(imported(tree))] == []


def test_a_lower_layer_never_imports_a_higher_one_nor_its_sibling() -> None:
    """What is nearer to the data knows nothing of who uses it."""
    wrong = [
        f"{module} imports {other}"
        for module, tree in _MODULES.items()
        for other in ours(tree)
        if layer_of(module) != layer_of(other)
        and _RANKS[layer_of(other)] >= _RANKS.get(layer_of(module), -1)
    ]
    assert wrong == []


@pytest.mark.parametrize("library", _RESERVED)
def test_a_library_has_one_home(library: str) -> None:
    """Protobuf, SQL, HTTP and the rest are each known to one layer, so each can be exchanged."""
    users = {
        layer_of(module)
        for module, tree in _MODULES.items()
        for name in imported(tree)
        if name.partition(".")[0] == library
    }
    assert users
    assert users <= _RESERVED[library]


def reached(module: str) -> set[str]:
    """Return *module* and all of ours that it imports, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in _MODULES:
            continue
        found.add(name)
        waiting += ours(_MODULES[name])
    return found


def pure_modules() -> list[str]:
    """Return the modules that are said to be pure, and whatever they stand on."""
    roots = [m for m in _MODULES if any(f"{m}.".startswith(f"{pure}.") for pure in _PURE)]
    return sorted(set().union(*map(reached, roots)))


@pytest.mark.parametrize("module", pure_modules())
def test_the_pure_import_nothing_that_could_wait_or_look(module: str) -> None:
    """Neither they nor anything they stand on reads a clock, a file or a socket, or awaits."""
    others = {name.partition(".")[0] for name in imported(_MODULES[module])} - {"exporter"}
    assert others <= _HARMLESS


@pytest.mark.parametrize("module", pure_modules())
def test_the_pure_do_not_ask_the_world(module: str) -> None:
    """They take the time as an argument, and await nothing; the protocol of clocks names it."""
    asked = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(_MODULES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    assert asked & _ASKS_THE_WORLD == set()
    assert not any(isinstance(node, ast.Await) for node in ast.walk(_MODULES[module]))


def test_no_import_hides() -> None:
    """Every form of import is found, also within a function."""
    source = """
import os.path
from exporter import pipeline, __version__
from exporter.model.time import Micros
def late():
    import asyncio
    from . import near
"""
    assert list(imported(ast.parse(source))) == [
        "os.path",
        "exporter.pipeline",
        "exporter",
        "exporter.model.time",
        "asyncio",
        ".",
    ]
