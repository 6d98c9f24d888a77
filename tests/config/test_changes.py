"""What a changed configuration changes, and what of that is refused while the exporter runs."""

from pathlib import Path

import pytest

from exporter.config.changes import FIXED, changed, named, refused
from exporter.config.load import decode
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings
from exporter.config.tree import SECTIONS, SETTINGS

_FILE = Path("exporter.yaml")
_EVERY_KEY = Path(__file__).parent / "testdata" / "valid-every-key.yml"
_PLAIN = "admin: {endpoint: 'a:81'}\n"


def _read(text: str, *, running: Settings | None = None, **environ: str) -> Settings:
    return decode(text.encode(), file=_FILE, environ=environ, running=running)


def test_the_same_file_changes_nothing() -> None:
    """Read twice, whatever it sets, it is the same."""
    text = _EVERY_KEY.read_text(encoding="utf-8")
    assert changed(_read(text), _read(text)) == []


def test_changes_are_named_in_the_order_of_the_documentation() -> None:
    """Of any section, also one in another; and without values, for one may be a secret."""
    after = _read(
        "log: {level: debug}\nadmin: {endpoint: 'a:81', auth: {type: token_file, token_file: /t}}\n"
    )
    assert named(changed(_read(_PLAIN), after)) == [
        "admin.auth.type",
        "admin.auth.token_file",
        "log.level",
    ]


def test_a_default_that_is_written_down_is_a_change() -> None:
    """Where it is not, a variable of OpenTelemetry's may say otherwise."""
    after = _read(f"{_PLAIN}tracing: {{exporter: none}}\n")
    assert named(changed(_read(_PLAIN), after)) == ["tracing.exporter"]


def test_what_is_fixed_exists() -> None:
    """A setting that was renamed would be fixed no more, and nobody would notice."""
    assert set(FIXED) <= {*SETTINGS, *SECTIONS}


def test_a_fixed_setting_may_be_written_down() -> None:
    """What it was by default it may be on purpose."""
    after = _read(f"{_PLAIN}web: {{listen: '0.0.0.0:9942'}}\n")
    assert refused(_read(_PLAIN), after) == {}


def test_what_is_fixed_is_refused_where_it_stands() -> None:
    """In the file by its line, in the environment by the variable; and all at once."""
    with pytest.raises(ConfigError) as caught:
        _read(
            "admin:\n  endpoint: b:81\n",
            running=_read(_PLAIN),
            FLYTE_EXPORTER__WEB__LISTEN="localhost:1",
        )
    endpoint, listen, verdict = caught.value.told("nothing was changed").splitlines()
    assert endpoint.startswith("exporter.yaml:2:13: admin.endpoint: cannot be changed while the")
    assert listen.startswith("environment variable FLYTE_EXPORTER__WEB__LISTEN: cannot be changed")
    assert verdict == "2 problems; nothing was changed."


def test_what_is_left_out_is_refused_too() -> None:
    """A file that no longer sets the path of the ledger asks for the default one."""
    running = _read(f"{_PLAIN}ledger: {{path: /tmp/ledger.db}}\n")
    with pytest.raises(ConfigError, match=r"exporter\.yaml: ledger\.path: cannot be changed"):
        _read(_PLAIN, running=running)


def test_rules_and_families_may_change() -> None:
    """Each is named as it is written in the documentation."""
    before = _read(_PLAIN)
    after = _read(
        f"{_PLAIN}metrics:\n"
        "  relabel: [{match: '(.*)_[0-9]+', replacement: $1}]\n"
        "  families:\n"
        "    flyte_executions_started_total: {enabled: false}\n"
        "    flyte_executions_active: {launch_plan: false, series_limit: 10}\n",
        running=before,
    )
    assert named(changed(before, after)) == [
        "metrics.relabel",
        "metrics.families.flyte_executions_active.series_limit",
        "metrics.families.flyte_executions_active.launch_plan",
        "metrics.families.flyte_executions_started_total.enabled",
    ]


def test_the_same_rules_once_more_are_no_change() -> None:
    """However they are written, what they say counts."""
    rules = "metrics: {relabel: [{match: a, replacement: b}]}\n"
    again = "metrics:\n  relabel:\n    - replacement: b\n      match: a\n"
    assert changed(_read(_PLAIN + rules), _read(_PLAIN + again)) == []
