"""A whole visit to a server on a real socket, and its report line by line."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, version_pb2

from exporter.doctor import report
from exporter.doctor.finding import Result
from exporter.doctor.visit import visit
from exporter.model.clock import Clock
from exporter.model.time import SECOND
from exporter.telemetry.clock import SystemClock
from tests.admin.conftest import ScriptedAdmin, server

__all__ = ["server"]

DOMAINS = ("development", "staging", "production")


@dataclass
class Patient:
    """
    A configuration, and where it is written.

    Attributes:
        settings: Its sections; a test changes what it is about.
    """

    directory: Path
    settings: dict[str, dict[str, Any]]
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The file, as the settings are now."""
        path = self.directory / "exporter.yaml"
        # JSON is YAML, too.
        path.write_text(json.dumps(self.settings), encoding="utf-8")
        return path

    async def results(self, *, clock: Clock | None = None, limit: float = 10.0) -> list[Result]:
        """Examine it."""
        coming = visit(
            self.config,
            self.environ,
            clock=clock or SystemClock(),
            begins=lambda _: None,
            limit=limit,
        )
        async with aclosing(coming):
            return [result async for result in coming]

    async def report(
        self, *, clock: Clock | None = None, limit: float = 10.0
    ) -> Mapping[str, list[str]]:
        """Examine it, and return the lines of each check, without its name."""
        return {
            result.name: [
                line.replace(f"{result.name:15}", "", 1).strip() for line in report.lines(result)
            ]
            for result in await self.results(clock=clock, limit=limit)
        }


@pytest.fixture
def patient(server: ScriptedAdmin, tmp_path: Path) -> Patient:
    """Return the configuration of an exporter of the scripted server, which is in good health."""
    server.answers |= healthy()
    return Patient(
        tmp_path,
        {
            "admin": {"endpoint": f"127.0.0.1:{server.port}", "insecure": True},
            "ledger": {"path": str(tmp_path / "ledger.db")},
            "web": {"listen": "127.0.0.1:0"},
        },
    )


def healthy(*, age: float = 12.0) -> dict[str, Callable[[Any], Any]]:
    """Return the answers of an Admin with two projects, whose executions are *age* seconds old."""
    domains = [project_pb2.Domain(id=name) for name in DOMAINS]
    projects = [project_pb2.Project(id=name, domains=domains) for name in ("etl", "ml")]
    version = version_pb2.Version(Version="v1.16.8", Build="abc")

    def listed(request: Any) -> Any:
        return executions(request, created_at=(SystemClock().now() / SECOND) - age)

    return {
        "GetVersion": lambda _: version_pb2.GetVersionResponse(control_plane_version=version),
        "ListProjects": lambda _: project_pb2.Projects(projects=projects),
        "GetDomains": lambda _: project_pb2.GetDomainsResponse(domains=domains),
        "ListExecutions": listed,
    }


def executions(request: common_pb2.ResourceListRequest, *, created_at: float) -> Any:
    """Return one execution that was *created_at* so many seconds, if it is asked for."""
    since = request.filters.partition(",")[2].partition(")")[0]
    if created_at < datetime.fromisoformat(since).timestamp():
        return execution_pb2.ExecutionList()
    row = execution_pb2.Execution(
        id={"project": request.id.project, "domain": request.id.domain, "name": "a1"}
    )
    row.closure.created_at.FromMicroseconds(round(created_at * SECOND))
    return execution_pb2.ExecutionList(executions=[row])


def never(_: Any) -> Any:
    """Answer nothing."""
    return asyncio.get_running_loop().create_future()
