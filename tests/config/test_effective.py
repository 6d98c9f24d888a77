"""The settings in effect can be shown to anybody, and used again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.config.effective import effective
from exporter.config.load import decode
from exporter.config.settings import (
    AdminSettings,
    AuthSettings,
    DiscoverySettings,
    LedgerSettings,
    ScrapeSettings,
    Settings,
    TracingSettings,
    WebSettings,
)
from exporter.config.tree import SETTINGS
from exporter.config.values import ListenAddress, format_rate, read_rate

_DATA = Path(__file__).parent / "testdata"


def _again(text: str) -> Settings:
    return decode(text.encode(), file=Path("effective.yaml"), environ={})


def test_every_setting_is_shown_set_or_not() -> None:
    """Whoever reads it need not know the defaults, nor where a value came from."""
    shown = yaml.safe_load(effective(Settings(admin=AdminSettings(endpoint="a:1"))))
    for *sections, key in SETTINGS:
        section = shown
        for name in sections:
            section = section[name]
        assert key in section


def test_values_are_shown_as_they_are_written() -> None:
    """With units, and text in quotes where it would be read as something else."""
    shown = effective(
        Settings(
            admin=AdminSettings(
                endpoint="[::1]:81",
                rate_limit=0.5,
                ca_file=Path("/ca.pem"),
                auth=AuthSettings(
                    type="client_secret", client_id="1.5e3", client_secret_env="SECRET"
                ),
            ),
            scrape=ScrapeSettings(interval=timedelta(seconds=90)),
            web=WebSettings(listen=ListenAddress("::", 1)),
        )
    )
    for line in (
        'endpoint: "[::1]:81"',
        "rate_limit: 0.5/s",
        "ca_file: /ca.pem",
        'client_id: "1.5e3"',
        "client_secret_env: SECRET",
        "interval: 1m30s",
        "listen: '[::]:1'",
    ):
        assert line.replace('"[::1]:81"', "'[::1]:81'") in shown


def test_credentials_are_not_shown() -> None:
    """Neither in addresses nor in commands; the files and the programs are."""
    auth = AuthSettings(
        type="client_secret",
        client_id="exporter",
        client_secret_file=Path("/run/secrets/flyte"),
        token_url="https://user:hunter2@idp.example.com/token?key=hunter3#hunter4",
        http_proxy_url="http://hunter5@proxy:3128",
        proxy_command=("iap-token", "--password", "hunter6"),
    )
    tracing = TracingSettings(endpoint="https://collector/?api-key=hunter7")
    shown = effective(Settings(admin=AdminSettings(endpoint="a:1", auth=auth), tracing=tracing))
    assert "hunter" not in shown
    assert "token_url: https://***@idp.example.com/token?***" in shown
    assert "http_proxy_url: http://***@proxy:3128" in shown
    assert "- iap-token\n    - '***'\n    - '***'\n" in shown
    assert "endpoint: https://collector/?***" in shown
    assert "client_secret_file: /run/secrets/flyte" in shown


def test_all_that_can_be_set_is_loaded_again() -> None:
    """Where nothing had to be hidden, what is shown gives the very same settings."""
    content = (_DATA / "valid-every-key.yml").read_bytes()
    content = content.replace(b"?tenant=1", b"").replace(b", --audience, x", b"")
    every_key = decode(content, file=Path("every"), environ={})
    assert _again(effective(every_key)) == every_key


_names = st.one_of(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12),
    st.sampled_from(
        [
            *("1.5e3", "1e3", ".5", "010", "0x10", "1_0", "1:30", "yes", "off", "y", "=", "<<"),
            *("null", "~", "true", "-", "- a", "a: b", "a #b", "#a", "'", '"', "*a", "!a", "&a"),
            *(
                "2024-01-01",
                "{a}",
                "[a]",
                "@a",
                "`a",
                "%a",
                "|",
                ">",
                "?",
                ": a",
                "a:",
                "é",
                "\u2028a",
            ),
        ]
    ).filter(str.isprintable),
)
# A path in code that begins with ~ is one that no file can name.
_paths = _names.filter(lambda text: not text.startswith("~") and text != ":memory:").map(Path)
_secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=10, max_size=20).map(
    "q7".__add__
)


@st.composite
def _with_secrets(draw: st.DrawFn) -> tuple[str, Settings]:
    secret = draw(_secrets)
    url = st.sampled_from(
        [
            *("https://{0}@host/path", "https://user:{0}@host:8080", "http://host/?{0}"),
            *(
                "http://a:{0}@[::1]:80/b?c={0}&d#{0}",
                "https://host/path#{0}",
                "http://host/?a?b={0}",
            ),
            *(
                "http://:{0}@host",
                "https://{0}:@host?#{0}",
                "https://host?x=//{0}:",
                "HTTPS://h?{0}",
            ),
        ]
    ).map(lambda form: form.format(secret))
    command = st.lists(st.sampled_from(["-p", secret, f"--p={secret}", "a b"]), max_size=3).map(
        lambda arguments: ("token", *arguments)
    )
    auth: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional={"proxy_command": command})
        | st.fixed_dictionaries(
            {
                "type": st.just("client_secret"),
                "client_id": _names,
                "client_secret_file": _paths,
                "token_url": url,
                "http_proxy_url": url,
            },
            optional={"proxy_command": command, "audience": _names},
        )
        | st.fixed_dictionaries({"type": st.just("external_command"), "command": command})
    )
    return secret, Settings(
        admin=AdminSettings(endpoint="flyteadmin:81", auth=AuthSettings(**auth)),
        discovery=DiscoverySettings(include=("*/*", "!a/b", "010/~")),
        ledger=LedgerSettings(path=draw(_paths)),
        tracing=TracingSettings(endpoint=draw(url)),
    )


@settings(deadline=None)
@given(case=_with_secrets())
@example(case=("q7q7", Settings(admin=AdminSettings(endpoint="a:1"))))
def test_no_secret_is_shown_and_what_is_shown_loads_again(case: tuple[str, Settings]) -> None:
    """Whatever the settings; and loading it hides nothing more."""
    secret, given_settings = case
    shown = effective(given_settings)
    assert secret not in shown
    assert secret not in f"{given_settings!r}{given_settings}"
    again = _again(shown)
    assert effective(again) == shown
    assert again.ledger == given_settings.ledger
    assert again.discovery == given_settings.discovery
    assert again.admin.auth.client_id == given_settings.admin.auth.client_id
    assert again.admin.auth.audience == given_settings.admin.auth.audience


@given(often=st.integers(1, 10_000).map(float) | st.integers(1, 59).map(lambda n: n / 60))
def test_a_rate_is_written_as_it_is_read(often: float) -> None:
    """In seconds where that is exact, or else in minutes."""
    assert read_rate(format_rate(often)) == often
