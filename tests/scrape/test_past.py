"""Questions about the past are asked beside the polls: they hold up none, and come to an end."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from exporter.model.targets import Target
from tests.plans import activate
from tests.rig import Rig, register
from tests.stage import scheduled

A, B = Target("a", "development"), Target("b", "development")
_UP = 'flyte_exporter_target_up{project="a",domain="development"}'
_LAST_SUCCESS = _UP.replace("target_up", "target_last_success_timestamp_seconds")


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """Return a process whose Admin has the projects a and b."""
    rig = make_rig()
    for name in "ab":
        register(rig, name)
    return rig


def is_about_the_past(rig: Rig, what: str) -> bool:
    """Whether the call that is about to be made asks for the past of a launch plan."""
    return what == "ListExecutions" and ".name," in rig.calls[-1][1].filters


def questions(rig: Rig) -> list[tuple[str, str]]:
    """Return what was asked about the past: projects and filters."""
    return [
        (request.id.project, request.filters)
        for method, request in rig.calls
        if method == "ListExecutions" and ".name," in request.filters
    ]


async def test_a_question_that_hangs_holds_up_no_poll(rig: Rig) -> None:
    """As long as Admin thinks about the past of one target, all targets are polled in time."""
    activate(rig, A, "nightly")
    activate(rig, B, "weekly")
    answer = asyncio.Event()

    async def hang(what: str) -> None:
        if is_about_the_past(rig, what) and rig.calls[-1][1].id.project == "a":
            await answer.wait()

    rig.at_await = hang
    async with scheduled(rig) as stage:
        await stage.clock.advance(600)
        assert {project for project, _ in questions(rig)} == {"a", "b"}
        assert rig.metric(_UP) == 1
        last = rig.metric(_LAST_SUCCESS)
        assert last is not None
        assert rig.clock.monotonic() - last <= 30
        assert rig.metric(_UP.replace("_up", "_poll_duration_seconds")) == 0
        answer.set()


async def test_thousands_are_asked_for_at_a_steady_pace(rig: Rig) -> None:
    """
    A twentieth of `admin.rate_limit`, over all targets together.

    At the default, 5,000 launch plans take 33 minutes. No two seconds have more than their share.
    """
    for target in (A, B):
        for number in range(100):
            activate(rig, target, f"plan-{number}")
    asked_at: list[float] = []

    async def note(what: str) -> None:
        if is_about_the_past(rig, what):
            asked_at.append(rig.clock.monotonic())

    rig.at_await = note
    async with scheduled(rig) as stage:
        await stage.clock.advance(600)
    assert len(asked_at) == len(set(questions(rig))) == 200
    assert asked_at[-1] - asked_at[0] <= 200 / 2.5 + 60
    for at in asked_at:
        assert sum(at <= other < at + 10 for other in asked_at) <= 10 * 2.5 + 2


async def test_a_bug_of_ours_in_a_question_stops_nothing(rig: Rig) -> None:
    """It is logged, and everything else goes on."""
    activate(rig, A, "nightly")

    async def bug(what: str) -> None:
        if is_about_the_past(rig, what):
            raise ZeroDivisionError

    rig.at_await = bug
    with capture_logs() as logs:
        async with scheduled(rig) as stage:
            await stage.clock.advance(600)
            assert rig.metric(_UP) == 1
    assert [log["event"] for log in logs if log["log_level"] == "error"] == [
        "asking for the past failed on a bug of ours"
    ] * 3
