"""What each event adds, and to which series."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.metrics.measure import Increments, introduce, measure
from exporter.model.events import Events, SteppedBack, Vanished
from exporter.model.executions import FAILURES, TERMINAL, Execution, Mode, Phase
from exporter.model.failures import ErrorKind, Failure
from exporter.model.launch_plans import ActivePlan
from exporter.model.schedules import Cron
from tests.rows import NOON, TARGET, after, execution

_OF_TARGET = {
    (catalog.EXECUTIONS_STARTED, TARGET),
    (catalog.EXECUTION_QUEUE_DURATION, TARGET),
}
_NIGHTLY = (*TARGET, "nightly")
_OF_PLAN = {
    (catalog.EXECUTIONS_LAUNCHED, (*_NIGHTLY, "SCHEDULED")),
    (catalog.EXECUTIONS_FINISHED, (*_NIGHTLY, "SCHEDULED", "SUCCEEDED")),
    (catalog.EXECUTIONS_FINISHED, (*_NIGHTLY, "SCHEDULED", "FAILED")),
    (catalog.EXECUTION_ERRORS, (*_NIGHTLY, "SCHEDULED", "USER")),
    (catalog.EXECUTION_ERRORS, (*_NIGHTLY, "SCHEDULED", "SYSTEM")),
    (catalog.EXECUTION_DURATION, _NIGHTLY),
}
_executions = st.builds(
    execution,
    st.text(st.characters(exclude_characters='"'), max_size=3),
    st.sampled_from(Phase),
    started=st.none() | st.integers(-5, 5),
    lasted=st.none() | st.integers(1, 5),
    launch_plan=st.sampled_from(["nightly", "adhoc", ".flytegen.train"]),
    mode=st.sampled_from(Mode),
    cluster=st.sampled_from(["", "eu-west-1-a", "eu-west-1-b"]),
    failure=st.none() | st.builds(Failure, st.sampled_from(ErrorKind), st.sampled_from("ab")),
)
_lists = st.lists(_executions, max_size=5)
_started = st.lists(_executions.filter(lambda row: row.started_at is not None), max_size=5)
_events = st.builds(Events, primed=_lists, launched=_lists, started=_started, finished=_lists)


def counted(increments: Increments, family: Family) -> dict[tuple[str, ...], int]:
    """Return what *family* gains, by label values."""
    return {labels: n for (other, labels), n in increments.counts.items() if other is family}


def test_nothing_happened() -> None:
    """A target has its own series from the first poll on, and nothing is counted."""
    assert measure(TARGET, Events()) == Increments(births=dict.fromkeys(_OF_TARGET))


def test_a_launch_counts_and_gives_birth() -> None:
    """The counters of success and failure and the histogram exist before they are needed."""
    increments = measure(TARGET, Events(launched=[execution()]))
    assert set(increments.births) == _OF_TARGET | _OF_PLAN
    assert increments.counts == {
        (catalog.EXECUTIONS_LAUNCHED, (*_NIGHTLY, "SCHEDULED")): 1,
    }
    assert increments.launch_plans == {"nightly"}


@pytest.mark.parametrize(
    ("schedule", "at_once", "mode"),
    [
        (None, None, "MANUAL"),
        (Cron("@daily"), None, "SCHEDULED"),
        (Cron("@daily"), 1, "SCHEDULED"),
        (Cron("@daily"), 0, "MANUAL"),
    ],
)
def test_an_active_launch_plan_has_the_series_of_its_first_run(
    schedule: Cron | None, at_once: int | None, mode: str
) -> None:
    """In the mode that is near certain; nothing is counted."""
    increments = introduce(TARGET, [ActivePlan("nightly", "v1", "wf", schedule, at_once)])
    assert set(increments.births) == {
        (family, tuple(mode if label == "SCHEDULED" else label for label in labels))
        for family, labels in _OF_PLAN
    }
    assert (increments.counts, increments.observations) == ({}, {})
    assert increments.launch_plans == {"nightly"}


def test_priming_gives_birth_and_counts_nothing() -> None:
    """What was there before us has its launch plan known, at 0."""
    rows = [execution("a", Phase.SUCCEEDED, started=1, lasted=9), execution("b")]
    increments = measure(TARGET, Events(primed=rows))
    assert set(increments.births) == _OF_TARGET | _OF_PLAN
    assert (increments.counts, increments.observations) == ({}, {})
    assert increments.launch_plans == {"nightly"}


def test_a_start_counts_for_the_target() -> None:
    """With the time from creation to start as an observation, in seconds."""
    increments = measure(TARGET, Events(started=[execution(created=1, started=3.5)]))
    assert increments.counts == {(catalog.EXECUTIONS_STARTED, TARGET): 1}
    assert increments.observations == {(catalog.EXECUTION_QUEUE_DURATION, TARGET): [2.5]}


def test_a_start_before_the_creation_queued_for_nothing() -> None:
    """Propeller's clock may be behind Admin's; a histogram knows no negative time."""
    increments = measure(TARGET, Events(started=[execution(created=5, started=3)]))
    assert increments.observations == {(catalog.EXECUTION_QUEUE_DURATION, TARGET): [0.0]}


@pytest.mark.parametrize("phase", sorted(TERMINAL))
def test_each_end_counts_as_what_it_is(phase: Phase) -> None:
    """By launch plan, mode and phase, in Flyte's own words."""
    increments = measure(TARGET, Events(finished=[execution(phase=phase)]))
    assert counted(increments, catalog.EXECUTIONS_FINISHED) == {
        (*_NIGHTLY, "SCHEDULED", phase.name): 1
    }
    assert increments.launch_plans == {"nightly"}


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.TIMED_OUT])
@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        pytest.param(Failure(ErrorKind.USER, "OOMKilled"), "USER", "OOMKilled", id="user"),
        pytest.param(Failure(ErrorKind.SYSTEM, "Internal"), "SYSTEM", "Internal", id="system"),
        pytest.param(Failure(ErrorKind.UNRECOGNIZED, "x"), "UNRECOGNIZED", "x", id="tomorrow"),
        pytest.param(None, "UNKNOWN", "none", id="no-error-at-all"),
    ],
)
def test_each_failure_counts_by_kind_and_by_code(
    phase: Phase, failure: Failure | None, kind: str, code: str
) -> None:
    """Once each, so that both add up to the executions that failed."""
    increments = measure(TARGET, Events(finished=[execution(phase=phase, failure=failure)]))
    assert counted(increments, catalog.EXECUTION_ERRORS) == {(*_NIGHTLY, "SCHEDULED", kind): 1}
    assert counted(increments, catalog.EXECUTION_ERROR_CODES) == {(*TARGET, kind, code): 1}


