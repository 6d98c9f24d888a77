"""What /metrics of the installed command says is what was done on the Admin under test."""

import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.model.executions import Mode, Phase
from exporter.model.time import SECOND, Micros
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.programs import settled
from tests.live.flyte import EVERY_MINUTE, HOURLY, LAST_TASK, NIGHTLY, TASK, Project
from tests.propeller import CACHED

pytestmark = [pytest.mark.live, pytest.mark.write]

_SECONDS = 20.0


def insist(exporter: Exporter, *projects: Project) -> None:
    """Wait until /metrics shows what was done in *projects*, and nothing else."""
    expected = [done(projects), {}]
    assert settled(lambda: shown(exporter), expected, within=_SECONDS) == expected


def done(projects: tuple[Project, ...]) -> dict[tuple[str, ...], int]:
    """Return what was done, by series and label values."""
    found: dict[tuple[str, ...], int] = {}
    for project in projects:
        target, deeds = project.target, project.deeds
        found["started", *target] = len(deeds.queued)
        found |= {("launched", *target, *labels): n for labels, n in deeds.launched.items()}
        found |= {("finished", *target, *labels): n for labels, n in deeds.finished.items()}
        for launch_plan, lengths in deeds.lasted.items():
            found["timed", *target, launch_plan] = len(lengths)
            found["seconds", *target, launch_plan] = int(sum(lengths))
        found |= {("active", *target, *labels): n for labels, n in project.live().items()}
    return found


def shown(exporter: Exporter) -> list[dict[tuple[str, ...], int]]:
    """Return the same as /metrics has it, and what reconciles corrected."""
    plan = ("project", "domain", "launch_plan")
    found: dict[tuple[str, ...], int] = {}
    for word, name, labels in (
        ("started", "flyte_executions_started_total", plan[:2]),
        ("launched", "flyte_executions_launched_total", (*plan, "mode")),
        ("finished", "flyte_executions_finished_total", (*plan, "mode", "phase")),
        ("timed", "flyte_execution_duration_seconds_count", plan),
        ("seconds", "flyte_execution_duration_seconds_sum", plan),
        ("active", "flyte_executions_active", (*plan, "phase")),
    ):
        counts = exporter.counts(name, *labels)
        found |= {(word, *key): count for key, count in counts.items()}
    corrected = exporter.counts("flyte_exporter_reconcile_corrections_total", "reason")
    return [found, dict(corrected)]


def test_a_running_exporter_shows_what_was_done(admin_address: str, tmp_path: Path) -> None:
    """
    Counted from the first second: a project that is registered while it runs is found, and what was
    launched there before it was found is counted too.
    """
    prefix = f"live-{uuid.uuid4().hex[:10]}"
    with ExitStack() as stack:
        first = stack.enter_context(Project(admin_address, prefix=prefix))
        config = write_config(
            tmp_path,
            endpoint=admin_address,
            admin={"timeout": "10s"},
            discovery={"include": [f"{prefix}-*/{first.target.domain}"]},
            scrape={"overlap": "2m", "reconcile_window": "1h"},
        )
        exporter = stack.enter_context(Exporter(config)).wait_until_ready()
        second = stack.enter_context(Project(admin_address, prefix=prefix))
        second.whole_life()
        for end in (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED):
            first.whole_life(HOURLY, Mode.SCHEDULED, end)
        run = first.launch(NIGHTLY)
        first.report(run, Phase.RUNNING, after=1)
        insist(exporter, first, second)
        first.terminate(run)
        insist(exporter, first, second)
        first.report(run, Phase.ABORTED, after=12)
        second.archive(second.whole_life(end=Phase.TIMED_OUT))
        insist(exporter, first, second)
        assert exporter.value("flyte_admin_up") == 1
        assert exporter.counts("flyte_exporter_polls_total", "outcome").keys() == {("success",)}
        assert exporter.program.terminate() == 0


Told = dict[str, dict[tuple[str, ...], int]]
"""By family and label values; without what is 0."""

_PERIOD = 120
"""Seconds from one slot of HOURLY to the next."""
_NEXT_DUE = "flyte_launch_plan_schedule_next_due_timestamp_seconds"
_LABELS = {
    "flyte_project_info": ("label_team",),
    "flyte_launch_plan_info": ("launch_plan", "workflow", "version", "schedule"),
    "flyte_launch_plan_consecutive_failures": ("launch_plan",),
    "flyte_launch_plan_expected_duration_seconds": ("launch_plan",),
    "flyte_launch_plan_schedule_last_run_timestamp_seconds": ("launch_plan",),
    "flyte_execution_schedule_delay_seconds_count": (),
    "flyte_execution_errors_total": ("launch_plan", "mode", "error_kind"),
    "flyte_execution_error_codes_total": ("error_kind", "error_code"),
    "flyte_task_attempts_total": ("task", "phase"),
    "flyte_task_duration_seconds_sum": ("task",),
    "flyte_task_queue_duration_seconds_sum": ("task",),
    "flyte_node_cache_lookups_total": ("task", "cache_status"),
}
"""What is looked at below, by its labels beside the target's."""


