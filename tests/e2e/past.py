"""
An exporter with a past: some minutes of Flyte go by in seconds, and from then on time is ours.

So what takes its time, such as failures in a row or a schedule that is kept, is there to be asked
for. A program, of the ordinary application and a simulated Admin on a socket: time
stands still until SIGUSR1, and it says when it has caught up.

    python -m tests.e2e.past DIRECTORY PORT [INCIDENT...]
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

import click
from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2, workflow_pb2
from flyteidl.core import identifier_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2

from exporter import app
from exporter.config.load import load
from exporter.config.settings import Settings
from exporter.model.time import SECOND, Micros
from exporter.sim import server
from exporter.sim.api import AdminApi
from exporter.sim.authority import Authority, OAuthClient
from exporter.sim.incidents import parse_incident
from exporter.sim.world import World
from exporter.telemetry.log import configure
from tests.e2e.exporter import write_config

_BEHIND_SECONDS = 20 * 60
_HURRY = 300
"""Seconds that go by in one of ours."""
_COMPANY_SPEED = 10
NEVER_RUN = "forgotten"
"""A launch plan of which every slot is missed from the start."""
MERGED = ("yearly_2025", "yearly_2026")
"""Launch plans of different workflows that are one on /metrics, called `yearly`."""
_SECRET = "that of the exporter"


class HurriedClock:
    """A clock that is behind: it stands still until it is told to go, then makes up for it."""

    def __init__(self, *, behind: float, hurry: float) -> None:
        self._hurry = hurry
        self._stood_at = time.time() - behind
        self._behind = behind
        self._gone_at: float | None = None
        self._going = asyncio.Event()

    def go(self) -> None:
        """Let time pass."""
        # What passed while it stood still is to be made up for too.
        self._behind = time.time() - self._stood_at
        self._gone_at = time.monotonic()
        self._going.set()

    def now(self) -> Micros:
        """Return the wall clock."""
        return Micros(round((self._stood_at + self.monotonic()) * SECOND))

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        gone = self._gone()
        return min(gone * self._hurry, gone + self._behind)

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*, as this clock counts them."""
        end = self.monotonic() + seconds
        await self._going.wait()
        await asyncio.sleep(max(end / self._hurry, end - self._behind) - self._gone())

    def _gone(self) -> float:
        return 0.0 if self._gone_at is None else time.monotonic() - self._gone_at


def settings(directory: Path, endpoint: str, port: int) -> Settings:
    """Return the configuration of an exporter that keeps up with a hurried clock."""
    secret = directory / "secret"
    secret.write_text(_SECRET, encoding="utf-8")
    auth = {"type": "client_secret", "client_id": "exporter", "client_secret_file": str(secret)}
    path = write_config(
        directory,
        endpoint=endpoint,
        admin={"auth": auth, "rate_limit": "150/s"},
        discovery={
            "include": ["*/production", "etl/*"],
            "interval": "5m",
            "project_labels": ["team"],
        },
        scrape={
            "interval": "30s",
            "overlap": "5s",
            "reconcile_interval": "2m",
            "reconcile_window": "10m",
            "poll_timeout": "10m",
        },
        tasks={"match": ["*/*/*"], "rate_limit": "1000/s", "concurrency": 8},
        tracing={"exporter": "console", "sample_ratio": 0.1},
        web={"listen": f"127.0.0.1:{port}"},
        metrics={
            "first_sample_hold": "30s",
            "relabel": [{"match": r"(yearly)_\d{4}", "replacement": "$1"}],
            # Too few for all, so that some are counted under another name.
            "families": {"flyte_executions_launched_total": {"series_limit": 5}},
        },
    )
    return load(path, {})


def furnish(api: AdminApi) -> None:
    """Register what the company lacks: a label, an archived project, plans that nobody runs."""
    labels = common_pb2.Labels(values={"team": "data"})
    api.projects.update_project(project_pb2.Project(id="etl", labels=labels))
    retired = project_pb2.Project(id="retired", name="retired", state=project_pb2.Project.ARCHIVED)
    api.projects.register_project(project_pb2.ProjectRegisterRequest(project=retired))
    for name in MERGED:
        _activate(api, name, "@yearly")
    _activate(api, NEVER_RUN, "* * * * *")


def _activate(api: AdminApi, name: str, schedule: str) -> None:
    """Register a launch plan of a workflow of its own, which the world does not run."""
    workflow, plan = (
        identifier_pb2.Identifier(
            resource_type=kind, project="etl", domain="production", name=name, version="v1"
        )
        for kind in (identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN)
    )
    template = core_workflow_pb2.WorkflowTemplate(id=workflow)
    api.registry.create_workflow(
        workflow_pb2.WorkflowCreateRequest(
            id=workflow, spec=workflow_pb2.WorkflowSpec(template=template)
        )
    )
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow)
    spec.entity_metadata.schedule.cron_schedule.schedule = schedule
    api.launch_plans.create_launch_plan(launch_plan_pb2.LaunchPlanCreateRequest(id=plan, spec=spec))
    api.launch_plans.update_launch_plan(
        launch_plan_pb2.LaunchPlanUpdateRequest(id=plan, state=launch_plan_pb2.ACTIVE)
    )


async def run(directory: Path, port: int, incidents: list[str]) -> None:
    """Live until killed."""
    configure(level="info", media="logfmt")
    clock = HurriedClock(behind=_BEHIND_SECONDS, hurry=_HURRY)
    world = World(
        seed=1,
        start=clock.now(),
        speed=_COMPANY_SPEED,
        incidents=[parse_incident(text) for text in incidents],
    )
    furnish(world.api)
    authority = Authority([OAuthClient(id="exporter", secret=_SECRET)])
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, clock.go)
    async with (
        server.serve(world, clock=clock, authority=authority) as admin,
        app.start(settings(directory, admin.address, port), clock=clock) as exporter,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(exporter.shifts.run())
        await clock.sleep(_BEHIND_SECONDS)
        click.echo("caught up")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
