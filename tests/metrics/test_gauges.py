"""Gauges of launch plans and projects take what room there is, and give it back."""

from dataclasses import dataclass, field

import pytest

from exporter.metrics import catalog
from exporter.metrics.budget import Budget
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.metrics.gauges import PlanGauges
from exporter.metrics.projects import ProjectGauges
from exporter.model.projects import Project, ProjectState, label_name
from tests.rows import TARGET

_INFO, _SINCE = catalog.LAUNCH_PLAN_INFO, catalog.LAUNCH_PLAN_ACTIVE_SINCE
_ROW = (("wf", "v1", ""), 1.0)
_OTHER_ROW = (("wf", "v2", ""), 1.0)


@dataclass
class Room:
    """An exposition with a budget of so many series."""

    limit: int = 100
    diverted_to: list[tuple[Family, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limit)
        self.exposition = Exposition(self)
        self.gauges = PlanGauges(exposition=self.exposition, budget=self.budget, observer=self)

    def render(self, _: Format) -> bytes:
        """Return nothing about the process."""
        return b""

    def diverted(self, *, family: Family, increments: int) -> None:
        """Take note of what was left out."""
        self.diverted_to.append((family, increments))

    def rendered(self, *, seconds: float) -> None:
        """Take note of nothing."""

    def projects(self, *labels: str) -> ProjectGauges:
        """Return gauges of projects that show *labels*."""
        return ProjectGauges(
            exposition=self.exposition, budget=self.budget, observer=self, labels=labels
        )

    def lines(self) -> list[str]:
        """Return the samples."""
        document = b"".join(self.exposition.snapshot(Format.TEXT)).decode()
        return [line for line in document.splitlines() if not line.startswith("#")]


def test_rows_replace_what_the_family_showed() -> None:
    """Of this launch plan, and nothing else."""
    room = Room()
    room.gauges.show(TARGET, "etl", _INFO, [_ROW, _OTHER_ROW])
    room.gauges.show(TARGET, "etl", _SINCE, [((), 5.5)])
    room.gauges.show(TARGET, "other", _INFO, [_ROW])
    assert (room.budget.used_by(_INFO), room.budget.used_by(_SINCE)) == (3, 1)
    room.gauges.show(TARGET, "etl", _INFO, [_OTHER_ROW])
    pair = 'project="flytesnacks",domain="production",launch_plan'
    assert room.lines() == [
        f'flyte_launch_plan_info{{{pair}="etl",workflow="wf",version="v2",schedule=""}} 1',
        f'flyte_launch_plan_info{{{pair}="other",workflow="wf",version="v1",schedule=""}} 1',
        f'flyte_launch_plan_active_since_timestamp_seconds{{{pair}="etl"}} 5.5',
    ]
    assert room.budget.used_by(_INFO) == 2


@pytest.mark.parametrize("family", [None, _INFO])
def test_what_is_dropped_gives_its_room_back(family: Family | None) -> None:
    """One family, or all of them; to drop what is not shown is no fault."""
    room = Room()
    for each in (_INFO, _SINCE):
        room.gauges.show(TARGET, "etl", each, [_ROW] if each is _INFO else [((), 1)])
    for _ in range(2):
        room.gauges.drop(TARGET, "etl", family)
    assert room.budget.used_by(_INFO) == 0
    assert room.budget.used_by(_SINCE) == (0 if family is None else 1)
    assert len(room.lines()) == room.budget.used_by(_SINCE)


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    """All of a family's rows, so that what is shown is complete; it comes in once there is room."""
    room = Room(limit=2)
    room.gauges.show(TARGET, "etl", _INFO, [_ROW])
    room.gauges.show(TARGET, "etl", _INFO, [_ROW, _OTHER_ROW, _ROW])
    assert room.lines() == []
    assert room.diverted_to == [(_INFO, 3)]
    assert room.budget.used_by(_INFO) == 0
    room.gauges.show(TARGET, "etl", _INFO, [_ROW, _OTHER_ROW])
    assert len(room.lines()) == 2


def project(name: str, state: ProjectState = ProjectState.ACTIVE, **labels: str) -> Project:
    """Return a project without domains."""
    return Project(name, state, labels, ())


def test_projects_are_counted_by_state() -> None:
    """At 0 where there are none; a state that we do not know shows when it is there."""
    room = Room()
    gauges = room.projects()
    gauges.show([project("a"), project("b", ProjectState.UNRECOGNIZED)])
    assert room.lines() == [
        'flyte_projects{state="ACTIVE"} 1',
        'flyte_projects{state="ARCHIVED"} 0',
        'flyte_projects{state="SYSTEM_GENERATED"} 0',
        'flyte_projects{state="SYSTEM_ARCHIVED"} 0',
        'flyte_projects{state="UNRECOGNIZED"} 1',
    ]
    gauges.show([project("a", ProjectState.ARCHIVED)])
    assert room.lines()[:2] == [
        'flyte_projects{state="ACTIVE"} 0',
        'flyte_projects{state="ARCHIVED"} 1',
    ]
    assert len(room.lines()) == 4


def test_labels_of_projects_follow_the_projects() -> None:
    """Of archived ones too, whose counters live on; without those that are gone."""
    room = Room()
    gauges = room.projects("team", "data/tier")
    gauges.show([project("a", team="x"), project("b", ProjectState.ARCHIVED, **{"data/tier": '"'})])
    assert room.lines()[4:] == [
        'flyte_project_info{project="a",label_team="x",label_data_tier=""} 1',
        r'flyte_project_info{project="b",label_team="",label_data_tier="\""} 1',
    ]
    gauges.show([project("a", team="y")])
    assert room.lines()[4:] == [
        'flyte_project_info{project="a",label_team="y",label_data_tier=""} 1'
    ]
    assert room.budget.used_by(catalog.PROJECT_INFO) == 1


def test_projects_that_do_not_fit_are_left_out_and_counted() -> None:
    """The others are shown."""
    room = Room(limit=5)
    room.projects("team").show([project("a"), project("b")])
    assert len(room.lines()) == 5
    assert room.diverted_to == [(catalog.PROJECT_INFO, 1)]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("team", "label_team"),
        ("data-owner", "label_data_owner"),
        ("app.kubernetes.io/name", "label_app_kubernetes_io_name"),
        ("costCenter", "label_cost_center"),
        ("9lives", "label_9lives"),
    ],
)
def test_labels_are_called_as_kube_state_metrics_calls_them(key: str, name: str) -> None:
    """So one dashboard can join both."""
    assert label_name(key) == name
