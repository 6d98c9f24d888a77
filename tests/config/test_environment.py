"""Environment variables win over the file, and answer for what they say."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.config.load import decode
from exporter.config.problems import ConfigError
from exporter.config.settings import Settings

_FILE = b"admin: {endpoint: flyteadmin:81}\nscrape: {interval: 1m}\ndiscovery: {include: [a/b]}\n"


def _decode(environ: dict[str, str], content: bytes = _FILE) -> Settings:
    return decode(content, file=Path("config.yaml"), environ=environ)


def _problems(environ: dict[str, str], content: bytes = _FILE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _decode(environ, content)
    return [str(problem) for problem in caught.value.problems]


def test_the_environment_wins_over_the_file() -> None:
    """A variable replaces what the file says for its setting, and nothing else."""
    settings = _decode({"FLYTE_EXPORTER__SCRAPE__INTERVAL": "10s"})
    assert settings.scrape.interval == timedelta(seconds=10)
    assert settings.discovery.include == ("a/b",)


def test_a_list_replaces_the_whole_list() -> None:
    """Lists are not merged: what the variable says is all there is."""
    settings = _decode({"FLYTE_EXPORTER__DISCOVERY__INCLUDE": '["c/*", "*/d"]'})
    assert settings.discovery.include == ("c/*", "*/d")


def test_a_valid_variable_saves_an_invalid_file_value() -> None:
    """What the file says for an overridden setting does not matter."""
    settings = _decode(
        {"FLYTE_EXPORTER__ADMIN__ENDPOINT": "flyteadmin:81"}, b"admin: {endpoint: nowhere}"
    )
    assert settings.admin.endpoint == "flyteadmin:81"


def test_the_environment_can_supply_what_the_file_lacks() -> None:
    """A section that the file does not have may come from the environment alone."""
    settings = _decode({"FLYTE_EXPORTER__ADMIN__ENDPOINT": "flyteadmin:81"}, b"{}")
    assert settings.admin.endpoint == "flyteadmin:81"


def test_other_variables_are_none_of_our_business() -> None:
    """Those that Kubernetes sets for a Service called flyte-exporter are left alone."""
    service = {"FLYTE_EXPORTER_PORT": "tcp://10.0.0.1:9942", "FLYTE_EXPORTER_SERVICE_HOST": "x"}
    assert _decode(service) == _decode({})


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("FLYTE_EXPORTER__SCRAPE__INTERVALL", "did you mean FLYTE_EXPORTER__SCRAPE__INTERVAL?"),
        ("FLYTE_EXPORTER__scrape__interval", "did you mean FLYTE_EXPORTER__SCRAPE__INTERVAL?"),
        ("FLYTE_EXPORTER__SCRAPE_INTERVAL", "did you mean FLYTE_EXPORTER__SCRAPE__INTERVAL?"),
        ("FLYTE_EXPORTER__ALERTING__RULES_FILE", "the form is FLYTE_EXPORTER__SECTION__KEY."),
        ("FLYTE_EXPORTER__ADMIN__AUTH", "did you mean FLYTE_EXPORTER__ADMIN__AUTH__TYPE?"),
        ("FLYTE_EXPORTER__ADMIN_AUTH_TYPE", "did you mean FLYTE_EXPORTER__ADMIN__AUTH__TYPE?"),
        ("FLYTE_EXPORTER__", "the form is FLYTE_EXPORTER__SECTION__KEY."),
        ("FLYTE_EXPORTER__SCRAPE__", "the form is FLYTE_EXPORTER__SECTION__KEY."),
    ],
)
def test_an_unknown_variable_is_a_problem(variable: str, advice: str) -> None:
    """A misspelt variable is refused with the nearest one, not silently without effect."""
    assert _problems({variable: "10s"}) == [
        f"environment variable {variable}: unknown key; {advice}"
    ]


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("SCRAPE__INTERVAL", "10", 'a duration such as "30s", got 10; add a unit, as in "30s".'),
        ("SCRAPE__INTERVAL", "", 'a duration such as "30s", got nothing.'),
        ("ADMIN__INSECURE", "1", "true or false, got 1."),
        (
            "DISCOVERY__INCLUDE",
            "a/b",
            'a list of patterns PROJECT/DOMAIN, such as ["*/production"], got "a/b".',
        ),
        (
            "METRICS__QUEUE_BUCKETS",
            "[2s, 1s]",
            'a duration longer than "2s", got "1s"; each bound must exceed the one before.',
        ),
    ],
)
def test_a_wrong_value_is_placed_at_its_variable(variable: str, text: str, sentence: str) -> None:
    """The file is not blamed for what the environment says."""
    name = f"FLYTE_EXPORTER__{variable}"
    assert _problems({name: text}) == [f"environment variable {name}: expected {sentence}"]


def test_a_variable_that_is_not_yaml_says_what_to_do() -> None:
    """An address that begins with a bracket is told to go into quotes."""
    name = "FLYTE_EXPORTER__WEB__LISTEN"
    assert _problems({name: "[::]:9942"}) == [
        (
            f"environment variable {name}: not valid YAML: expected the node content,"
            " but found ':'; put text with special characters in quotes."
        )
    ]
    assert str(_decode({name: '"[::]:9942"'}).web.listen) == "[::]:9942"


def test_a_variable_in_conflict_with_the_file_is_blamed() -> None:
    """Of two settings that do not go together, the one from the environment is named."""
    name = "FLYTE_EXPORTER__SCRAPE__INTERVAL"
    assert _problems({name: "1h"}) == [
        (
            f'environment variable {name}: expected scrape.reconcile_interval ("10m")'
            ' to be no shorter than scrape.interval ("1h").'
        )
    ]


def test_a_tag_in_a_variable_is_refused() -> None:
    """No tag reaches a constructor, from the environment no more than from the file."""
    name = "FLYTE_EXPORTER__LOG__LEVEL"
    assert _problems({name: "!!python/name:os.system x"}) == [
        (
            f"environment variable {name}: YAML tags (!...) are not supported;"
            " remove it, or quote text with !."
        )
    ]


def test_bytes_that_are_no_text_are_refused_in_printable_words() -> None:
    """A variable that is not UTF-8 yields a message that any terminal can show."""
    environ = {
        "FLYTE_EXPORTER__LOG__LEVEL": "\udcff",
        "FLYTE_EXPORTER__\udcff\x1b[2J": "x",
    }
    problems = _problems(environ)
    assert len(problems) == 2
    assert all(problem.isprintable() for problem in problems)
