"""Whatever a file or the environment holds, it becomes settings or a ConfigError."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.environment import variable_for
from exporter.config.load import decode
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings
from exporter.config.tree import SECTIONS, SETTINGS
from exporter.model.time import format_duration

_FILE = Path("config.yaml")

_words = st.sampled_from(
    [
        *("30s", "1h30m", "0s", "-5s", "99999999999w", "1:30", "yes", "info", "json"),
        *("a/b", "*/*", "flyteadmin:81", "[::]:9942", "https://x", "unix:/a", ":memory:"),
        *("", "{x}", "{sentence}", "\x00", "\ud800"),
    ]
)
_leaves = st.one_of(
    _words, st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.dates()
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_inner = st.dictionaries(
    st.sampled_from([str(path[-1]) for path in (*SETTINGS, *SECTIONS)]) | st.text(),
    _values,
    max_size=5,
)
_sections = st.dictionaries(
    st.sampled_from([str(path[-1]) for path in (*SETTINGS, *SECTIONS)]) | st.text(),
    _values | _inner,
    max_size=5,
)
_trees = (
    st.dictionaries(
        st.sampled_from([str(path[0]) for path in SECTIONS]) | st.text(),
        _sections | _values,
        max_size=5,
    )
    | _values
)
_snippets = st.lists(
    st.sampled_from(
        [
            *("admin", "scrape", "interval", "30s", "1", "0x_", "~", "<<", "=", "---", "%"),
            *(":", "[", "]", "{", "}", "*a", "&a ", "!!int ", "!x ", "|", ">", "#", "@", "`"),
            *("'", '"', "\\", "U", "FFFFFFFF", "\t", "\r", "\x85", "\ufeff", "\x07"),
            *("\n", "\n  ", ": ", "- ", ", ", "? "),
        ]
    ),
    max_size=25,
).map("".join)
_environs = st.dictionaries(
    st.sampled_from([variable_for(path) for path in SETTINGS])
    | st.text(max_size=5).map(lambda rest: f"FLYTE_EXPORTER__{rest}"),
    _words | _snippets | st.text(),
    max_size=4,
)


def _decode_or_refuse(content: bytes, environ: dict[str, str]) -> Settings | None:
    """Decode; a refusal must have a printable line for each problem."""
    try:
        return decode(content, file=_FILE, environ=environ)
    except ConfigError as error:
        refusal = error
    *lines, verdict = str(refusal).split("\n")
    assert len(lines) == len(refusal.problems) > 0
    assert all(line.isprintable() for line in lines)
    assert all(len(line) < 700 for line in lines)
    assert "Input should" not in str(refusal)
    assert verdict.endswith("; nothing was started.")
    return None


@given(
    content=st.binary() | (st.text() | _snippets).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_settings_or_a_config_error(content: bytes) -> None:
    """No file, however broken, escapes as another exception or as more than one line a problem."""
    _decode_or_refuse(content, {})


@given(tree=_trees, environ=_environs)
def test_any_structure_is_settings_or_a_config_error(tree: Any, environ: dict[str, str]) -> None:
    """Well-formed YAML of any shape, under any environment, is settings or told why not."""
    content = yaml.safe_dump(tree, allow_unicode=False).encode()
    _decode_or_refuse(content, environ)


def _durations(least: int) -> st.SearchStrategy[str]:
    milliseconds = st.integers(least, 10**9).map(lambda n: timedelta(milliseconds=n))
    return milliseconds.map(format_duration)


_valid = st.fixed_dictionaries(
    {"admin": st.fixed_dictionaries({"endpoint": st.just("dns:///flyteadmin:81")})},
    optional={
        "scrape": st.fixed_dictionaries(
            {},
            optional={
                "concurrency": st.integers(1, 64),
                "page_size": st.integers(1, 10_000),
                "poll_timeout": _durations(1),
            },
        ),
        "discovery": st.fixed_dictionaries(
            {},
            optional={
                "exclude": st.lists(st.sampled_from(["a/*", "*/b", "no/on", "1/2"])),
                "interval": _durations(1),
            },
        ),
        "metrics": st.fixed_dictionaries(
            {},
            optional={
                "series_limit": st.integers(100, 10**9),
                "first_sample_hold": _durations(0),
            },
        ),
        "log": st.fixed_dictionaries({}, optional={"level": st.sampled_from(["debug", "error"])}),
    },
)


@given(tree=_valid)
def test_the_environment_says_the_same_as_the_file(tree: dict[str, dict[str, Any]]) -> None:
    """The same values give the same settings whether they stand in the file or in variables."""
    from_file = _decode_or_refuse(yaml.safe_dump(tree).encode(), {})
    environ = {
        variable_for((section, key)): yaml.safe_dump(value, default_flow_style=True)
        for section, values in tree.items()
        for key, value in values.items()
    }
    assert from_file is not None
    assert from_file == _decode_or_refuse(b"{}", environ)
    for section, values in tree.items():
        for key, value in values.items():
            given_value = getattr(getattr(from_file, section), key)
            assert value == (
                format_duration(given_value)
                if isinstance(given_value, timedelta)
                else list(given_value)
                if isinstance(given_value, tuple)
                else given_value
            )
