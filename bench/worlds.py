"""
A world is written down before it is asked about.

Every row is encoded once, as a real Admin would send it: about 700 bytes with labels, annotations,
security context and output location. Serving it then costs a copy, whoever asks and however often.
"""

import json
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, security_pb2

from exporter.sim import wire

_SECOND = 1_000_000
_NANOS = 1000
_DAY_SECONDS = 86_400
_EXECUTIONS_FIELD = 1
"""Number of `ExecutionList.executions`."""
_PLANS_FIELD = 1
"""Number of `LaunchPlanList.launch_plans`."""

_MODES = (1, 1, 1, 0, 5)
"""Flyte's numbers: three in five are scheduled, one is launched by hand, one is a child."""
_SUCCEEDED, _FAILED, _RUNNING = 4, 6, 2
_OUTCOMES = (_SUCCEEDED,) * 45 + (_FAILED,) * 4 + (_RUNNING,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """
    Targets that are alike.

    Attributes:
        project: What their projects' names begin with.
        targets: How many there are.
        domains: How many of them are domains of one project.
        plans: Launch plans of each.
        active: Have all launch plans be active, with a schedule.
        rows: Executions of each that lie behind `newest_seconds`, one in fifty still running
            unless `settled`.
        live: Executions of each that run, launched a day before everything else.
        newest_seconds: How long before the start the newest row was created; negative for rows
            that are yet to come.
        spacing_micros: Time between two rows.
        settled: Have all `rows` be over.
        turnover: Have those be over that were there at the start, and those that come run; with
            each that comes, the oldest that runs succeeds.
        curtain: Show `rows` only as far as the server is told to; otherwise, as time goes on.
    """

    project: str
    targets: int = 1
    domains: int = 1
    plans: int = 10
    active: bool = False
    rows: int = 0
    live: int = 0
    newest_seconds: float = 0
    spacing_micros: int = 1000
    settled: bool = False
    turnover: bool = False
    curtain: bool = False


def to_argument(crowds: list[Crowd]) -> str:
    """Return *crowds* as one argument of a command line."""
    return json.dumps([asdict(crowd) for crowd in crowds])


def from_argument(text: str) -> list[Crowd]:
    """Read what `to_argument` wrote."""
    return [Crowd(**crowd) for crowd in json.loads(text)]


class Shelf:
    """The rows of one target, in order of creation."""

    def __init__(
        self, project: str, domain: str, crowd: Crowd, now: int, dice: random.Random
    ) -> None:
        self.created: list[int] = []
        self.rows: list[bytes] = []
        self.place: dict[str, int] = {}
        self.active: list[bytes] = []
        self.live: list[int] = []
        self._curtain: int | None = None
        self._to_turn: int | None = None
        writer = _Writer(project, domain, crowd.plans, now, dice)
        if crowd.active:
            self.active = [_active(form, hour % 24) for hour, form in enumerate(writer.forms)]
        newest = now - int(crowd.newest_seconds * _SECOND)
        oldest = newest - crowd.rows * crowd.spacing_micros
        for number in range(crowd.live):
            created = oldest - _DAY_SECONDS * _SECOND + number * crowd.spacing_micros
            self._put(writer, f"l{number:07d}", created, _RUNNING)
        if crowd.curtain:
            self._curtain = crowd.live
        for number in range(crowd.rows):
            created = oldest + (number + 1) * crowd.spacing_micros
            if crowd.turnover:
                phase = _RUNNING if created > now else _SUCCEEDED
            else:
                phase = _SUCCEEDED if crowd.settled else dice.choice(_OUTCOMES)
            self._put(writer, f"f{number:07d}", created, phase)
        if crowd.turnover:
            self._to_turn = bisect_right(self.created, now)

    def _put(self, writer: "_Writer", name: str, created: int, phase: int) -> None:
        # Twenty characters, as Flyte's own generated names have.
        name = f"a{name}{created % 10**11:011d}"
        if phase == _RUNNING:
            self.live.append(len(self.rows))
        self.place[name] = len(self.rows)
        self.created.append(created)
        self.rows.append(writer.row(name, created, phase))

    def reveal(self, rows: int) -> None:
        """Show *rows* more."""
        if self._curtain is None:
            raise ValueError("this target has no curtain")
        self._curtain = min(self._curtain + rows, len(self.rows))

    def turn(self, now: int) -> None:
        """Have as many executions succeed as came until *now*, where there is a turnover."""
        while self._to_turn is not None and self._to_turn < self.end(now):
            self._end_oldest(_SUCCEEDED, self.created[self._to_turn])
            self._to_turn += 1

    def fail_one(self, now: int) -> None:
        """Have the oldest execution that runs fail at *now*, if there is one."""
        if self.live:
            self._end_oldest(_FAILED, now)

    def _end_oldest(self, phase: int, now: int) -> None:
        place = self.live.pop(0)
        listed = execution_pb2.ExecutionList.FromString(self.rows[place])
        closure = listed.executions[0].closure
        closure.phase = phase
        if phase == _FAILED:
            closure.error.CopyFrom(_ERROR)
        _set(closure.duration, now - _micros(closure.started_at))
        _set(closure.updated_at, now)
        self.rows[place] = listed.SerializeToString()

    def end(self, now: int) -> int:
        """Return how many rows there are at *now*."""
        return bisect_right(self.created, now) if self._curtain is None else self._curtain


class World:
    """All targets, by project and domain."""

    def __init__(self, crowds: list[Crowd], now: int) -> None:
        dice = random.Random(7)
        self.shelves: dict[tuple[str, str], Shelf] = {}
        for crowd in crowds:
            for project in projects(crowd):
                for domain in DOMAINS[: crowd.domains]:
                    self.shelves[project, domain] = Shelf(project, domain, crowd, now, dice)


DOMAINS = ("production", "staging", "development")
DOMAIN = DOMAINS[0]
"""The one of crowds that have no others."""


def projects(crowd: Crowd) -> Iterator[str]:
    """Yield the names of a crowd's projects."""
    for number in range(crowd.targets // crowd.domains):
        yield f"{crowd.project}{number:04d}"


def active_plans(crowds: Sequence[Crowd]) -> int:
    """Return how many launch plans of *crowds* are active."""
    return sum(crowd.targets * crowd.plans for crowd in crowds if crowd.active)


class _Writer:
    """Fills in one form for each launch plan, because building a message anew takes far longer."""

    def __init__(
        self, project: str, domain: str, plans: int, now: int, dice: random.Random
    ) -> None:
        self._now = now
        self._dice = dice
        self.forms = [
            _form(project, domain, f"team.pipelines.{project}_{n:03d}") for n in range(plans)
        ]

    def row(self, name: str, created: int, phase: int) -> bytes:
        """Return one row, ready to stand in a list."""
        form = self._dice.choice(self.forms)
        form.id.name = name
        closure = form.closure
        started = created + self._dice.randrange(200_000, 20 * _SECOND)
        lasted = self._dice.randrange(5 * _SECOND, 5400 * _SECOND)
        if created < self._now < started + lasted:
            # What is over ended before now, and not when it would have.
            lasted = max(_SECOND, self._dice.randrange(self._now - created))
        _set(closure.created_at, created)
        _set(closure.started_at, started)
        closure.phase = phase
        if phase == _RUNNING:
            closure.ClearField("duration")
            _set(closure.updated_at, started)
        else:
            _set(closure.duration, lasted)
            _set(closure.updated_at, started + lasted)
        if phase == _FAILED:
            closure.error.CopyFrom(_ERROR)
        else:
            closure.outputs.uri = f"s3://flyte/metadata/propeller/{name}/end-node/data/0/outputs.pb"
        return wire.field(_EXECUTIONS_FIELD, form.SerializeToString())


_ERROR = core_execution_pb2.ExecutionError(
    code="RetriesExhausted|USER:ValueError",
    message="[3/3] currentAttempt done. Last Error: USER::Traceback (most recent call last): File",
    kind=core_execution_pb2.ExecutionError.USER,
)


def _set(stamp: Any, value: int) -> None:
    stamp.seconds, micros = divmod(value, _SECOND)
    stamp.nanos = micros * _NANOS


def _micros(stamp: Any) -> int:
    micros: int = stamp.seconds * _SECOND + stamp.nanos // _NANOS
    return micros


def _active(form: Any, hour: int) -> bytes:
    """Return the launch plan of *form* as it stands in a list: it runs once a day."""
    schedule = schedule_pb2.Schedule(
        cron_schedule=schedule_pb2.CronSchedule(schedule=f"17 {hour} * * *")
    )
    plan = launch_plan_pb2.LaunchPlan(
        id=form.spec.launch_plan,
        spec=launch_plan_pb2.LaunchPlanSpec(
            workflow_id=form.closure.workflow_id,
            entity_metadata=launch_plan_pb2.LaunchPlanMetadata(schedule=schedule),
        ),
        closure=launch_plan_pb2.LaunchPlanClosure(state=launch_plan_pb2.ACTIVE),
    )
    return wire.field(_PLANS_FIELD, plan.SerializeToString())


def _form(project: str, domain: str, plan: str) -> Any:
    def identifier(kind: int, name: str) -> Any:
        return identifier_pb2.Identifier(
            resource_type=kind, project=project, domain=domain, name=name, version="v1.42.0-3fa9c1e"
        )

    return execution_pb2.Execution(
        id=identifier_pb2.WorkflowExecutionIdentifier(project=project, domain=domain),
        spec=execution_pb2.ExecutionSpec(
            launch_plan=identifier(identifier_pb2.LAUNCH_PLAN, plan),
            metadata=execution_pb2.ExecutionMetadata(
                mode=_MODES[sum(plan.encode()) % len(_MODES)],
                principal="0oa1b2c3d4E5F6G7h8i9",
                system_metadata=execution_pb2.SystemMetadata(
                    execution_cluster="eu-west-1-a", namespace=f"{project}-{domain}"
                ),
            ),
            labels=common_pb2.Labels(values={"team": "forecasting", "tier": "gold"}),
            annotations=common_pb2.Annotations(
                values={"example.com/owner": "forecasting@example.com"}
            ),
            security_context=security_pb2.SecurityContext(
                run_as=security_pb2.Identity(k8s_service_account="flyte-runner")
            ),
            raw_output_data_config=common_pb2.RawOutputDataConfig(
                output_location_prefix=f"s3://flyte-raw/{project}/{domain}"
            ),
            max_parallelism=25,
        ),
        closure=execution_pb2.ExecutionClosure(
            workflow_id=identifier(identifier_pb2.WORKFLOW, plan),
            state_change_details=execution_pb2.ExecutionStateChangeDetails(
                principal="0oa1b2c3d4E5F6G7h8i9"
            ),
        ),
    )
