"""
Everything that a person may decide, with its unit, its meaning and why its default is what it is.

The text below each setting is what `docs/configuration.md` shows.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from exporter.config.values import (
    Buckets,
    Duration,
    Endpoint,
    FilePath,
    Listen,
    ListenAddress,
    Patterns,
    PositiveDuration,
    Rate,
    SomePatterns,
    Words,
    conflict,
)
from exporter.model.time import format_duration, parse_duration


def _durations(text: str) -> tuple[timedelta, ...]:
    return tuple(parse_duration(word) for word in text.split())


def _at_least(other: str, value: timedelta, info: ValidationInfo) -> timedelta:
    """Refuse *value* when it is shorter than the setting *other* of the same section."""
    least = info.data.get(other)
    if least is not None and value < least:
        sentence = (
            f'expected scrape.{info.field_name} ("{format_duration(value)}") to be no shorter than '
            f'scrape.{other} ("{format_duration(least)}").'
        )
        raise conflict(sentence, other=other)
    return value


class Section(BaseModel):
    """A group of settings: read once, never changed, and closed to unknown names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class AuthSettings(Section):
    """How we prove to Flyte Admin, and to a proxy before it, who we are."""

    type: Literal["none", "client_secret", "external_command", "token_file"] = "none"
    """
    Where the access token comes from.

    `client_secret` asks an identity provider by OAuth2 client credentials; `external_command` runs
    a program that prints one; `token_file` reads one that somebody else keeps fresh.
    """
    client_id: str | None = None
    """OAuth2 client, for `client_secret`."""
    client_secret_file: FilePath | None = None
    """File with the client's secret; read again for every token."""
    client_secret_env: str | None = None
    """Name of the environment variable with the client's secret."""
    token_url: str | None = None
    """Token endpoint of the identity provider; by default the one that Flyte Admin names."""
    scopes: Words = ()
    """Scopes to ask for; by default those that Flyte Admin names."""
    audience: str | None = None
    """Audience to ask for, where the identity provider wants one."""
    command: Words = ()
    """Program and arguments that print an access token, run without a shell."""
    token_file: FilePath | None = None
    """File with an access token; read again when it changes."""
    proxy_command: Words = ()
    """
    Program and arguments that print a token for an identity-aware proxy before Flyte Admin.

    It is sent as `proxy-authorization`, beside whatever `type` says.
    """
    header: str | None = None
    """Metadata key that carries the access token; by default the one that Flyte Admin names."""
    http_proxy_url: str | None = None
    """Proxy for the requests to the token endpoint; gRPC honours the usual variables instead."""


class AdminSettings(Section):
    """How Flyte Admin is reached."""

    endpoint: Endpoint
    """
    gRPC address of Flyte Admin, with its port.

    The port is required because gRPC dials 443 when none is given. With the prefix `dns:///` the
    name is resolved again when a connection breaks, so that a moved Admin is found.
    """
    insecure: bool = False
    """
    Whether to connect without TLS.

    Off by default, so that nobody sends anything in the clear without having said so.
    """
    timeout: PositiveDuration = timedelta(seconds=15)
    """
    Deadline of each call to Flyte Admin.

    A page takes milliseconds on a healthy Admin; one that takes longer than this is in trouble,
    and is better asked again at the next poll.
    """
    config_file: FilePath | None = None
    """
    A flytectl or flytekit configuration whose `admin` section is used too.

    What is set here wins over it.
    """
    insecure_skip_verify: bool = False
    """
    Whether to trust whatever certificate Flyte Admin shows first.

    Python's gRPC cannot skip verification; this trusts the certificate of the first connection.
    """
    ca_file: FilePath | None = None
    """Certificates (PEM) of the authorities that may vouch for Flyte Admin; else the system's."""
    client_cert_file: FilePath | None = None
    """Our own certificate (PEM), where Flyte Admin or a mesh wants one; read again on rotation."""
    client_key_file: FilePath | None = None
    """Private key (PEM) of `client_cert_file`."""
    server_name: str | None = None
    """Name to look for in Flyte Admin's certificate, when it is not that of the endpoint."""
    rate_limit: Rate = 50.0
    """
    How many calls to Flyte Admin may begin in a second, retries included.

    Each idle target costs two calls an interval.
    """
    burst: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many calls may begin at once before `rate_limit` slows them down."""
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """How many calls may be under way at the same time."""
    auth: AuthSettings = AuthSettings()
    """How we prove who we are."""


class TracingSettings(Section):
    """Where spans of polls and of calls to Flyte Admin go."""

    exporter: Literal["none", "otlp", "console"] = "none"
    """
    Where spans are sent; the variable `OTEL_TRACES_EXPORTER` says it where this is not set.

    Off by default, because there is a collector only where somebody runs one.
    """
    protocol: Literal["grpc", "http/protobuf"] = "grpc"
    """How spans travel to an OTLP collector."""
    endpoint: str | None = None
    """URL of the OTLP collector; by default the one that OpenTelemetry's variables name."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Part of all polls that is traced, from 0 to 1."""


