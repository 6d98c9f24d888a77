"""Projects as Admin lists them, those that are archived included."""

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from exporter.model.targets import Target

_NO_LABEL = re.compile("[^a-zA-Z0-9_]")
_HUMP = re.compile("([a-z0-9])([A-Z])")


class ProjectState(IntEnum):
    """
    `Project.ProjectState` with Flyte's own numbers.

    Source: flyteidl `admin/project.proto`.
    """

    UNRECOGNIZED = -1
    ACTIVE = 0
    ARCHIVED = 1
    SYSTEM_GENERATED = 2
    SYSTEM_ARCHIVED = 3


class Project(NamedTuple):
    """One project."""

    id: str
    state: ProjectState
    labels: Mapping[str, str]
    domains: tuple[str, ...]


def targets_of(projects: Iterable[Project]) -> list[Target]:
    """Return every domain of every project that is not archived, each once."""
    return list(
        dict.fromkeys(
            Target(project.id, domain)
            for project in projects
            if project.state is not ProjectState.ARCHIVED
            for domain in project.domains
        )
    )


def label_name(key: str) -> str:
    """
    Return what the project label *key* is called in a metric: `data-owner` is `label_data_owner`.

    Source: kube-state-metrics does the same to the labels of Kubernetes objects.
    """
    return "label_" + _HUMP.sub(r"\1_\2", _NO_LABEL.sub("_", key)).lower()
