"""The settings as other parts of the program meet them."""

from datetime import timedelta
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import ValidationError

from exporter.config import expectations
from exporter.config.document import KeyPath
from exporter.config.problems import dotted
from exporter.config.section import Section
from exporter.config.settings import (
    AdminSettings,
    LedgerSettings,
    MetricsSettings,
    ScrapeSettings,
    Settings,
    WebSettings,
)
from exporter.config.tree import SETTINGS
from exporter.config.values import ListenAddress


@pytest.mark.parametrize("path", SETTINGS, ids=dotted)
def test_every_setting_explains_itself(path: KeyPath) -> None:
    """Each setting has a meaning to document and words for what it takes."""
    field = SETTINGS[path]
    assert (field.description or "").endswith(".")
    assert expectations.of_field(field)
    if get_origin(field.annotation) is tuple:
        assert expectations.of_item(field)


def test_settings_cannot_be_changed() -> None:
    """What was validated stays as it was."""
    settings = Settings(admin=AdminSettings(endpoint="flyteadmin:81"))
    with pytest.raises(ValidationError):
        settings.scrape.interval = timedelta(seconds=1)  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    "endpoint",
    [
        "flyteadmin:81",
        "dns:///flyteadmin.flyte.svc.cluster.local:81",
        "dns://8.8.8.8/flyte.example.com:443",
        "dns:flyteadmin:81",
        "127.0.0.1:8089",
        "[::1]:8089",
        "ipv4:10.0.0.1:81",
        "ipv6:[::1]:81",
        "unix:///run/flyteadmin.sock",
        "unix:flyteadmin.sock",
    ],
)
def test_the_forms_of_grpc_are_accepted(endpoint: str) -> None:
    """An endpoint may be anything that gRPC dials at a known port or socket."""
    assert AdminSettings(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", ":81", "flyteadmin:", "flyteadmin:99999", "flyteadmin:८१", "10.0.0:81"),
        *("flyteadmin:81/", "flyteadmin:81\n", "flyte admin:81", "HTTPS://flyteadmin:81"),
        *("dns:///", "dns:81", "xds:///flyteadmin:81", "unix:"),
        *("::1:81", "[::1]", "[flyteadmin]:81"),
    ],
)
def test_what_grpc_would_misread_is_refused(endpoint: str) -> None:
    """What gRPC would take for something else never gets as far as a channel."""
    with pytest.raises(ValidationError, match="expected"):
        AdminSettings(endpoint=endpoint)


@pytest.mark.parametrize("text", ["0.0.0.0:9942", "localhost:0", "[::]:9942", "exporter-1:65535"])
def test_a_listen_address_is_written_as_it_is_read(text: str) -> None:
    """Text of an address leads back to the same address."""
    address = WebSettings.model_validate({"listen": text}).listen
    assert isinstance(address, ListenAddress)
    assert str(address) == text


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (ScrapeSettings, {"interval": timedelta(0)}),
        (ScrapeSettings, {"overlap": timedelta(seconds=-1)}),
        (ScrapeSettings, {"overlap": timedelta(hours=2)}),
        (ScrapeSettings, {"interval": timedelta(hours=2)}),
        (ScrapeSettings, {"reconcile_window": timedelta(weeks=53)}),
        (MetricsSettings, {"queue_buckets": (timedelta(2), timedelta(1))}),
        (LedgerSettings, {"path": "a\0b"}),
    ],
)
def test_values_made_in_code_are_held_to_the_same_rules(
    model: type[Section], values: dict[str, Any]
) -> None:
    """A test or an embedding program cannot build settings that a file could not."""
    with pytest.raises(ValidationError):
        model(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"overlap": timedelta(hours=1), "reconcile_window": timedelta(hours=1)},
        {"interval": timedelta(minutes=10), "reconcile_interval": timedelta(minutes=10)},
    ],
)
def test_the_bounds_between_settings_are_inclusive(values: dict[str, Any]) -> None:
    """A window as long as the overlap, and a reconcile at every poll, are allowed."""
    assert ScrapeSettings(**values)


def test_as_many_buckets_as_the_message_says() -> None:
    """Fifty bounds are accepted; the refusal of fifty-one is in the test data."""
    bounds = tuple(timedelta(seconds=n) for n in range(1, 51))
    assert MetricsSettings(queue_buckets=bounds).queue_buckets == bounds


def test_a_ledger_path_may_have_any_letters() -> None:
    """Only what no file system shows is refused."""
    path = Path("/данные/flyte exporter/ledger.db")
    assert LedgerSettings.model_validate({"path": str(path)}).path == path
