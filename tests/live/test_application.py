"""What /metrics of the installed command says is what was done on the Admin under test."""

import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.model.executions import Mode, Phase
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.programs import settled
from tests.live.flyte import HOURLY, NIGHTLY, Project

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
