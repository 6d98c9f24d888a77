"""
Who looks at the nodes of an execution makes them come about: until then there are none.

So the nodes of the many executions that nobody looks at cost nothing.
"""

import random
from collections.abc import Callable, Iterable, Mapping

import grpc
from flyteidl.event.event_pb2 import NodeExecutionEvent

from exporter.sim import wire
from exporter.sim.anatomy import anatomy
from exporter.sim.api import AdminApi
from exporter.sim.catalog import Plan
from exporter.sim.company import VERSION
from exporter.sim.execution import ExecutionKey, Stored, digest
from exporter.sim.refusal import Refusal
from exporter.sim.registry import GENERATED_PREFIX
from exporter.sim.unfolding import Event, Unfolding


class Onlookers:
    """
    Has the nodes of the company's executions told when somebody asks *api* for them.

    Args:
        api: Whose calls they are.
        plans: What the company runs, by project, domain and name.
        chance: Returns a source of chance of its own for what is named.
    """

    def __init__(
        self,
        api: AdminApi,
        *,
        plans: Mapping[tuple[str, str, str], Plan],
        chance: Callable[..., random.Random],
    ) -> None:
        self._api = api
        self._plans = plans
        self._chance = chance
        self._left: set[ExecutionKey] = set()
        api.nodes.on_look = api.tasks.on_look = self._look

    def leave(self, key: ExecutionKey) -> None:
        """Leave it to a client to tell what happens in the execution that it launched."""
        self._left.add(key)

    def _look(self, key: ExecutionKey) -> None:
        stored = None if key in self._left else self._api.executions.find(key)
        if stored is None or stored.started_at is None:
            return
        if stored.phase.is_terminal:
            self._left.add(key)
        for event in self._events(stored):
            part = self._api.nodes if isinstance(event, NodeExecutionEvent) else self._api.tasks
            try:
                part.record(event)
            except Refusal as refusal:
                # Told before, when the execution still ran.
                if refusal.code is not grpc.StatusCode.ALREADY_EXISTS:
                    raise

    def _events(self, stored: Stored) -> Iterable[Event]:
        key, closure = stored.key, stored.closure
        name = stored.launch_plan.removeprefix(GENERATED_PREFIX)
        plan = self._plans.get((key.project, key.domain, name))
        if plan is None or stored.started_at is None:
            return ()
        child = ExecutionKey(key.project, key.domain, child_name(key))
        unfolding = Unfolding(
            key=key,
            version=VERSION,
            child=child if self._api.executions.find(child) else None,
            chance=self._chance("nodes", *key),
        )
        if not stored.phase.is_terminal:
            return unfolding.beginning(anatomy(plan), began=stored.started_at)
        return unfolding.whole(
            anatomy(plan),
            began=stored.started_at,
            ended=wire.micros_of(wire.nanoseconds(closure.updated_at)),
            phase=stored.phase,
            error=closure.error if closure.HasField("error") else None,
        )


def child_name(parent: ExecutionKey) -> str:
    """Return the name of the execution that one of *parent*'s nodes launches."""
    return "f" + digest(*parent, "n1")[:19]