def told(exporter: Exporter, project: Project) -> Told:
    """Return what /metrics says of *project* in the families of `_LABELS`."""
    samples = exporter.samples()
    return {
        family: {
            tuple(sample.labels[label] for label in labels): int(sample.value)
            for sample in samples
            if sample.name == family and sample.labels["project"] == project.target.project
            if sample.value
        }
        for family, labels in _LABELS.items()
    }


def fail_in_its_last_task(project: Project) -> None:
    """Have an execution fail whose first task was retried, and whose second was in the cache."""
    run = project.launch(NIGHTLY)
    project.report(run, Phase.RUNNING, after=1)
    propeller = project.propeller(run)
    propeller.node("start-node", "SUCCEEDED", 1)
    propeller.ran("n0", TASK, (1, 3, 8), phase="FAILED")
    propeller.ran("n0", TASK, (8, 9, 19), attempt=1)
    propeller.node("n0", "SUCCEEDED", 19)
    hit = {"cache_status": "CACHE_HIT", **CACHED}
    propeller.node("n1", "SUCCEEDED", 19, task_node_metadata=hit)
    propeller.ran("n2", LAST_TASK, (19, 23, 30), phase="FAILED")
    propeller.node("n2", "FAILED", 30)
    project.report(run, Phase.FAILED, after=31)


def test_a_running_exporter_shows_plans_schedules_failures_and_tasks(
    admin_address: str, tmp_path: Path
) -> None:
    """What is active and when it is due, whom a failure is laid at, and in which task it was."""
    with ExitStack() as stack:
        labels = {"team": "ml", "secret": "no"}
        project = stack.enter_context(Project(admin_address, labels=labels))
        config = write_config(
            tmp_path,
            endpoint=admin_address,
            admin={"timeout": "10s"},
            discovery={
                "include": ["/".join(project.target)],
                "interval": "500ms",
                "project_labels": ["team"],
            },
            scrape={"overlap": "2m", "reconcile_window": "1h"},
            tasks={"match": [f"{project.target.project}/*/*"], "rate_limit": "1000/s"},
        )
        exporter = stack.enter_context(Exporter(config)).wait_until_ready()
        project.activate(HOURLY)
        project.activate(EVERY_MINUTE)
        slot = int(time.time()) // _PERIOD * _PERIOD
        run = project.launch(HOURLY, Mode.SCHEDULED, slot=Micros(slot * SECOND))
        project.report(run, Phase.RUNNING, after=1)
        project.report(run, Phase.SUCCEEDED, after=41)
        for _ in range(4):
            project.whole_life(HOURLY)
        fail_in_its_last_task(project)
        active: dict[tuple[str, ...], int] = {
            (HOURLY, NIGHTLY, "v1", "*/2 * * * *"): 1,
            (EVERY_MINUTE, NIGHTLY, "v1", "every 1m"): 1,
        }
        expected: Told = {
            "flyte_project_info": {("ml",): 1},
            "flyte_launch_plan_info": active,
            "flyte_launch_plan_consecutive_failures": {(NIGHTLY,): 1},
            "flyte_launch_plan_expected_duration_seconds": {(HOURLY,): 40},
            "flyte_launch_plan_schedule_last_run_timestamp_seconds": {(HOURLY,): slot},
            "flyte_execution_schedule_delay_seconds_count": {(): 1},
            "flyte_execution_errors_total": {(NIGHTLY, "MANUAL", "USER"): 1},
            "flyte_execution_error_codes_total": {("USER", "USER:Error"): 1},
            "flyte_task_attempts_total": {
                (TASK, "SUCCEEDED"): 1,
                (TASK, "FAILED"): 1,
                (LAST_TASK, "FAILED"): 1,
            },
            "flyte_task_duration_seconds_sum": {(TASK,): 10},
            "flyte_task_queue_duration_seconds_sum": {(TASK,): 3, (LAST_TASK,): 4},
            "flyte_node_cache_lookups_total": {("lookup", "CACHE_HIT"): 1},
        }
        assert settled(lambda: told(exporter, project), expected, within=_SECONDS) == expected
        due = exporter.value(_NEXT_DUE, launch_plan=HOURLY)
        assert due is not None
        assert (due > slot, due % _PERIOD) == (True, 0)
        project.deactivate(HOURLY)
        del active[HOURLY, NIGHTLY, "v1", "*/2 * * * *"]
        expected["flyte_launch_plan_schedule_last_run_timestamp_seconds"] = {}
        assert settled(lambda: told(exporter, project), expected, within=_SECONDS) == expected
        assert exporter.value(_NEXT_DUE, launch_plan=HOURLY) is None
        assert exporter.program.terminate() == 0