@pytest.mark.parametrize("phase", sorted(TERMINAL - FAILURES))
def test_whoever_did_not_fail_has_no_error(phase: Phase) -> None:
    """An abort is somebody's wish, whatever went wrong before."""
    row = execution(phase=phase, failure=Failure(ErrorKind.USER, "x"))
    increments = measure(TARGET, Events(finished=[row]))
    assert counted(increments, catalog.EXECUTION_ERRORS) == {}
    assert counted(increments, catalog.EXECUTION_ERROR_CODES) == {}


def test_a_named_cluster_counts_what_ended_on_it() -> None:
    """Its counters of success and failure are born together; who has no cluster has no counter."""
    rows = [execution("a", Phase.SUCCEEDED, cluster="eu"), execution("b", Phase.SUCCEEDED)]
    increments = measure(TARGET, Events(finished=rows))
    assert counted(increments, catalog.CLUSTER_EXECUTIONS_FINISHED) == {("eu", "SUCCEEDED"): 1}
    assert {key[1] for key in increments.births if key not in _OF_TARGET} == {
        ("eu", "SUCCEEDED"),
        ("eu", "FAILED"),
    }


@given(_lists)
def test_exemplars_are_the_last_to_end_and_the_longest(rows: list[Execution]) -> None:
    """Each is of an execution that counts there; and whatever gains has one."""
    increments = measure(TARGET, Events(finished=rows))
    for (family, labels), found in increments.exemplars.items():
        assert family.exemplars
        if family is catalog.EXECUTION_DURATION:
            values = increments.observations[family, labels]
            named = {exemplar.value for exemplar in found}
            assert max(values) in named
            assert named <= set(values)
        elif family is catalog.EXECUTIONS_FINISHED:
            alike = [
                row.updated_at
                for row in rows
                if (*TARGET, row.launch_plan, row.mode.name, row.phase.name) == labels
            ]
            assert max(exemplar.at for exemplar in found) == max(alike)
            assert {exemplar.value for exemplar in found} == {1}
    gained = {*increments.counts, *increments.observations}
    assert increments.exemplars.keys() == {key for key in gained if key[0].exemplars}


