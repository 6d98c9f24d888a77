"""
Everything that a person may decide, with its unit, its meaning and why its default is what it is.

The text below each setting is what `docs/configuration.md` shows.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from exporter.config.admin import AdminSettings, AuthSettings
from exporter.config.relabelling import FamiliesSettings, RelabelRule
from exporter.config.section import Section
from exporter.config.tasks import TasksSettings
from exporter.config.text import CollectorUrl
from exporter.config.values import (
    LIST,
    Buckets,
    Duration,
    Expected,
    LedgerPath,
    Listen,
    ListenAddress,
    Patterns,
    PlanPattern,
    PositiveDuration,
    ProjectLabels,
    SomePatterns,
    conflict,
)
from exporter.config.zones import TimeZone
from exporter.model.time import format_duration, parse_duration

__all__ = [
    "AdminSettings",
    "AuthSettings",
    "DiscoverySettings",
    "LedgerSettings",
    "LogSettings",
    "MetricsSettings",
    "PlanDuration",
    "SchedulesSettings",
    "ScrapeSettings",
    "Settings",
    "TasksSettings",
    "TracingSettings",
    "WebSettings",
]


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


class TracingSettings(Section):
    """
    Where spans of polls and of calls to Flyte Admin go.

    OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_HEADERS`, say what is not set here.
    """

    exporter: Literal["none", "otlp", "console"] = "none"
    """
    Where spans are sent; where this is not set, the variable `OTEL_TRACES_EXPORTER` says it.

    Off by default, because there is a collector only where somebody runs one. `console` writes
    spans to stdout, to look at them without a collector.
    """
    protocol: Literal["grpc", "http/protobuf"] = "grpc"
    """
    How spans travel to an OTLP collector: `grpc` (usually port 4317) or `http/protobuf` (4318).

    Where this is not set, the variable `OTEL_EXPORTER_OTLP_PROTOCOL` says it.
    """
    endpoint: CollectorUrl | None = None
    """URL of the OTLP collector; by default the one that OpenTelemetry's variables name."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """
    Part of all polls that is traced.

    A poll makes a handful of spans, so all of them by default.
    """


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
    How often projects and domains are listed, and each target's active launch plans.

    They rarely change. A target is dropped once two listings in a row miss it, so this is also
    how long a removed one lingers; a launch plan that was deactivated is gone with the next one.
    """
    project_labels: ProjectLabels = ()
    """
    Labels of projects that `flyte_project_info` shows, such as `["team", "tier"]`.

    None by default, because their values are anybody's. `data-owner` becomes `label_data_owner`,
    as kube-state-metrics would call it, to be joined to the other metrics by `project`.
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
    lookback: Duration = timedelta(hours=24)
    """
    How far back a cold start looks for how each launch plan fared; none of it is counted.

    A day shows all that runs at least daily. Of active launch plans with neither a success nor a
    failure in it, the newest executions are asked for one by one, beside the polls and with 5% of
    `admin.rate_limit`; so is the newest success of one that is not active, but has a limit of
    `freshness`.
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

    From a short task to a day of training. Each bound is one series per launch plan.
    `flyte_task_duration_seconds` has the same. Changing them begins both histograms anew.
    """
    queue_buckets: Buckets = _durations("1s 2s 5s 10s 30s 1m 2m 5m 10m 30m 1h")
    """
    Upper bounds of the buckets of `flyte_execution_queue_duration_seconds`, at most 50.

    Finer than those of durations: a healthy cluster starts an execution within seconds.
    `flyte_task_queue_duration_seconds` has the same. Changing them begins both anew.
    """
    series_limit: Annotated[int, Field(ge=100)] = 300_000
    """
    How many series all families together may have.

    Past it, new label values are counted under `__overflow__`, so nothing goes uncounted. 600
    targets with 5,000 launch plans come to about 250,000.
    """
    error_codes_limit: Annotated[int, Field(ge=1, le=1000)] = 20
    """
    How many error codes of each target `flyte_execution_error_codes_total` tells apart.

    Codes are what user code raises, so there is no end of them. The first that come are kept, over
    restarts too; the rest count as `other`. Flyte's own, such as `OOMKilled`, take no place from
    these, and have theirs while `series_limit` has room. See [Cardinality](cardinality.md).
    """
    relabel: Annotated[
        tuple[RelabelRule, ...],
        LIST,
        Expected("a list of rules, each with match and replacement"),
    ] = ()
    """
    Rules that rename launch plans in labels, as Prometheus would; the first that matches counts.

    Launch plans that come to share a name are counted as one: for names that change with every
    run. See [Cardinality](cardinality.md).
    """
    families: FamiliesSettings = FamiliesSettings()
    first_sample_hold: Duration = timedelta(minutes=2)
    """
    How long a new counter shows 0 before it shows its count.

    Without it `increase()` never sees the first increment. At least twice the slowest interval at
    which Prometheus scrapes; 0s turns it off.
    """


class LedgerSettings(Section):
    """Where counts are kept so that they survive a restart."""

    path: LedgerPath = Path("/var/lib/flyte-exporter/ledger.db")
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
    enable_reload: bool = True
    """
    Whether `POST /-/reload` reads the configuration again; SIGHUP always does.

    On by default: it takes no settings from whoever asks, only from the file and the environment
    of the exporter, and where these have not changed, nothing is interrupted.
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


class PlanDuration(Section):
    """A length of time for the launch plans that a pattern names."""

    match: PlanPattern
    """
    The launch plans, as PROJECT/DOMAIN/LAUNCH_PLAN; `*` and `?` stand for any characters.
    """
    limit: PositiveDuration
    """The length of time."""


PlanDurations = Annotated[
    tuple[PlanDuration, ...],
    LIST,
    Expected('a list such as [{match: "*/production/etl.*", limit: 2h}]'),
]


class SchedulesSettings(Section):
    """How the schedules of launch plans are watched."""

    grace: PositiveDuration = timedelta(minutes=2)
    """
    How long after a slot of its schedule a launch plan may still be seen to run in time.

    Flyte's scheduler is punctual to some milliseconds, but rows may appear late: the same time as
    `scrape.overlap` by default, and no less than 30 s is advised.
    """
    timezone: TimeZone = "UTC"
    """
    The time zone of Flyte's scheduler: that of cron lines without a `CRON_TZ=` of their own.

    UTC, as in Flyte's image. Its pods may have been given another by a variable `TZ` or a mounted
    `/etc/localtime`; `scheduler.workflowExecutor.local.useUTCTz: true` makes it UTC again.
    """


class Settings(Section):
    """The whole configuration."""

    admin: AdminSettings
    discovery: DiscoverySettings = DiscoverySettings()
    scrape: ScrapeSettings = ScrapeSettings()
    schedules: SchedulesSettings = SchedulesSettings()
    tasks: TasksSettings = TasksSettings()
    metrics: MetricsSettings = MetricsSettings()
    ledger: LedgerSettings = LedgerSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    freshness: PlanDurations = ()
    """
    How old the newest success of a launch plan may be; of entries that match, the first holds.

    An entry holds whether a schedule or a person runs the launch plan: also for one that was never
    active, as those that flytekit makes by default, once a success of it is known, and however long
    ago it last ran. Executions that another one launched do not count: what runs only as a child of
    others has no freshness, and where it is active, an entry would call it overdue for ever. Nor
    does an entry hold for one that this exporter has seen deactivated, until that is active again.
    One that was switched off before the exporter first ran cannot be told from one that was never
    active: leave either out by a narrower pattern, or by an earlier entry that matches it and has a
    long limit. Where no entry matches, an active launch plan with a schedule may miss one run:
    twice the longest time between two slots, and its expected duration.

    An entry that matches no launch plan is told of in the log, once all targets that it names were
    listed and polled: `event="pattern matches no launch plan"`.
    """
    expected_duration: PlanDurations = ()
    """
    How long an execution of a launch plan may usually take; of entries that match, the first holds.

    Where none does, it is the 95th percentile of the launch plan's last 64 successes. One that
    matches no launch plan is told of as one of `freshness` is.
    """
