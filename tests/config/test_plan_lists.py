"""Lists of entries for launch plans: each fault is told where it stands, in its entry."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config.effective import effective
from exporter.config.load import decode
from exporter.config.problems import ConfigError

_FILE = Path("config.yaml")
_ADMIN = "admin: {endpoint: flyteadmin:81}\n"


def test_every_fault_in_a_list_is_told_at_its_place() -> None:
    """All of them at once, with the index of the entry, and the line and column of the value."""
    content = """\
freshness:
  - match: "*/production/etl.*"
    limit: 26
  - match: "*/production"
    limit: 0s
  - limit: 1h
    mach: "*/*/*"
  - "*/*/*"
expected_duration: {match: "*/*/*", limit: 1h}
"""
    with pytest.raises(ConfigError) as caught:
        decode(f"{_ADMIN}{content}".encode(), file=_FILE, environ={})
    assert [str(problem) for problem in caught.value.problems] == [
        (
            'config.yaml:4:12: freshness[0].limit: expected a duration such as "30s", got 26; add a'
            ' unit, as in "30s".'
        ),
        (
            "config.yaml:5:12: freshness[1].match: expected a pattern PROJECT/DOMAIN/LAUNCH_PLAN,"
            ' such as "*/production/etl.*", got "*/production".'
        ),
        'config.yaml:6:12: freshness[1].limit: expected a duration longer than "0s", got "0s".',
        (
            "config.yaml:7:5: freshness[2].match: must be set to a pattern"
            ' PROJECT/DOMAIN/LAUNCH_PLAN, such as "*/production/etl.*".'
        ),
        'config.yaml:8:5: freshness[2].mach: unknown key; did you mean "match"?',
        'config.yaml:9:5: freshness[3]: expected a mapping of match and limit, got "*/*/*".',
        (
            "config.yaml:10:20: expected_duration: expected a list such as"
            ' [{match: "*/production/etl.*", limit: 2h}], got a mapping.'
        ),
    ]


def test_a_list_can_come_from_the_environment() -> None:
    """The variable replaces the whole list, and a fault in it names the variable."""
    variable = "FLYTE_EXPORTER__FRESHNESS"
    given = {variable: '[{match: "*/*/*", limit: 2d}]'}
    settings = decode(_ADMIN.encode(), file=_FILE, environ=given)
    assert [(rule.match, rule.limit) for rule in settings.freshness] == [
        ("*/*/*", timedelta(days=2))
    ]
    with pytest.raises(ConfigError) as caught:
        decode(_ADMIN.encode(), file=_FILE, environ={variable: '[{match: "*/*/*"}]'})
    assert str(caught.value.problems[0]) == (
        f'environment variable {variable}: must be set to a duration such as "30s".'
    )


def test_lists_are_part_of_the_settings_in_effect() -> None:
    """What is shown of them can be loaded again and is the same."""
    content = f'{_ADMIN}freshness: [{{match: "*/production/etl.*", limit: 26h}}]\n'
    settings = decode(content.encode(), file=_FILE, environ={})
    shown = effective(settings)
    assert "freshness:\n- match: '*/production/etl.*'\n  limit: 1d2h\n" in shown.replace('"', "'")
    assert decode(shown.encode(), file=_FILE, environ={}) == settings