@pytest.mark.parametrize(
    ("phase", "lasted", "observed"),
    [
        pytest.param(Phase.SUCCEEDED, 90.5, [90.5], id="success"),
        pytest.param(Phase.SUCCEEDED, 1e-6, [1e-6], id="shortest"),
        pytest.param(Phase.SUCCEEDED, None, None, id="unknown"),
        pytest.param(Phase.FAILED, 90.5, None, id="failure"),
        pytest.param(Phase.ABORTED, 90.5, None, id="aborted"),
        pytest.param(Phase.TIMED_OUT, 90.5, None, id="timed-out"),
    ],
)
def test_only_successes_that_took_time_have_a_duration(
    phase: Phase, lasted: float | None, observed: list[float] | None
) -> None:
    """Unknown is not 0 s, and how long a failure took says nothing of the launch plan."""
    increments = measure(TARGET, Events(finished=[execution(phase=phase, lasted=lasted)]))
    assert increments.observations.get((catalog.EXECUTION_DURATION, _NIGHTLY)) == observed


def test_what_cannot_be_known_is_not_counted() -> None:
    """Neither what vanished nor what stepped back adds to any series."""
    row = execution()
    events = Events(
        vanished=[Vanished(row.id, "nightly")], stepped_back=[SteppedBack(row, Phase.FAILED)]
    )
    assert measure(TARGET, events) == measure(TARGET, Events())


def test_an_unknown_mode_is_a_mode() -> None:
    """What a newer Flyte sends is counted under its own word."""
    increments = measure(TARGET, Events(launched=[execution(mode=Mode.UNRECOGNIZED)]))
    assert increments.counts == {
        (catalog.EXECUTIONS_LAUNCHED, (*_NIGHTLY, "UNRECOGNIZED")): 1,
    }


@given(_events)
def test_each_event_counts_once(events: Events) -> None:
    """Over all series a family gains as many as happened, none negative."""
    increments = measure(TARGET, events)
    gained = {
        family: sum(n for key, n in increments.counts.items() if key[0] is family)
        for family in (
            catalog.EXECUTIONS_LAUNCHED,
            catalog.EXECUTIONS_STARTED,
            catalog.EXECUTIONS_FINISHED,
            catalog.EXECUTION_ERRORS,
            catalog.EXECUTION_ERROR_CODES,
            catalog.CLUSTER_EXECUTIONS_FINISHED,
        )
    }
    failures = sum(row.phase in FAILURES for row in events.finished)
    assert list(gained.values()) == [
        len(events.launched),
        len(events.started),
        len(events.finished),
        failures,
        failures,
        sum(bool(row.cluster) for row in events.finished),
    ]
    assert all(n > 0 for n in increments.counts.values())
    assert all(n >= 0 for values in increments.observations.values() for n in values)


@given(_events)
def test_each_series_has_the_labels_of_its_family(events: Events) -> None:
    """One value for each label, the target first."""
    increments = measure(TARGET, events)
    for family, labels in [*increments.births, *increments.counts, *increments.observations]:
        assert len(labels) == len(family.labels)
        assert labels[:2] == TARGET or family is catalog.CLUSTER_EXECUTIONS_FINISHED


@given(_lists, _lists)
def test_batches_add_up(one: list[Execution], other: list[Execution]) -> None:
    """Measured together or apart, the same is counted."""
    apart = [measure(TARGET, Events(launched=rows, finished=rows)) for rows in (one, other)]
    both = measure(TARGET, Events(launched=one + other, finished=one + other))
    assert both.counts == {
        key: sum(part.counts.get(key, 0) for part in apart) for key in both.counts
    }
    assert {key: Counter(values) for key, values in both.observations.items()} == {
        key: Counter(n for part in apart for n in part.observations.get(key, []))
        for key in both.observations
    }


def test_a_launch_that_is_long_over_counts_like_any() -> None:
    """Dates are not looked at: a row dated oddly was launched all the same."""
    odd = execution(created=-(10**8), started=-(10**8) - 5, updated=10**8)
    assert odd.id.created_at < NOON < after(10**8)
    increments = measure(TARGET, Events(launched=[odd], started=[odd]))
    assert sum(increments.counts.values()) == 2
