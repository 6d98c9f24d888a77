"""
One method per call of AdminService: request in, response out, or a `Refusal`.

No sockets and no clock of its own, so that a test can drive it through days in milliseconds.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flyteidl.service import admin_pb2

from exporter.model.time import Micros
from exporter.sim.executions import Executions
from exporter.sim.launch_plans import LaunchPlansApi
from exporter.sim.lifecycle import LifecycleApi
from exporter.sim.nodes import NodesApi
from exporter.sim.projects import ProjectsApi
from exporter.sim.registry import RegistryApi
from exporter.sim.store import Store
from exporter.sim.tasks import TasksApi

SERVICE = "flyteidl.service.AdminService"
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class AdminApi:
    """
    All of Admin that is simulated, over one store.

    Its parts hold the calls by subject: `projects`, `registry`, `launch_plans`, `lifecycle`,
    `nodes`, `tasks`.
    `calls` has them by their names in AdminService; what is not in it is UNIMPLEMENTED.
    """

    def __init__(self, store: Store, *, now: Callable[[], Micros], seed: int = 0) -> None:
        """
        Build the calls.

        Args:
            store: Where everything is kept.
            now: The server's clock.
            seed: Of the names and nanoseconds that Admin makes up.
        """
        self.executions = Executions(store)
        self.projects = ProjectsApi(store, now)
        self.registry = RegistryApi(store, now, self.projects)
        self.launch_plans = LaunchPlansApi(store, now, self.projects, self.registry)
        self.lifecycle = LifecycleApi(
            store,
            now,
            executions=self.executions,
            projects=self.projects,
            registry=self.registry,
            launch_plans=self.launch_plans,
            seed=seed,
        )
        self.tasks = TasksApi(store, now, executions=self.executions)
        self.nodes = NodesApi(store, now, executions=self.executions, tasks=self.tasks)
        self.calls: Mapping[str, Callable[[Any], Any]] = MappingProxyType(self._by_name())

    def _by_name(self) -> dict[str, Callable[[Any], Any]]:
        parts = (
            self.projects,
            self.registry,
            self.launch_plans,
            self.lifecycle,
            self.nodes,
            self.tasks,
        )
        service = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
        found = {}
        for method in service.methods:
            name = _WORD.sub("_", method.name).lower()
            for part in parts:
                if call := getattr(part, name, None):
                    found[method.name] = call
        return found
