"""The process tells about itself in both formats, and from the first scrape on."""

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from structlog.testing import capture_logs

from exporter.metrics import catalog
from exporter.metrics.budget import Budget
from exporter.metrics.catalog import FAMILIES, Family, Source
from exporter.metrics.formats import Format
from exporter.metrics.process import Process
from exporter.metrics.text import END_OF_OPENMETRICS
from tests.rows import NOON, after

_METHODS = ("GetVersion", "ListExecutions")
_CODES = ("OK", "UNAVAILABLE", "PERMISSION_DENIED", "DEADLINE_EXCEEDED")
_DIVERTIBLE = (Source.LEDGER, Source.LIVE, Source.PLAN, Source.SCHEDULE, Source.INVENTORY)


@pytest.fixture
def process() -> Process:
    """Return the instruments as the application sets them up."""
    one = Process(methods=_METHODS, codes=_CODES)
    one.born(
        outcomes=("success", "timeout"),
        steps=("new", "live"),
        reasons=("late",),
        retries=("UNAVAILABLE",),
        token_outcomes=("success", "failure"),
    )
    return one


def parsed(process: Process, media: Format) -> dict[str, Metric]:
    """Return every family that is shown, by its stem."""
    document = process.render(media)
    if media is Format.OPENMETRICS:
        found = parse_openmetrics((document + END_OF_OPENMETRICS).decode())  # type: ignore[no-untyped-call]
    else:
        found = parse_text(document.decode())
    return {family.name: family for family in found}


def values(process: Process, family: Family) -> dict[tuple[str, ...], float]:
    """Return the samples of one family, by their label values."""
    found = parsed(process, Format.OPENMETRICS)[family.stem]
    return {
        tuple(sample.labels[name] for name in family.labels): sample.value
        for sample in found.samples
        if sample.name == family.name
    }


@pytest.mark.parametrize("media", Format)
def test_both_formats_parse(process: Process, media: Format) -> None:
    """Each family of the process is there with its type and help, and no `_created` sample."""
    process.committed(at=NOON, seconds=0.001)
    process.watch(budget=Budget(100), ledger_size=lambda: 7)
    found = parsed(process, media)
    for family in FAMILIES:
        if family.source is Source.PROCESS:
            assert found[family.stem].type == family.kind.value
            assert found[family.stem].documentation == family.help
    assert b"_created" not in process.render(media)


