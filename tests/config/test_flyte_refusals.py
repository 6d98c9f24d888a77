"""What contradicts itself in a configuration of flytectl or flytekit is told where it stands."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.load import decode
from exporter.config.problems import ConfigError
from tests.config.theirs import OURS, Theirs


@pytest.fixture
def place(tmp_path: Path) -> Theirs:
    """Return a directory of its own for each test."""
    return Theirs(tmp_path)


_CLIENT = """\
admin:
  endpoint: dns:///flyte.example.com
  authType: ClientSecret
  clientId: robot
  clientSecretLocation: /run/secrets/flyte
  insecure: false
"""
_INTERACTIVE = (
    "asks a person to log in, and nobody does that here; set admin.auth.type to client_secret or"
    " external_command, or to none if Flyte Admin wants no token."
)


_DATA = Path(__file__).parent / "testdata" / "flyte"
_FILES = sorted(path for path in _DATA.iterdir() if path.suffix in {".yaml", ".ini"})


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_each_contradiction_has_its_exact_message(path: Path) -> None:
    """Told where it stands in that file, word for word as in the text beside it."""
    with pytest.raises(ConfigError) as caught:
        decode(OURS.format(path=path).encode(), file=Path("ours.yaml"), environ={})
    told = "".join(f"{problem}\n" for problem in caught.value.problems)
    assert told.replace(f"{_DATA}/", "") == Path(f"{path}.txt").read_text(encoding="utf-8")


def test_a_variable_that_is_wrong_is_named(place: Theirs) -> None:
    """The file is not blamed for what the environment says."""
    assert place.problems(
        "admin: {endpoint: 'a:1'}",
        FLYTE_CREDENTIALS_AUTH_MODE="Pkce",
        FLYTE_PLATFORM_INSECURE="perhaps",
        FLYTE_PLATFORM_URL="flyte admin",
    ) == [
        f'environment variable FLYTE_CREDENTIALS_AUTH_MODE: "Pkce" {_INTERACTIVE}',
        'environment variable FLYTE_PLATFORM_INSECURE: expected true or false, got "perhaps".',
        (
            "environment variable FLYTE_PLATFORM_URL: expected HOST:PORT, such as"
            ' "dns:///flyteadmin:81", got "flyte admin".'
        ),
    ]


def test_problems_of_both_files_are_told_ours_first(place: Theirs) -> None:
    """Each from top to bottom."""
    problems = place.problems(
        "admin:\n  insecure: maybe\n  authType: Pkce\n  endpoint: a:1\n", "log: {level: loud}\n"
    )
    assert [problem.partition(" ")[0] for problem in problems] == [
        *("ours.yaml:3:14:", "config.yaml:2:13:", "config.yaml:3:13:")
    ]


def test_a_file_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    """The endpoint that would be in it is not also called missing."""
    content = OURS.format(path=tmp_path / "absent.yaml").encode()
    with pytest.raises(ConfigError) as caught:
        decode(content, file=Path("ours.yaml"), environ={})
    assert [str(problem) for problem in caught.value.problems] == [
        (
            f"ours.yaml:2:16: admin.config_file: {tmp_path}/absent.yaml cannot be read: no such"
            " file or directory."
        )
    ]


def test_a_file_without_endpoint_leaves_it_missing(place: Theirs) -> None:
    """It has to come from somewhere."""
    assert place.problems("logger: {level: 0}") == [
        'ours.yaml:1:1: admin.endpoint: must be set to HOST:PORT, such as "dns:///flyteadmin:81".'
    ]


def test_a_flytectl_config_that_is_not_there_is_told_at_the_variable() -> None:
    """And nothing else."""
    with pytest.raises(ConfigError) as caught:
        decode(b"{}", file=Path("c"), environ={"FLYTECTL_CONFIG": "/absent/config.yaml"})
    assert [str(problem) for problem in caught.value.problems] == [
        (
            "environment variable FLYTECTL_CONFIG: /absent/config.yaml cannot be read: no such file"
            " or directory."
        )
    ]


_lines = st.lists(
    st.sampled_from(
        [
            *("[platform]", "[credentials]", "[DEFAULT]", "[", "url = a:1", "insecure = 1", "x"),
            *("client_secret = q7secret", "q7secret", "client_secret: q7secret = x", "=q7secret"),
            *("  q7secret", "client_secret", "auth_mode = q7secret@x", "; q7secret", "# x", "\x85"),
            *(
                "admin:",
                "  endpoint: a:1",
                "  command: q7secret",
                "  clientSecretEnvVar: -q7secret",
            ),
            *(
                "  tokenUrl: q7secret",
                "  httpProxyURL: http://q7secret@",
                "  x: *q7secret",
                "  - y",
            ),
            *(
                "  command: [!q7secret x]",
                "  proxyCommand: {q7secret: 1, q7secret: 2}",
                "q7secret: !x 1",
            ),
            *("  authType: ClientSecret", "command = q7secret", "[q7secret]", "q7secret = 1"),
        ]
    ),
    max_size=12,
)


@settings(deadline=None)
@given(lines=_lines, name=st.sampled_from(["config", "config.yaml"]))
def test_whatever_stands_in_their_file_no_secret_is_told(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], name: str
) -> None:
    """It becomes settings, or problems that do not repeat what may be a secret."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_text("\n".join(lines), encoding="utf-8")
    refusal = _refusal(OURS.format(path=path).encode())
    assert "q7secret" not in f"{refusal}{refusal!r}"
    assert all(str(problem).isprintable() for problem in refusal.problems)


def _refusal(content: bytes) -> ConfigError:
    try:
        decode(content, file=Path("c"), environ={})
    except ConfigError as error:
        return error
    return ConfigError([])
