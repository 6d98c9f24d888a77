"""Gauges of projects."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from exporter.metrics import catalog, text
from exporter.metrics.budget import Budget, BudgetObserver
from exporter.metrics.exposition import Exposition
from exporter.model.projects import Project, ProjectState, label_name

_STATES = tuple(state for state in ProjectState if state is not ProjectState.UNRECOGNIZED)


class ProjectGauges:
    """
    Shows how many projects there are and, of each, the labels that somebody asked for.

    Args:
        labels: `discovery.project_labels`; without any, there is no `flyte_project_info`.
    """

    def __init__(
        self,
        *,
        exposition: Exposition,
        budget: Budget,
        observer: BudgetObserver,
        labels: Sequence[str],
    ) -> None:
        self._exposition = exposition
        self._budget = budget
        self._observer = observer
        self._found: dict[str, Project] = {}
        self._shown: dict[str, Project] = {}
        self._has_states = False
        self._reserve()
        self._label(labels)

    def set_labels(self, labels: Sequence[str]) -> None:
        """Show *labels* from now on, and no others, as far as there are these families."""
        if tuple(labels) != self._labels or not self._exposition.shows(catalog.PROJECT_INFO):
            self._drop([*self._shown])
            self._label(labels)
        self._reserve()
        if self._found:
            self._show_states()
        self._show_labels()

    def show(self, projects: Iterable[Project]) -> None:
        """Show *projects*, and no others."""
        self._found = {project.id: project for project in projects}
        self._show_states()
        self._drop(self._shown.keys() - self._found.keys())
        self._show_labels()

    def _reserve(self) -> None:
        """Keep a place for each state, or give it back where there is no such family any more."""
        wanted = self._exposition.shows(catalog.PROJECTS)
        if wanted and not self._has_states:
            self._budget.take(catalog.PROJECTS, len(_STATES))
        elif self._has_states and not wanted:
            self._budget.give_back(catalog.PROJECTS, len(_STATES))
        self._has_states = wanted

    def _label(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        # The one family whose labels the configuration adds to.
        names = (*catalog.PROJECT_INFO.labels, *map(label_name, labels))
        self._info = replace(catalog.PROJECT_INFO, labels=names)

    def _drop(self, gone: Iterable[str]) -> None:
        for project in gone:
            del self._shown[project]
            self._exposition.drop(catalog.PROJECT_INFO, project)
            self._budget.give_back(catalog.PROJECT_INFO, 1)

    def _show_states(self) -> None:
        if not self._exposition.shows(catalog.PROJECTS):
            return
        counts = Counter(project.state for project in self._found.values())
        states = [*_STATES, *(state for state in counts if state not in _STATES)]
        lines = [text.sample(catalog.PROJECTS, (each.name,), counts[each]) for each in states]
        self._exposition.put(catalog.PROJECTS, None, b"".join(lines))

    def _show_labels(self) -> None:
        if not (self._labels and self._exposition.shows(catalog.PROJECT_INFO)):
            return
        for project in self._found.values():
            if self._shown.get(project.id) != project:
                self._show(project)

    def _show(self, project: Project) -> None:
        if project.id not in self._shown:
            if not self._budget.has_room(catalog.PROJECT_INFO, 1):
                self._observer.diverted(family=catalog.PROJECT_INFO, increments=1)
                return
            self._budget.take(catalog.PROJECT_INFO, 1)
        self._shown[project.id] = project
        values = (project.id, *(project.labels.get(label, "") for label in self._labels))
        self._exposition.put(catalog.PROJECT_INFO, project.id, text.sample(self._info, values, 1))
