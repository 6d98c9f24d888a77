"""
An Admin that does next to nothing: rows encoded beforehand, found by bisection.

It runs as a process of its own (`python -m bench.server CROWDS`), so that what it takes of CPU and
memory is no part of any figure. It understands the filters that the product sends, and no other.
"""

import asyncio
import re
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import grpc
import grpc.aio
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, version_pb2

from bench.worlds import DOMAIN, Shelf, World, from_argument
from exporter.sim import wire

ADMIN = "flyteidl.service.AdminService"
CONTROL = "bench.Control"
LISTENING = "listening on"

_TOKEN_FIELD = 2
"""Number of `ExecutionList.token`."""
_CREATED = re.compile(r"(gte|gt|eq)\(execution_created_at,([^)]*)\)")
_NAMED = re.compile(r"value_in\(execution_name,([^)]*)\)")
_PAST = re.compile(r"eq\(launch_plan\.name,")
_PHASED = re.compile(r"value_in\(phase,")
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Answers:
    """The calls."""

    def __init__(self, world: World) -> None:
        self._shelves = world.shelves

    async def list_executions(self, request: bytes, _: Any) -> bytes:
        """Answer `ListExecutions` in ascending order of creation."""
        asked = common_pb2.ResourceListRequest.FromString(request)
        shelf = self._shelves[asked.id.project, asked.id.domain]
        shelf.turn(_now())
        offset = int(asked.token or 0)
        found = _found(shelf, asked.filters)
        places = found[offset : offset + asked.limit]
        rows = shelf.rows
        page = b"".join([rows[place] for place in places])
        if len(places) < asked.limit:
            return page
        return page + wire.field(_TOKEN_FIELD, str(offset + len(places)).encode())

    async def get_execution(self, request: bytes, context: Any) -> bytes:
        """Answer `GetExecution`; seldom asked, so it may take its time."""
        asked = execution_pb2.WorkflowExecutionGetRequest.FromString(request)
        shelf = self._shelves[asked.id.project, asked.id.domain]
        place = shelf.place.get(asked.id.name)
        if place is None or place >= shelf.end(_now()):
            await context.abort(grpc.StatusCode.NOT_FOUND, "missing entity of type execution")
            raise AssertionError
        listed = execution_pb2.ExecutionList.FromString(shelf.rows[place])
        encoded: bytes = listed.executions[0].SerializeToString()
        return encoded

    async def list_projects(self, request: bytes, _: Any) -> bytes:
        """Answer `ListProjects`, in pages."""
        asked = project_pb2.ProjectListRequest.FromString(request)
        offset = int(asked.token or 0)
        names = sorted({project for project, _ in self._shelves})
        chosen = names[offset : offset + asked.limit]
        listed = project_pb2.Projects(
            projects=[
                project_pb2.Project(
                    id=name,
                    name=name,
                    domains=[
                        project_pb2.Domain(id=domain, name=domain)
                        for project, domain in self._shelves
                        if project == name
                    ],
                )
                for name in chosen
            ],
            token=str(offset + len(chosen)) if len(chosen) == asked.limit else "",
        )
        encoded: bytes = listed.SerializeToString()
        return encoded

    async def list_launch_plans(self, request: bytes, _: Any) -> bytes:
        """Answer `ListLaunchPlans` for those that are active: all of them on one page."""
        asked = common_pb2.ResourceListRequest.FromString(request)
        return b"".join(self._shelves[asked.id.project, asked.id.domain].active)

    async def get_version(self, _request: bytes, _: Any) -> bytes:
        """Answer `GetVersion`."""
        encoded: bytes = version_pb2.GetVersionResponse(
            control_plane_version=version_pb2.Version(Version="bench")
        ).SerializeToString()
        return encoded

    async def reveal(self, request: bytes, _: Any) -> bytes:
        """Show more rows of a target behind a curtain: `PROJECT ROWS`."""
        project, rows = request.decode().split()
        self._shelves[project, DOMAIN].reveal(int(rows))
        return b""

    async def fail(self, _request: bytes, _: Any) -> bytes:
        """Have one execution of each target fail that has any which run."""
        now = _now()
        for shelf in self._shelves.values():
            shelf.fail_one(now)
        return b""


def _found(shelf: Shelf, filters: str) -> range | list[int]:
    end = shelf.end(_now())
    if named := _NAMED.search(filters):
        places = [shelf.place.get(name, end) for name in named[1].split(";")]
        return sorted(place for place in places if place < end)
    if _PAST.search(filters):
        # It is asked for where the lookback showed no end, and then there was none before it.
        return []
    created = _CREATED.search(filters)
    if created is None:
        raise ValueError(f"filters that this server does not know: {filters}")
    instant = _instant(created[2])
    first = (bisect_right if created[1] == "gt" else bisect_left)(shelf.created, instant, hi=end)
    if created[1] == "eq":
        end = bisect_right(shelf.created, instant, hi=end)
    if _PHASED.search(filters):
        return shelf.live[bisect_left(shelf.live, first) : bisect_left(shelf.live, end)]
    return range(first, end)


def _instant(text: str) -> int:
    length = datetime.fromisoformat(text) - _EPOCH
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds


def _now() -> int:
    return time.time_ns() // 1000


def _handlers(answers: Answers) -> tuple[grpc.GenericRpcHandler, ...]:
    # Bytes in and out: there is nothing left for grpc to encode.
    def service(name: str, calls: dict[str, Callable[..., Awaitable[bytes]]]) -> Any:
        return grpc.method_handlers_generic_handler(
            name, {call: grpc.unary_unary_rpc_method_handler(at) for call, at in calls.items()}
        )

    return (
        service(
            ADMIN,
            {
                "ListExecutions": answers.list_executions,
                "GetExecution": answers.get_execution,
                "ListLaunchPlans": answers.list_launch_plans,
                "ListProjects": answers.list_projects,
                "GetVersion": answers.get_version,
            },
        ),
        service(CONTROL, {"Reveal": answers.reveal, "Fail": answers.fail}),
    )


async def run(argument: str) -> None:
    """Serve the crowds of *argument* until stdin ends; prints one line when it listens."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(_handlers(Answers(World(from_argument(argument), _now()))))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{LISTENING} 127.0.0.1:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace=None)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
