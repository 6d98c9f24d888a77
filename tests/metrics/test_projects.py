"""Gauges of projects take what room there is, and give it back."""

from dataclasses import dataclass, field

import pytest

from exporter.metrics import catalog
from exporter.metrics.budget import Budget
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.metrics.projects import ProjectGauges
from exporter.model.projects import Project, ProjectState, label_name
from tests import page


@dataclass
class Room:
    """An exposition with a budget of so many series."""

    limit: int = 100
    diverted_to: list[tuple[Family, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limit)
        self.exposition = Exposition(self)

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

    def used(self) -> dict[str, int]:
        """Return what the families of projects use of the budget."""
        families = (catalog.PROJECTS, catalog.PROJECT_INFO)
        return {family.name: self.budget.used_by(family) for family in families}

    def lines(self) -> list[str]:
        """Return the samples."""
        return page.lines(self.exposition)


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


def test_other_labels_take_the_place_of_those_before() -> None:
    """At once and for all projects; without any, nothing is shown of them, and all room is free."""
    room = Room()
    gauges = room.projects("team")
    gauges.show([project("a", team="x", tier="1")])
    gauges.set_labels(["tier"])
    assert room.lines()[4:] == ['flyte_project_info{project="a",label_tier="1"} 1']
    gauges.set_labels([])
    assert len(room.lines()) == 4
    assert room.budget.used_by(catalog.PROJECT_INFO) == 0


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


def test_families_of_projects_come_and_go() -> None:
    """With what they cost; what comes back shows the projects as they were found last."""
    room = Room()
    gauges = room.projects("team")
    gauges.show([project("a", team="risk")])
    before, used = room.lines(), room.used()
    for hidden in (catalog.PROJECTS, catalog.PROJECT_INFO):
        room.exposition.set_hidden([hidden])
        gauges.set_labels(["team"])
        left = [line for line in before if not line.startswith(f"{hidden.name}{{")]
        assert room.lines() == left
        assert len(left) < len(before)
        assert room.used() == {**used, hidden.name: 0}
    room.exposition.set_hidden([])
    gauges.set_labels(["team"])
    assert (room.lines(), room.used()) == (before, used)


def test_nothing_is_said_of_projects_before_they_were_found() -> None:
    """A reload does not say that there are none."""
    room = Room()
    gauges = room.projects()
    gauges.set_labels(["team"])
    assert room.lines() == []
