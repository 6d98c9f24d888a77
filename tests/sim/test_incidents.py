"""Each incident does what it says, while it lasts."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.executions import Phase
from exporter.model.time import SECOND
from exporter.sim import mischief
from exporter.sim.execution import ExecutionKey
from exporter.sim.incidents import Agenda, Incident, Trouble, parse_incident
from exporter.sim.world import World
from tests.rows import after
from tests.sim.conftest import START

SPEED = 60


def world_with(*incidents: str) -> World:
    """Return a world at its start."""
    return World(
        seed=3,
        start=START,
        speed=SPEED,
        incidents=[*map(parse_incident, incidents)],
        history=timedelta(hours=2),
    )


def count(world: World, where: str, *parameters: Any) -> int:
    """Return how many executions are so."""
    (found,) = world.store.row(f"SELECT count(*) FROM executions WHERE {where}", parameters)  # noqa: S608 - text of the tests
    return int(found)


@given(
    st.sampled_from(Trouble),
    st.integers(0, 10**7).map(lambda ms: timedelta(milliseconds=ms)),
    st.integers(1, 10**7).map(lambda ms: timedelta(milliseconds=ms)),
)
def test_an_incident_is_read_as_it_is_printed(
    trouble: Trouble, start: timedelta, length: timedelta
) -> None:
    """Name, start and length come back."""
    incident = Incident(trouble, start, length)
    assert parse_incident(str(incident)) == incident


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stuck", 'expected an incident such as "failure-spike@2m\\+5m", got "stuck"'),
        ("stuck@2m", "expected an incident"),
        ("stuk@2m+5m", 'incident "stuk@2m\\+5m": "stuk" is not known. Did you mean "stuck"?'),
        ("zzz@2m+5m", "Known are failure-spike, stuck, scheduler-silence"),
        ("stuck@2 m+5m", 'expected a duration such as "30s" or "1h30m", got "2 m"'),
    ],
)
def test_a_wrong_incident_is_explained(text: str, problem: str) -> None:
    """The message says which part is wrong and what would be right."""
    with pytest.raises(ValueError, match=problem):
        parse_incident(text)


def test_an_incident_is_on_from_its_start_to_before_its_end() -> None:
    """Windows are half open and overlap freely."""
    incidents = [parse_incident("stuck@1s+2s"), parse_incident("stuck@2s+3s")]
    agenda = Agenda(incidents, start=START)
    seen = [agenda.is_on(Trouble.STUCK, after(second)) for second in range(7)]
    assert seen == [False, True, True, True, True, False, False]
    assert agenda.until(Trouble.STUCK, after(2)) == after(5)
    assert not agenda.is_on(Trouble.ADMIN_HANG, after(2))


def test_a_failure_spike_fails_most() -> None:
    """More than half of what ends in it has failed; before it, few had."""
    world = world_with("failure-spike@1m+2m")
    world.advance(after(60))
    before = world.truth()
    world.advance(after(180))
    during = world.truth() - before

    def share(truth: Any) -> float:
        failed = sum(number for key, number in truth.items() if key[-1] == "FAILED")
        return float(failed / sum(truth.values()))

    assert share(before) < 0.15
    assert share(during) > 0.5


def test_stuck_executions_do_not_move_until_it_is_over() -> None:
    """No event arrives while it lasts; afterwards all go on."""
    world = world_with("stuck@30s+1m")
    world.advance(after(30))
    before = world.truth()
    world.advance(after(89))
    ended = world.truth() - before
    assert not [key for key in ended if key[-1] == "SUCCEEDED"]
    assert count(world, "phase = 'UNDEFINED'") > 60
    world.advance(after(150))
    assert count(world, "phase = 'UNDEFINED'") < 10


def test_a_silent_scheduler_catches_up_in_a_burst() -> None:
    """Missed slots run when it is back, dated late."""
    world = world_with("scheduler-silence@30s+1m")
    world.advance(after(89))
    silent = "mode = 1 AND execution_created_at >= ? AND execution_created_at < ?"
    # A slot just before the silence is launched a few milliseconds into it.
    assert count(world, silent, after(30.1), after(90)) == 0
    world.advance(after(91))
    assert count(world, silent, after(90), after(90.1)) > 60


def test_late_rows_appear_later_than_they_say() -> None:
    """Rows with an id are those that clients find; the others come within 30 s, out of order."""
    world = world_with("late-rows@10s+1m")
    world.advance(after(60))
    assert count(world, "id IS NULL") > 10
    world.advance(after(101))
    assert count(world, "id IS NULL") == 0
    by_id = world.store.rows(
        "SELECT execution_created_at FROM executions WHERE execution_created_at > ? ORDER BY id",
        [after(10)],
    )
    assert by_id != sorted(by_id)


def test_archived_rows_are_hidden_as_soon_as_they_end() -> None:
    """Whoever does not name the state misses them."""
    world = world_with("archived-rows@0s+1m")
    world.advance(after(59))
    ended = "updated_at > ? AND phase IN ('SUCCEEDED', 'FAILED', 'ABORTED')"
    assert count(world, ended, START) > 50
    assert count(world, f"{ended} AND state = 0", START) == 0


def test_deleted_rows_were_over_for_a_while_and_count_still() -> None:
    """Old rows go, a few live ones too, and the truth remembers those that ended."""
    world = world_with("deleted-rows@10s+40s")
    undisturbed = world_with()
    for each in (world, undisturbed):
        each.advance(after(51))
    now = {row for (row,) in world.store.rows("SELECT execution_name FROM executions")}
    gone = [
        (phase, updated_at)
        for name, phase, updated_at in undisturbed.store.rows(
            "SELECT execution_name, phase, updated_at FROM executions"
        )
        if name not in now
    ]
    ended = [updated_at for phase, updated_at in gone if Phase[phase].is_terminal]
    assert len(ended) > 100
    assert sorted(ended)[-5] <= after(50) - 60 * SECOND
    assert 0 < sum((undisturbed.truth() - world.truth()).values()) <= 3


def test_a_skewed_clock_starts_executions_before_they_exist() -> None:
    """Propeller's events are dated before Admin's creation."""
    world = world_with("clock-skew@10s+1m")
    world.advance(after(65))
    skewed = "started_at < execution_created_at AND execution_created_at > ?"
    assert count(world, skewed, after(11)) > 20
    assert count(world, "started_at < execution_created_at AND started_at < ?", after(4)) == 0


def test_one_row_is_from_tomorrow() -> None:
    """It is listed, runs and ends like any other."""
    world = world_with("future-row@10s+1s")
    world.advance(after(120))
    tomorrow = "execution_created_at > ?"
    assert count(world, tomorrow, after(80_000)) == 1
    assert count(world, f"{tomorrow} AND id IS NOT NULL AND phase = 'SUCCEEDED'", after(80_000))


def test_a_page_shifts_only_what_clients_had_time_to_see() -> None:
    """One settled row is deleted and one archived, and new ones come; fresh ones are left."""
    world = world_with()
    old = [
        row[0]
        for row in world.store.rows(
            "SELECT listed FROM executions WHERE execution_project = 'etl'"
            " AND phase = 'SUCCEEDED' AND updated_at < ? LIMIT 5",
            [START - 60 * SECOND],
        )
    ]
    before = count(world, "TRUE")
    mischief.shift_page(world, old)
    assert count(world, "state = 1") == 1
    assert count(world, "TRUE") == before - 1 + 2
    key = ExecutionKey("etl", "production", "fresh")
    world.executions.launch(key, launch_plan="x", created_at=START)
    world.executions.move(key, Phase.SUCCEEDED, at=START)
    mischief.shift_page(world, [world.executions.get(key).listed()])
    assert world.executions.find(key) is not None
