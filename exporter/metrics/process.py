"""What is told about this process itself: ordinary instruments, declared in the catalog."""

import platform
import time
from collections.abc import Callable, Iterator
from functools import partial

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

import exporter
from exporter.metrics import catalog, text
from exporter.metrics.budget import OVERFLOW, Budget
from exporter.metrics.catalog import Family, Kind
from exporter.metrics.formats import Format
from exporter.model.time import Micros
from exporter.model.time import seconds as to_seconds
from exporter.telemetry.log import get_logger
from exporter.telemetry.outcomes import SPAN_OUTCOMES

log = get_logger(__name__)

_COUNTED_ELSEWHERE = f"series limit reached, what is new is counted as {OVERFLOW}"
_LEFT_OUT = "series limit reached, what is new is left out"

_UNREACHED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Codes that do not show whether Admin is there: most often it is not."""


class Process:
    """
    The instruments of this process; it is the observer that the layers below are given.

    Args:
        methods: RPCs that we use, and
        codes: the statuses they may end with: both are shown at 0 from the start.
    """

    def __init__(self, *, methods: tuple[str, ...], codes: tuple[str, ...]) -> None:
        # Created-timestamps would come out as series of their own in Prometheus before 3.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry(auto_describe=True)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._admin_up = self._gauge(catalog.ADMIN_UP)
        self._admin_info = self._gauge(catalog.ADMIN_INFO)
        self._rpcs = self._counter(catalog.ADMIN_RPCS)
        self._rpc_duration = self._histogram(catalog.ADMIN_RPC_DURATION)
        self._retries = self._counter(catalog.ADMIN_RPC_RETRIES)
        self._rate_limit_wait = self._counter(catalog.ADMIN_RATE_LIMIT_WAIT)
        self._token_refreshes = self._counter(catalog.ADMIN_TOKEN_REFRESHES)
        self._token_expiry = self._instant(catalog.ADMIN_TOKEN_EXPIRY)
        self._breaker_open = self._gauge(catalog.ADMIN_BREAKER_OPEN)
        self._polls = self._counter(catalog.POLLS)
        self._rows = self._counter(catalog.POLL_ROWS)
        self._corrections = self._counter(catalog.RECONCILE_CORRECTIONS)
        self._task_backlog = self._gauge(catalog.TASK_BACKLOG)
        self._task_dropped = self._counter(catalog.TASK_BACKLOG_DROPPED)
        self._task_executions = self._counter(catalog.TASK_EXECUTIONS)
        self._series = self._gauge(catalog.SERIES)
        self._series_limit = self._gauge(catalog.SERIES_LIMIT)
        self._overflow = self._counter(catalog.SERIES_OVERFLOW)
        self._ledger_size = self._gauge(catalog.LEDGER_SIZE)
        self._reload_successful = self._gauge(catalog.CONFIG_RELOAD_SUCCESSFUL)
        self._reload_success = self._instant(catalog.CONFIG_RELOAD_SUCCESS)
        self._last_commit = self._instant(catalog.LEDGER_LAST_COMMIT)
        self._commit_duration = self._histogram(catalog.LEDGER_COMMIT_DURATION)
        self._render_duration = self._histogram(catalog.RENDER_DURATION)
        self._spans = self._counter(catalog.SPANS)
        self._gauge(catalog.BUILD_INFO).labels(exporter.__version__, platform.python_version()).set(
            1
        )
        for method in methods:
            self._rpc_duration.labels(method)
            for code in codes:
                self._rpcs.labels(method, code)
        for outcome in SPAN_OUTCOMES:
            self._spans.labels(outcome)
        self._reached_at = float("-inf")
        self._budget: Budget | None = None
        self._overflowing: set[Family] = set()

    def born(
        self,
        *,
        outcomes: tuple[str, ...],
        steps: tuple[str, ...],
        reasons: tuple[str, ...],
        retries: tuple[str, ...] = (),
        token_outcomes: tuple[str, ...] = (),
        task_outcomes: tuple[str, ...] = (),
    ) -> None:
        """Show at 0 what polls and calls count."""
        for counter, values in (
            (self._retries, retries),
            (self._token_refreshes, token_outcomes),
            (self._polls, outcomes),
            (self._rows, steps),
            (self._corrections, reasons),
            (self._task_executions, task_outcomes),
            (self._overflow, _DIVERTIBLE),
        ):
            for value in values:
                counter.labels(value)

    def watch(self, *, budget: Budget, ledger_size: Callable[[], int]) -> None:
        """Show these whenever somebody looks."""
        self._budget = budget
        self._series_limit.set_function(lambda: budget.limit)
        self._ledger_size.set_function(ledger_size)
        for family in catalog.FAMILIES:
            if family.source is not catalog.Source.PROCESS:
                self._series.labels(family.name).set_function(partial(budget.used_by, family))

    def render(self, media: Format) -> bytes:
        """Return the text of every instrument."""
        if media is Format.OPENMETRICS:
            document: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return document.removesuffix(text.END_OF_OPENMETRICS)
        return prometheus_client.generate_latest(self._registry)

    def config_loaded(self, *, at: Micros) -> None:
        """Show that the configuration was read *at* this moment, and is in effect."""
        self._reload_successful.set(1)
        self._reload_success.set(at)

    def config_refused(self) -> None:
        """Show that the configuration from before goes on, because another one was refused."""
        self._reload_successful.set(0)

    def client_replaced(self) -> None:
        """Forget what was shown of the state of a client of Admin that is gone."""
        self._breaker_open.set(0)
        self._token_expiry.set(None)

    def call_finished(
        self, *, method: str, code: str, seconds: float, trace_id: str | None = None
    ) -> None:
        """Count one call to Admin; *trace_id* is that of a trace that somebody can look at."""
        self._rpcs.labels(method, code).inc()
        exemplar = None if trace_id is None else {"trace_id": trace_id}
        self._rpc_duration.labels(method).observe(seconds, exemplar)

    def attempt_finished(self, *, code: str, seconds: float) -> None:
        """Take note of whether Admin is there."""
        ended_at = time.monotonic()
        if code == "CANCELLED":
            return  # by ourselves
        if code not in _UNREACHED:
            self._reached_at = ended_at
            self._admin_up.set(1)
        elif ended_at - seconds >= self._reached_at:
            # A call that hung since before the newest answer says nothing about now.
            self._admin_up.set(0)

    def retried(self, *, reason: str) -> None:
        """Count one attempt that follows another."""
        self._retries.labels(reason).inc()

    def waited_for_rate(self, seconds: float) -> None:
        """Add one wait for the rate limit."""
        self._rate_limit_wait.inc(seconds)

    def breaker_is(self, *, open: bool) -> None:  # noqa: A002  # that is the word for it
        """Show the state of the circuit breaker."""
        self._breaker_open.set(open)

    def token_refreshed(self, *, outcome: str) -> None:
        """Count one request for an access token."""
        self._token_refreshes.labels(outcome).inc()

    def token_expires(self, at: Micros | None) -> None:
        """Show when the access token expires, or that nobody knows."""
        self._token_expiry.set(at)

    def admin_is(self, *, version: str, build: str) -> None:
        """Show which Flyte Admin this is."""
        self._admin_info.clear()
        self._admin_info.labels(version, build).set(1)

    def committed(self, *, at: Micros, seconds: float) -> None:
        """Count one durable transaction."""
        self._last_commit.set(at)
        self._commit_duration.observe(seconds)

    def diverted(self, *, family: Family, increments: int) -> None:
        """Count what did not fit a series limit, and say so when it happens first."""
        self._overflow.labels(family.name).inc(increments)
        if self._budget is not None and family not in self._overflowing:
            self._overflowing.add(family)
            setting, limit = self._budget.limit_of(family)
            log.warning(
                _LEFT_OUT if family.kind is Kind.GAUGE else _COUNTED_ELSEWHERE,
                family=family.name,
                setting=setting,
                limit=limit,
                see="docs/cardinality.md",
            )

    def rendered(self, *, seconds: float) -> None:
        """Take note of how long rendering took."""
        self._render_duration.observe(seconds)

    def poll_finished(self, *, outcome: str) -> None:
        """Count one poll."""
        self._polls.labels(outcome).inc()

    def rows_read(self, *, step: str, rows: int) -> None:
        """Count executions that Admin sent."""
        self._rows.labels(step).inc(rows)

    def corrected(self, *, reason: str, executions: int) -> None:
        """Count what a reconcile put right."""
        self._corrections.labels(reason).inc(executions)

    def tasks_wait(self, executions: int) -> None:
        """Show how many finished executions wait for their tasks to be counted."""
        self._task_backlog.set(executions)

    def tasks_dropped(self, executions: int) -> None:
        """Count finished executions whose tasks nobody will count."""
        self._task_dropped.inc(executions)

    def tasks_looked_at(self, *, outcome: str) -> None:
        """Count one finished execution that was looked at for its tasks."""
        self._task_executions.labels(outcome).inc()

    def spans_left(self, *, outcome: str, spans: int) -> None:
        """Count spans that have ended."""
        self._spans.labels(outcome).inc(spans)

    def _counter(self, family: Family) -> Counter:
        return Counter(
            family.stem, family.help, family.labels, unit=family.unit, registry=self._registry
        )

    def _gauge(self, family: Family) -> Gauge:
        return Gauge(
            family.name, family.help, family.labels, unit=family.unit, registry=self._registry
        )

    def _instant(self, family: Family) -> "_Instant":
        instant = _Instant(family)
        self._registry.register(instant)
        return instant

    def _histogram(self, family: Family) -> Histogram:
        return Histogram(
            family.name,
            family.help,
            family.labels,
            unit=family.unit,
            registry=self._registry,
            buckets=family.buckets,
        )


class _Instant(Collector):
    """A point in time that may be unknown: then there is no sample, because 0 is a date in 1970."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._at: Micros | None = None

    def set(self, at: Micros | None) -> None:
        """Show *at*, or nothing."""
        self._at = at

    def collect(self) -> Iterator[Metric]:
        """Yield the family, with its sample if there is one."""
        found = GaugeMetricFamily(self._family.name, self._family.help, unit=self._family.unit)
        if self._at is not None:
            found.add_metric((), to_seconds(self._at))
        yield found


_DIVERTIBLE = tuple(
    family.name for family in catalog.FAMILIES if family.source in catalog.DIVERTIBLE
)
"""The names of the families that a series limit can divert."""