@pytest.mark.parametrize(
    ("family", "labels"),
    [
        (catalog.ADMIN_RPCS, {(method, code) for method in _METHODS for code in _CODES}),
        (catalog.POLLS, {("success",), ("timeout",)}),
        (catalog.POLL_ROWS, {("new",), ("live",)}),
        (catalog.RECONCILE_CORRECTIONS, {("late",)}),
        (catalog.ADMIN_RPC_RETRIES, {("UNAVAILABLE",)}),
        (catalog.ADMIN_RATE_LIMIT_WAIT, {()}),
        (catalog.ADMIN_TOKEN_REFRESHES, {("success",), ("failure",)}),
        (catalog.ADMIN_BREAKER_OPEN, {()}),
        (
            catalog.SERIES_OVERFLOW,
            {(family.name,) for family in FAMILIES if family.source in _DIVERTIBLE},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Family) else "",
)
def test_what_will_be_counted_is_born_at_zero(
    process: Process, family: Family, labels: set[tuple[str, ...]]
) -> None:
    """Prometheus never sees the increment that a series appears with."""
    assert values(process, family) == dict.fromkeys(labels, 0.0)


def test_a_duration_is_born_for_each_method(process: Process) -> None:
    """The histogram of calls has every method from the start, at 0."""
    (found,) = [parsed(process, Format.TEXT)[catalog.ADMIN_RPC_DURATION.name]]
    counts = {
        sample.labels["method"]: sample.value
        for sample in found.samples
        if sample.name.endswith("_count")
    }
    assert counts == dict.fromkeys(_METHODS, 0.0)


@pytest.mark.parametrize(
    ("code", "up"),
    [("OK", 1), ("PERMISSION_DENIED", 1), ("UNAVAILABLE", 0), ("DEADLINE_EXCEEDED", 0)],
)
def test_admin_is_up_when_it_answers(process: Process, code: str, up: int) -> None:
    """A refusal is an answer; silence is not. The newest call decides."""
    for earlier in ("OK", "UNAVAILABLE"):
        process.attempt_finished(code=earlier, seconds=0)
        process.attempt_finished(code=code, seconds=0)
        assert values(process, catalog.ADMIN_UP) == {(): up}


def test_a_call_that_hung_for_long_is_no_news(process: Process) -> None:
    """One that was begun before the newest answer, and failed after it, does not mean down."""
    process.attempt_finished(code="OK", seconds=0.1)
    process.attempt_finished(code="DEADLINE_EXCEEDED", seconds=15)
    assert values(process, catalog.ADMIN_UP) == {(): 1}


def test_each_call_is_counted_and_timed(process: Process) -> None:
    """Once, under its method and its code."""
    process.call_finished(method="GetVersion", code="UNAVAILABLE", seconds=0.3)
    assert values(process, catalog.ADMIN_RPCS)["GetVersion", "UNAVAILABLE"] == 1
    assert sum(values(process, catalog.ADMIN_RPCS).values()) == 1
    found = parsed(process, Format.TEXT)[catalog.ADMIN_RPC_DURATION.name]
    sums = {s.labels["method"]: s.value for s in found.samples if s.name.endswith("_sum")}
    assert sums == {"GetVersion": 0.3, "ListExecutions": 0}


def test_the_last_commit_is_absent_until_there_was_one(process: Process) -> None:
    """0 would be a date in 1970."""
    assert values(process, catalog.LEDGER_LAST_COMMIT) == {}
    for at in (NOON, after(1)):
        process.committed(at=at, seconds=0.1)
        assert values(process, catalog.LEDGER_LAST_COMMIT) == {(): at / 1e6}


def test_a_newer_admin_takes_the_place_of_the_older(process: Process) -> None:
    """There is one Admin, so one version of it."""
    process.admin_is(version="v1.15.0", build="a")
    process.admin_is(version="v1.16.8", build="b")
    assert values(process, catalog.ADMIN_INFO) == {("v1.16.8", "b"): 1}


def test_what_is_watched_is_as_of_the_scrape(process: Process) -> None:
    """Sizes are asked for when somebody looks, and not remembered."""
    budget, size = Budget(100), [7]
    process.watch(budget=budget, ledger_size=lambda: size[0])
    budget.take(catalog.EXECUTIONS_LAUNCHED, 3)
    size[0] = 8
    assert values(process, catalog.SERIES)[(catalog.EXECUTIONS_LAUNCHED.name,)] == 3
    assert values(process, catalog.SERIES_LIMIT) == {(): 100}
    assert values(process, catalog.LEDGER_SIZE) == {(): 8}


def test_what_polls_tell_is_counted(process: Process) -> None:
    """Each under its own label value."""
    process.poll_finished(outcome="timeout")
    process.rows_read(step="live", rows=5)
    process.corrected(reason="late", executions=2)
    process.diverted(family=catalog.EXECUTIONS_LAUNCHED, increments=4)
    assert values(process, catalog.POLLS)[("timeout",)] == 1
    assert values(process, catalog.POLL_ROWS)[("live",)] == 5
    assert values(process, catalog.RECONCILE_CORRECTIONS)[("late",)] == 2
    assert values(process, catalog.SERIES_OVERFLOW)[(catalog.EXECUTIONS_LAUNCHED.name,)] == 4


def test_a_limit_that_is_reached_is_told_once(process: Process) -> None:
    """For each family, with the setting that says it."""
    launched, duration = catalog.EXECUTIONS_LAUNCHED, catalog.EXECUTION_DURATION
    budget = Budget(100, {duration: 17})
    budget.take(duration, 17)
    process.watch(budget=budget, ledger_size=lambda: 0)
    with capture_logs() as logs:
        for family in (launched, duration, launched, duration):
            process.diverted(family=family, increments=1)
    told = [(line["family"], line["setting"], line["limit"]) for line in logs]
    assert told == [
        (launched.name, "metrics.series_limit", 100),
        (duration.name, f"metrics.families.{duration.name}.series_limit", 17),
    ]
    assert all(line["log_level"] == "warning" for line in logs)


@pytest.mark.parametrize(
    ("family", "effect"),
    [
        (catalog.EXECUTIONS_LAUNCHED, "counted as __overflow__"),
        (catalog.TASK_DURATION, "counted as __overflow__"),
        (catalog.EXECUTIONS_ACTIVE, "left out"),
        (catalog.PROJECT_INFO, "left out"),
    ],
    ids=lambda value: value.name if isinstance(value, Family) else "",
)
def test_what_becomes_of_what_has_no_room_is_told(
    process: Process, family: Family, effect: str
) -> None:
    """Counts go elsewhere, whoever they belong to; gauges go nowhere."""
    process.watch(budget=Budget(100), ledger_size=lambda: 0)
    with capture_logs() as logs:
        process.diverted(family=family, increments=1)
    assert [line["event"] for line in logs] == [f"series limit reached, what is new is {effect}"]


def test_what_calls_tell_is_shown(process: Process) -> None:
    """Retries, waits, the breaker and the token, each in its own family."""
    process.retried(reason="UNAVAILABLE")
    process.waited_for_rate(0.25)
    process.breaker_is(open=True)
    process.token_refreshed(outcome="failure")
    process.token_expires(NOON)
    assert values(process, catalog.ADMIN_RPC_RETRIES)[("UNAVAILABLE",)] == 1
    assert values(process, catalog.ADMIN_RATE_LIMIT_WAIT) == {(): 0.25}
    assert values(process, catalog.ADMIN_BREAKER_OPEN) == {(): 1}
    assert values(process, catalog.ADMIN_TOKEN_REFRESHES)[("failure",)] == 1
    assert values(process, catalog.ADMIN_TOKEN_EXPIRY) == {(): NOON / 1e6}
    process.token_expires(None)
    assert values(process, catalog.ADMIN_TOKEN_EXPIRY) == {}


def test_two_processes_do_not_share_instruments() -> None:
    """A test, or a second application in one interpreter, begins at zero."""
    for _ in range(2):
        process = Process(methods=_METHODS, codes=_CODES)
        process.call_finished(method="GetVersion", code="OK", seconds=0.1)
        assert values(process, catalog.ADMIN_RPCS)["GetVersion", "OK"] == 1


def test_a_call_of_a_kept_trace_leads_to_it(process: Process) -> None:
    """OpenMetrics shows its id at the bucket; the older format cannot, and does not."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    process.call_finished(method="GetVersion", code="OK", seconds=0.03, trace_id=trace_id)
    process.call_finished(method="ListExecutions", code="OK", seconds=0.03)
    found = parsed(process, Format.OPENMETRICS)[catalog.ADMIN_RPC_DURATION.name]
    ((sample, exemplar),) = [(s, s.exemplar) for s in found.samples if s.exemplar is not None]
    assert sample.labels == {"method": "GetVersion", "le": "0.05"}
    assert (exemplar.labels, exemplar.value) == ({"trace_id": trace_id}, 0.03)
    assert exemplar.timestamp is not None
    assert trace_id.encode() not in process.render(Format.TEXT)
    assert catalog.ADMIN_RPC_DURATION.name in parsed(process, Format.TEXT)


def test_spans_are_counted_by_what_became_of_them(process: Process) -> None:
    """Each outcome from 0 on, whether or not anything is traced."""
    assert values(process, catalog.SPANS) == {("exported",): 0, ("dropped",): 0, ("failed",): 0}
    process.spans_left(outcome="dropped", spans=3)
    assert values(process, catalog.SPANS)[("dropped",)] == 3


def test_how_the_last_reload_went(process: Process) -> None:
    """A refusal is shown, and leaves the time of the last success as it was."""
    process.config_loaded(at=NOON)
    for successful in (1, 0):
        assert values(process, catalog.CONFIG_RELOAD_SUCCESSFUL) == {(): successful}
        assert values(process, catalog.CONFIG_RELOAD_SUCCESS) == {(): NOON / 1_000_000}
        process.config_refused()
    process.config_loaded(at=after(60))
    assert values(process, catalog.CONFIG_RELOAD_SUCCESSFUL) == {(): 1}
    assert values(process, catalog.CONFIG_RELOAD_SUCCESS) == {(): NOON / 1_000_000 + 60}


def test_a_client_that_is_gone_leaves_no_state(process: Process) -> None:
    """Its open breaker and its token say nothing about the one that follows it."""
    process.breaker_is(open=True)
    process.token_expires(NOON)
    process.client_replaced()
    assert values(process, catalog.ADMIN_BREAKER_OPEN) == {(): 0}
    assert values(process, catalog.ADMIN_TOKEN_EXPIRY) == {}


def test_the_limit_that_is_shown_is_the_one_in_effect(process: Process) -> None:
    """Also once it was changed."""
    budget = Budget(1000)
    process.watch(budget=budget, ledger_size=lambda: 0)
    budget.limit = 2000
    assert values(process, catalog.SERIES_LIMIT) == {(): 2000}
