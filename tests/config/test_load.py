"""What `load` accepts, and the exact words in which it refuses."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.document import KeyPath
from exporter.config.load import decode, load
from exporter.config.problems import ConfigError
from exporter.config.reference import FAMILIES
from exporter.config.relabelling import (
    FamiliesSettings,
    FamilySettings,
    PlanFamilySettings,
    RelabelRule,
)
from exporter.config.settings import (
    AdminSettings,
    AuthSettings,
    DiscoverySettings,
    LedgerSettings,
    LogSettings,
    MetricsSettings,
    PlanDuration,
    SchedulesSettings,
    ScrapeSettings,
    Settings,
    TasksSettings,
    TracingSettings,
    WebSettings,
)
from exporter.config.tree import SETTINGS
from exporter.config.values import ListenAddress

_DATA = Path(__file__).parent / "testdata"
_MINIMAL = b"admin: {endpoint: flyteadmin:81}\n"


def _refusal(content: bytes, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        decode(content, file=Path("config.yaml"), environ=environ or {})
    return caught.value


@pytest.mark.parametrize("path", sorted(_DATA.glob("invalid-*.yml")), ids=lambda path: path.stem)
def test_each_fault_has_its_exact_message(path: Path) -> None:
    """One fault in a file yields one message, word for word the one beside it."""
    with pytest.raises(ConfigError) as caught:
        decode(path.read_bytes(), file=Path(path.name), environ={})
    assert f"{caught.value}\n" == path.with_suffix(".txt").read_text(encoding="utf-8")
    assert len(caught.value.problems) == 1


def test_each_message_has_its_fault() -> None:
    """No expected message is left over without the file that provokes it."""
    faults = {path.stem for path in _DATA.glob("invalid-*.yml")}
    assert {path.stem for path in _DATA.glob("*.txt")} == faults


def test_every_key_can_be_set() -> None:
    """A file that sets every setting there is comes out as exactly those settings."""
    settings = load(_DATA / "valid-every-key.yml", {})
    assert settings == Settings(
        admin=AdminSettings(
            endpoint="flyteadmin.flyte.svc:81",
            timeout=timedelta(seconds=90),
            ca_file=Path("tls/ca.pem"),
            client_cert_file=Path("tls/client.pem"),
            client_key_file=Path("tls/client.key"),
            server_name="flyte.example.com",
            rate_limit=0.5,
            burst=1,
            max_concurrency=64,
            auth=AuthSettings(
                type="client_secret",
                client_id="exporter",
                client_secret_file=Path("secrets/flyte"),
                token_url="https://idp.example.com/token?tenant=1",
                scopes=("all", "offline"),
                audience="https://flyte.example.com",
                proxy_command=("iap-token", "--audience", "x"),
                header="x-flyte",
                http_proxy_url="http://proxy:3128",
            ),
        ),
        discovery=DiscoverySettings(
            include=("flytesnacks/*", "*/production"),
            exclude=("*/development",),
            interval=timedelta(milliseconds=250),
            project_labels=("team", "example.com/cost-center"),
        ),
        scrape=ScrapeSettings(
            interval=timedelta(seconds=10),
            concurrency=64,
            page_size=1,
            overlap=timedelta(0),
            reconcile_interval=timedelta(seconds=10),
            lookback=timedelta(hours=36),
            reconcile_window=timedelta(days=2),
            poll_timeout=timedelta(weeks=1),
        ),
        schedules=SchedulesSettings(grace=timedelta(seconds=90), timezone="Europe/Berlin"),
        tasks=TasksSettings(
            match=("*/production/etl.*",),
            rate_limit=1.5,
            concurrency=1,
            backlog=500,
            max_nodes=100,
        ),
        metrics=MetricsSettings(
            duration_buckets=(timedelta(minutes=1), timedelta(hours=1)),
            queue_buckets=(timedelta(seconds=1.5),),
            series_limit=100,
            error_codes_limit=5,
            first_sample_hold=timedelta(0),
            relabel=(
                RelabelRule(match=r"(.*)_\d{4}_\d{2}_\d{2}", replacement="$1"),
                RelabelRule(match=r"(?P<team>[a-z]+)\..*", replacement="${team}$$"),
            ),
            families=FamiliesSettings(
                flyte_execution_duration_seconds=PlanFamilySettings(
                    launch_plan=False, series_limit=50_000
                ),
                flyte_executions_started_total=FamilySettings(enabled=False, series_limit=1),
            ),
        ),
        ledger=LedgerSettings(path=Path("data/ledger.db")),
        web=WebSettings(listen=ListenAddress("::1", 0), enable_reload=False),
        log=LogSettings(level="debug", format="json"),
        tracing=TracingSettings(
            exporter="otlp",
            protocol="http/protobuf",
            endpoint="http://collector:4318",
            sample_ratio=0.25,
        ),
        freshness=(
            PlanDuration(match="*/production/etl.*", limit=timedelta(hours=26)),
            PlanDuration(match="*/*/*", limit=timedelta(weeks=1)),
        ),
        expected_duration=(
            PlanDuration(match="?lyte*/production/.flytegen.*", limit=timedelta(minutes=90)),
        ),
    )


def test_the_valid_example_leaves_no_key_out() -> None:
    """The files that claim to set every setting do, so a new one cannot go untried."""
    skipped = {path for path in SETTINGS if path[:-2] == FAMILIES} | {("admin", "config_file")}
    written: set[KeyPath] = set()
    for path in _DATA.glob("valid-*.yml"):
        written |= set(_leaves(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert written - skipped == set(SETTINGS) - skipped
    # Families are alike: one with every key stands for all.
    assert {path[-1] for path in written if path[:-2] == FAMILIES} == {
        *PlanFamilySettings.model_fields
    }


def _leaves(tree: dict[str, Any]) -> Iterator[KeyPath]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from ((key, *path) for path in _leaves(value))
        else:
            yield (key,)


def test_the_endpoint_alone_is_enough() -> None:
    """Whatever is not set has its default."""
    settings = decode(_MINIMAL, file=Path("config.yaml"), environ={})
    assert settings == Settings(admin=AdminSettings(endpoint="flyteadmin:81"))
    assert settings.scrape.interval == timedelta(seconds=30)
    assert settings.web.listen == ("0.0.0.0", 9942)


def test_a_section_whose_keys_are_commented_out_has_its_defaults() -> None:
    """`scrape:` with nothing but comments below is no fault."""
    content = _MINIMAL + b"scrape:\n  # interval: 10s\n"
    settings = decode(content, file=Path("config.yaml"), environ={})
    assert settings.scrape == ScrapeSettings()


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    """A file saved by Notepad reads the same, and its faults are on the same lines."""
    assert decode(
        b"\xef\xbb\xbfadmin:\r\n  endpoint: flyteadmin:81\r\n", file=Path("c"), environ={}
    )
    error = _refusal(_MINIMAL + b"\r\nlog:\r\n  level: loud\r\n")
    assert (error.problems[0].line, error.problems[0].column) == (4, 10)


def test_all_problems_are_told_at_once_from_top_to_bottom() -> None:
    """One run shows everything: the file in reading order, then the environment."""
    error = _refusal(
        b"log: {level: loud}\n"
        b"scrape:\n"
        b"  interval: 30 s\n"
        b"  intervall: 30s\n"
        b"  concurrency: 0\n"
        b"  concurrency: 1\n"
        b"web: nowhere\n"
        b"metrics: {queue_buckets: [1, 2s, x]}\n",
        {
            "FLYTE_EXPORTER__SCRAPE__PAGE_SIZE": "many",
            "FLYTE_EXPORTER__LEDGER__PTAH": "ledger.db",
        },
    )
    assert str(error).splitlines() == [
        'config.yaml: admin.endpoint: must be set to HOST:PORT, such as "dns:///flyteadmin:81".',
        'config.yaml:1:14: log.level: expected "debug", "info", "warning" or "error", got "loud".',
        'config.yaml:3:13: scrape.interval: expected a duration such as "30s", got "30 s".',
        'config.yaml:4:3: scrape.intervall: unknown key; did you mean "interval"?',
        "config.yaml:5:16: scrape.concurrency: expected a whole number from 1 to 64, got 0.",
        "config.yaml:6:3: scrape.concurrency: already set on line 5; keep one.",
        'config.yaml:7:6: web: expected a mapping of settings, got "nowhere".',
        (
            'config.yaml:8:27: metrics.queue_buckets[0]: expected a duration such as "30s", got 1;'
            ' add a unit, as in "30s".'
        ),
        'config.yaml:8:34: metrics.queue_buckets[2]: expected a duration such as "30s", got "x".',
        (
            "environment variable FLYTE_EXPORTER__LEDGER__PTAH: unknown key;"
            " did you mean FLYTE_EXPORTER__LEDGER__PATH?"
        ),
        (
            "environment variable FLYTE_EXPORTER__SCRAPE__PAGE_SIZE:"
            ' expected a whole number from 1 to 10000, got "many".'
        ),
        "11 problems; nothing was started.",
    ]


def test_a_problem_carries_its_place_as_facts() -> None:
    """A program need not take the text apart to know where a problem is."""
    (problem,) = _refusal(_MINIMAL + b"scrape: {interval: 30}\n").problems
    assert problem.file == Path("config.yaml")
    assert (problem.line, problem.column, problem.path) == (2, 20, "scrape.interval")
    assert problem.variable is None


def test_an_unreadable_value_is_reported_once() -> None:
    """A value behind an unsupported tag is not also called missing or of the wrong kind."""
    error = _refusal(b"admin: {endpoint: !vault x}\nscrape: !include y\nlog: [a]\n")
    assert [problem.path for problem in error.problems] == ["admin.endpoint", "scrape", "log"]


def test_an_unknown_key_with_an_unreadable_value_is_reported_for_both() -> None:
    """Mending the value first would otherwise bring the next complaint."""
    error = _refusal(_MINIMAL + b"alerts: !include alerts.yaml\n")
    assert [problem.sentence for problem in error.problems] == [
        (
            "unknown key; known keys: admin, discovery, expected_duration, freshness, ledger, log,"
            " metrics, schedules, scrape, tasks, tracing, web."
        ),
        "YAML tags (!...) are not supported; remove it, or quote text with !.",
    ]


def test_a_document_behind_an_unsupported_tag_is_refused() -> None:
    """A tag on the whole file is told like any other."""
    error = _refusal(b"!vault\nadmin: {endpoint: flyteadmin:81}\n")
    assert [str(problem) for problem in error.problems] == [
        "config.yaml:1:1: YAML tags (!...) are not supported; remove it, or quote text with !."
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is shown as it was given."""
    path = tmp_path / "absent.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert str(caught.value.problems[0]) == f"{path}: cannot be read: no such file or directory."


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A mount that became a directory, as happens with a missing ConfigMap key, says so."""
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load(tmp_path, {})
