"""A pattern that matches no launch plan is told of, and no other, and not again and again."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from exporter.config.settings import PlanDuration, TasksSettings
from exporter.model.executions import Mode, Phase
from exporter.model.targets import Target
from exporter.scrape import patterns
from exporter.scrape.norms import NormsOf
from tests.plans import activate, deactivate
from tests.rig import Rig, failure, register
from tests.stage import Stage, scheduled

A, B = Target("a", "development"), Target("b", "development")

_UNMATCHED = "pattern matches no launch plan"
_MATCHED = "pattern matches a launch plan now"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Return `make(freshness=..., expected_duration=..., tasks=...)`, of projects a and b."""
    rigs: list[Rig] = []

    def make_rig(*, tasks: Collection[str] = (), **norms: Collection[str]) -> Rig:
        limits: dict[str, Any] = {
            setting: [PlanDuration(match=pattern, limit=timedelta(hours=1)) for pattern in found]
            for setting, found in norms.items()
        }
        rig = Rig(tmp_path, norms=NormsOf(**limits), tasks=TasksSettings(match=tuple(tasks)))
        rigs.append(rig)
        for project in ("a", "b"):
            register(rig, project)
        return rig

    yield make_rig
    for rig in rigs:
        rig.die()


async def told(stage: Stage, *, rounds: int = 1) -> list[tuple[str, str, str]]:
    """Let so many *rounds* go by; return what was told: event, setting and pattern."""
    with capture_logs() as logs:
        await stage.clock.advance(300 * rounds)
    return [
        (log["event"], log["setting"], log["pattern"])
        for log in logs
        if log["event"] in {_UNMATCHED, _MATCHED}
    ]


def run(rig: Rig, name: str, **details: Any) -> None:
    """Have an execution be launched and succeed."""
    key = rig.launch(A, name, **details)
    for phase in (Phase.RUNNING, Phase.SUCCEEDED):
        rig.admin.executions.move(key, phase, at=rig.clock.now(), received_at=rig.clock.now())


async def test_a_pattern_with_a_typo_is_told_of_once(make: Callable[..., Rig]) -> None:
    """With its setting, after the first round; and once more when there is such a launch plan."""
    rig = make(
        freshness=["*/development/etl", "a/development/elt", "a/production/*", "a/development/elt"],
        expected_duration=["*/*/elt", "*/*/*"],
        tasks=["c/*/*", "a/*/*"],
    )
    activate(rig, A, "etl")
    async with scheduled(rig) as stage:
        assert sorted(await told(stage)) == [
            (_UNMATCHED, "expected_duration", "*/*/elt"),
            (_UNMATCHED, "freshness", "a/development/elt"),
            # What is there, and is not scraped, is not watched.
            (_UNMATCHED, "freshness", "a/production/*"),
            (_UNMATCHED, "tasks.match", "c/*/*"),
        ]
        assert await told(stage, rounds=3) == []
        activate(rig, B, "elt")
        assert await told(stage, rounds=2) == [(_MATCHED, "expected_duration", "*/*/elt")]
        deactivate(rig, B, "elt")
        assert await told(stage, rounds=3) == [(_UNMATCHED, "expected_duration", "*/*/elt")]


@pytest.mark.parametrize("call", ["ListLaunchPlans", "ListExecutions"])
async def test_nothing_is_said_of_what_is_not_known_yet(
    make: Callable[..., Rig], call: str
) -> None:
    """As long as a target was not listed or not polled, what is to be matched may be there."""
    rig = make(freshness=["*/*/elt", "b/*/elt", "c/*/elt"])
    activate(rig, B, "etl")

    async def refuse(what: str) -> None:
        if what == call and rig.calls[-1][1].id.project == "a":
            raise failure(grpc.StatusCode.PERMISSION_DENIED, "no")

    rig.at_await = refuse
    async with scheduled(rig) as stage:
        assert await told(stage, rounds=2) == [
            (_UNMATCHED, "freshness", "b/*/elt"),
            (_UNMATCHED, "freshness", "c/*/elt"),
        ]
        rig.at_await = rig.nothing_happens
        assert await told(stage, rounds=2) == [(_UNMATCHED, "freshness", "*/*/elt")]


async def test_whoever_ran_is_matched_though_it_is_not_active(make: Callable[..., Rig]) -> None:
    """Unless only as a child of others, which has its tasks counted, and has no freshness."""
    rig = make(
        freshness=["a/*/by-hand", "a/*/child"],
        expected_duration=["a/*/child"],
        tasks=["a/*/by-hand", "a/*/child"],
    )
    run(rig, "first", launch_plan="by-hand", mode=Mode.MANUAL)
    async with scheduled(rig) as stage:
        run(rig, "second", launch_plan="child", mode=Mode.CHILD_WORKFLOW)
        assert await told(stage, rounds=2) == [
            (_UNMATCHED, "freshness", "a/*/child"),
            (_UNMATCHED, "expected_duration", "a/*/child"),
        ]


async def test_a_task_pattern_is_told_of_again_when_an_execution_matches_it(
    make: Callable[..., Rig],
) -> None:
    """However seldom it runs: what was matched once has its tasks counted the next time, too."""
    rig = make(tasks=["a/*/child"])
    async with scheduled(rig) as stage:
        assert await told(stage) == [(_UNMATCHED, "tasks.match", "a/*/child")]
        run(rig, "late", launch_plan="child", mode=Mode.CHILD_WORKFLOW)
        assert await told(stage) == [(_MATCHED, "tasks.match", "a/*/child")]
        assert await told(stage, rounds=3) == []


@pytest.mark.parametrize(
    ("pattern", "known", "expected"),
    [
        ("a/*/etl", {}, False),
        ("a/*/etl", {A: []}, False),
        ("a/*/etl", {A: ["etl.a", "xetl"], B: ["etl"]}, False),
        ("a/*/etl*", {A: ["x", "etl.a"]}, True),
        ("a/*/ns/etl", {A: ["ns/etl"]}, True),
        ("*/*/etl", {A: None, B: ["etl"]}, True),
        ("*/*/etl", {A: None, B: ["elt"]}, None),
        ("b/*/etl", {A: None, B: ["elt"]}, False),
    ],
)
def test_whether_a_pattern_names_any(
    pattern: str, known: Mapping[Target, Collection[str] | None], expected: bool | None
) -> None:
    """Only what it could name has a say, and whoever is known already decides."""
    assert patterns.names_any(pattern, known) is expected
