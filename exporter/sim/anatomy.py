"""
What the company's workflows consist of: nodes in a row, each of one kind.

A workflow that is not described here prepares something, with a cache, and then works on it.
"""

from enum import Enum
from typing import NamedTuple

from exporter.sim.catalog import Kind, Plan


class Form(Enum):
    """What a node does."""

    TASK = "task"
    MAP = "map"
    """The same task for each of many inputs."""
    SUB_WORKFLOW = "sub-workflow"
    DYNAMIC = "dynamic"
    """A task that decides, as it runs, which nodes follow."""
    CHILD = "child"
    """Another launch plan."""


class Part(NamedTuple):
    """One node of a workflow, or of a part of it."""

    node_id: str
    form: Form = Form.TASK
    task: str = ""
    """Name of its task, where it has one."""
    share: float = 1
    """Of the time of all parts in the row, in proportion to the others'."""
    cached: bool = False
    flaky: float = 0
    """Chance of each attempt, or sub-task, to fail and be repeated."""
    size: int = 0
    """Sub-tasks of a map task."""
    parts: tuple["Part", ...] = ()


_FEATURES = (
    Part("n0", task="features.window", cached=True),
    Part("n1", Form.MAP, "features.of_shard", share=4, size=12, flaky=0.1, cached=True),
)
_ORDERS = (
    Part(
        "n0",
        Form.SUB_WORKFLOW,
        share=3,
        parts=(
            Part("n0", task="orders.extract", flaky=0.2),
            Part("n1", task="orders.check", cached=True),
        ),
    ),
    Part("n1", task="orders.load"),
)
_REPORT = (
    Part(
        "n0",
        Form.DYNAMIC,
        "report.regions",
        share=5,
        parts=(
            Part("dn0", task="report.region", flaky=0.1),
            Part("dn1", task="report.region", cached=True),
        ),
    ),
    Part("n1", task="report.send"),
)
_WORKFLOWS = {"features": _FEATURES, "ingest_orders": _ORDERS, "hourly_report": _REPORT}


def anatomy(plan: Plan) -> tuple[Part, ...]:
    """Return the nodes of an execution of *plan*, in the order in which they run."""
    if plan.kind is Kind.TASK:
        return (Part(plan.name.replace(".", "").replace("_", "-"), task=plan.name, flaky=0.1),)
    if plan.child:
        return (Part("n0", task=f"{plan.name}.prepare"), Part("n1", Form.CHILD, share=5))
    usual = (
        Part("n0", task=f"{plan.name}.prepare", cached=True),
        Part("n1", task=f"{plan.name}.work", share=4, flaky=0.1),
    )
    return _WORKFLOWS.get(plan.name, usual)