class DiscoverySettings(Section):
    """Which targets, pairs of project and domain, are scraped."""

    include: SomePatterns = ("*/*",)
    """
    Patterns PROJECT/DOMAIN of the targets to scrape; `*` and `?` stand for any characters.

    All by default: a project created tomorrow is watched without a change here.
    """
    exclude: Patterns = ()
    """Patterns PROJECT/DOMAIN of targets to leave out although `include` names them."""
    interval: PositiveDuration = timedelta(minutes=5)
    """
    How often projects and domains are listed.

    They rarely change. A target is dropped once two listings in a row miss it, so this is also
    how long a removed one lingers.
    """


class ScrapeSettings(Section):
    """How often and how carefully each target is polled."""

    interval: PositiveDuration = timedelta(seconds=30)
    """
    Time from the start of one poll of a target to the start of the next.

    Metrics are at most this old. A poll costs what has changed, so shorter is cheap; shorter than
    the interval at which Prometheus scrapes shows nothing more.
    """
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """
    How many targets are polled at the same time.

    Bounds the queries that Admin's database sees from here at once.
    """
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """
    Executions asked for in one call.

    500 rows stay well below the 4 MiB that gRPC receives by default, even with long names.
    """
    overlap: Duration = timedelta(minutes=2)
    """
    How far before its cursor each poll looks again.

    Covers rows that Admin writes later than their creation time says, and out of order: it takes
    that time before it calls Kubernetes, which may take 30 s. Less than 30 s is not advised.
    Reading a row again does not count it again.
    """
    reconcile_interval: PositiveDuration = timedelta(minutes=10)
    """
    How often the polls of a target check their own work against a wider listing.

    What that finds is counted late, and counted as a correction. No shorter than `interval`.
    """
    reconcile_window: Duration = timedelta(hours=1)
    """
    How far back that wider listing reaches behind the cursor.

    The latest that a row may appear and still be counted. No shorter than `overlap`.
    """
    poll_timeout: PositiveDuration = timedelta(minutes=1)
    """
    Budget of one poll of one target.

    Progress is kept page by page, so a backlog that takes longer is worked off over several polls
    while other targets get their turn.
    """

    @field_validator("reconcile_interval")
    @classmethod
    def _no_shorter_than_interval(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        return _at_least("interval", value, info)

    @field_validator("reconcile_window")
    @classmethod
    def _no_shorter_than_overlap(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        return _at_least("overlap", value, info)


class MetricsSettings(Section):
    """What the metrics look like, and how many there may be."""

    duration_buckets: Buckets = _durations("10s 30s 1m 2m 5m 10m 20m 30m 1h 2h 4h 8h 12h 24h")
    """
    Upper bounds of the buckets of `flyte_execution_duration_seconds`, at most 50.

    From a short task to a day of training. Each bound is one series per launch plan. Changing
    them begins that histogram anew.
    """
    queue_buckets: Buckets = _durations("1s 2s 5s 10s 30s 1m 2m 5m 10m 30m 1h")
    """
    Upper bounds of the buckets of `flyte_execution_queue_duration_seconds`, at most 50.

    Finer than those of durations: a healthy cluster starts an execution within seconds.
    """
    series_limit: Annotated[int, Field(ge=100)] = 300_000
    """
    How many series all families together may have.

    Past it, new label values are counted under `__overflow__`, so nothing goes uncounted. 600
    targets with 5,000 launch plans come to about 250,000.
    """
    first_sample_hold: Duration = timedelta(minutes=2)
    """
    How long a new counter shows 0 before it shows its count.

    Without it `increase()` never sees the first increment. At least twice the slowest interval at
    which Prometheus scrapes; 0s turns it off.
    """


class LedgerSettings(Section):
    """Where counts are kept so that they survive a restart."""

    path: FilePath = Path("/var/lib/flyte-exporter/ledger.db")
    """
    The SQLite file that holds counts and cursors.

    On storage that outlives the process, and used by one exporter only.
    """


class WebSettings(Section):
    """Where Prometheus and people reach the exporter."""

    listen: Listen = ListenAddress("0.0.0.0", 9942)  # noqa: S104  # Prometheus asks from elsewhere
    """
    Address of the HTTP server for `/metrics` and the status page; port 0 lets the system choose.

    All IPv4 addresses by default, because Prometheus rarely runs on the same host.
    """


class LogSettings(Section):
    """What is logged to stderr, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """
    The least severe level that is logged.

    `info` logs changes of state; `debug` each poll as well.
    """
    format: Literal["logfmt", "json"] = "logfmt"
    """`logfmt` for people and Loki; `json` for systems that index fields."""


class Settings(Section):
    """The whole configuration."""

    admin: AdminSettings
    discovery: DiscoverySettings = DiscoverySettings()
    scrape: ScrapeSettings = ScrapeSettings()
    metrics: MetricsSettings = MetricsSettings()
    ledger: LedgerSettings = LedgerSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()


SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
"""Every section by the name it has in the file, in the order in which it is documented."""
