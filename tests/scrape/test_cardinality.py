"""Names that change with every run, families that do without them: from Admin to /metrics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import MetricsSettings, ScrapeSettings
from exporter.metrics import catalog
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import Family, Source
from exporter.metrics.formats import Format
from exporter.metrics.selection import family_limits_of, labelling_of
from exporter.model.executions import Phase
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.sim.executions import ExecutionKey
from tests import page
from tests.rig import START, Rig

T = Target("etl", "production")
DATES = {"match": r"(.*)_\d{4}_\d{2}_\d{2}", "replacement": "$1"}
BEGAN = START // SECOND
_EXEMPLIFIED = [family.name for family in catalog.FAMILIES if family.exemplars]

MakeRig = Callable[..., Rig]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeRig]:
    """Return `make(metrics_settings, **rig_attributes)`, a rig that holds no series back."""
    rigs: list[Rig] = []

    def made(metrics: dict[str, Any], **details: Any) -> Rig:
        rigs.append(Rig(tmp_path, hold=ScrapeSettings().overlap * 0, **details))
        configure(rigs[-1], metrics)
        return rigs[-1]

    yield made
    for rig in rigs:
        rig.die()


def configure(rig: Rig, metrics: dict[str, Any]) -> None:
    """Start a new process with other settings."""
    settings = MetricsSettings.model_validate(metrics)
    rig.labelling = labelling_of(settings)
    rig.family_limits = family_limits_of(settings)
    rig.restart()


def samples(rig: Rig, *sources: Source) -> list[str]:
    """Return the samples about executions, in the order of their text."""
    names = tuple(family.name for family in catalog.FAMILIES if family.source in sources)
    return sorted(line for line in page.lines(rig.exposition) if line.startswith(names))


def total(rig: Rig, family: Family) -> float:
    """Return what /metrics shows of *family* over all its series."""
    suffix = "_count{" if family.kind is catalog.Kind.HISTOGRAM else "{"
    found = samples(rig, family.source)
    return sum(float(s.rpartition(" ")[2]) for s in found if s.startswith(family.name + suffix))


def finish(rig: Rig, key: ExecutionKey, *, after: float, phase: Phase = Phase.SUCCEEDED) -> None:
    """Have an execution run from now for *after* seconds."""
    now = rig.clock.now()
    rig.admin.executions.move(key, Phase.RUNNING, at=now)
    ended_at = Micros(now + round(after * SECOND))
    rig.admin.executions.move(key, phase, at=ended_at, received_at=now)


async def a_day(rig: Rig) -> None:
    """Three days' reports and a job run; two are over, of two more one waits and one runs."""
    await rig.poll(T)
    rig.clock.advance(30)
    over = [rig.launch(T, f"r{n}", launch_plan=f"daily_2026_11_2{n}") for n in (1, 2)]
    rig.launch(T, "r3", launch_plan="daily_2026_11_23")
    rig.clock.advance(10)
    job = rig.launch(T, "j", launch_plan="job")
    running = rig.launch(T, "r4", launch_plan="daily_2026_11_24")
    await rig.poll(T)
    rig.clock.advance(10)
    finish(rig, over[0], after=5)
    finish(rig, over[1], after=45, phase=Phase.FAILED)
    finish(rig, job, after=100)
    rig.admin.executions.move(running, Phase.RUNNING, at=rig.clock.now())
    await rig.poll(T)


async def test_names_that_change_with_every_run_are_one(make: MakeRig) -> None:
    """Counters, durations and levels of `daily_2026_11_21` to `_24` are those of `daily`."""
    rig = make({"relabel": [DATES]})
    await a_day(rig)
    p = 'project="etl",domain="production"'
    daily, job = (f'{p},launch_plan="{plan}"' for plan in ("daily", "job"))
    expected = f"""\
flyte_execution_duration_seconds_bucket{{{daily},le="+Inf"}} 1
flyte_execution_duration_seconds_bucket{{{daily},le="10.0"}} 1
flyte_execution_duration_seconds_bucket{{{daily},le="60.0"}} 1
flyte_execution_duration_seconds_bucket{{{daily},le="600.0"}} 1
flyte_execution_duration_seconds_bucket{{{job},le="+Inf"}} 1
flyte_execution_duration_seconds_bucket{{{job},le="10.0"}} 0
flyte_execution_duration_seconds_bucket{{{job},le="60.0"}} 0
flyte_execution_duration_seconds_bucket{{{job},le="600.0"}} 1
flyte_execution_duration_seconds_count{{{daily}}} 1
flyte_execution_duration_seconds_count{{{job}}} 1
flyte_execution_duration_seconds_sum{{{daily}}} 5
flyte_execution_duration_seconds_sum{{{job}}} 100
flyte_execution_error_codes_total{{{p},error_kind="UNKNOWN",error_code="none"}} 1
flyte_execution_errors_total{{{daily},mode="MANUAL",error_kind="SYSTEM"}} 0
flyte_execution_errors_total{{{daily},mode="MANUAL",error_kind="UNKNOWN"}} 1
flyte_execution_errors_total{{{daily},mode="MANUAL",error_kind="USER"}} 0
flyte_execution_errors_total{{{job},mode="MANUAL",error_kind="SYSTEM"}} 0
flyte_execution_errors_total{{{job},mode="MANUAL",error_kind="USER"}} 0
flyte_execution_queue_duration_seconds_bucket{{{p},le="+Inf"}} 4
flyte_execution_queue_duration_seconds_bucket{{{p},le="1.0"}} 0
flyte_execution_queue_duration_seconds_bucket{{{p},le="10.0"}} 2
flyte_execution_queue_duration_seconds_count{{{p}}} 4
flyte_execution_queue_duration_seconds_sum{{{p}}} 60
flyte_executions_active{{{daily},phase="RUNNING"}} 1
flyte_executions_active{{{daily},phase="UNDEFINED"}} 1
flyte_executions_active{{{job},phase="RUNNING"}} 0
flyte_executions_active{{{job},phase="UNDEFINED"}} 0
flyte_executions_finished_total{{{daily},mode="MANUAL",phase="FAILED"}} 1
flyte_executions_finished_total{{{daily},mode="MANUAL",phase="SUCCEEDED"}} 1
flyte_executions_finished_total{{{job},mode="MANUAL",phase="FAILED"}} 0
flyte_executions_finished_total{{{job},mode="MANUAL",phase="SUCCEEDED"}} 1
flyte_executions_launched_total{{{daily},mode="MANUAL"}} 4
flyte_executions_launched_total{{{job},mode="MANUAL"}} 1
flyte_executions_oldest_in_phase_timestamp_seconds{{{daily},phase="RUNNING"}} {BEGAN + 50}
flyte_executions_oldest_in_phase_timestamp_seconds{{{daily},phase="UNDEFINED"}} {BEGAN + 30}
flyte_executions_started_total{{{p}}} 4
"""
    assert samples(rig, Source.LEDGER, Source.LIVE) == expected.splitlines()
    assert rig.metric(f'flyte_exporter_series{{family="{catalog.EXECUTIONS_ACTIVE.name}"}}') == 4


async def test_families_do_without_launch_plans_or_are_left_out(make: MakeRig) -> None:
    """Sums over launch plans have no such label; a family that is off has not even a header."""
    rig = make(
        {
            "families": {
                "flyte_executions_active": {"launch_plan": False},
                "flyte_executions_oldest_in_phase_timestamp_seconds": {"launch_plan": False},
                "flyte_executions_finished_total": {"launch_plan": False},
                "flyte_execution_errors_total": {"launch_plan": False},
                "flyte_execution_error_codes_total": {"enabled": False},
                "flyte_execution_duration_seconds": {"launch_plan": False},
                "flyte_execution_queue_duration_seconds": {"enabled": False},
                "flyte_executions_launched_total": {"enabled": False},
            }
        }
    )
    await a_day(rig)
    p = 'project="etl",domain="production"'
    expected = f"""\
flyte_execution_duration_seconds_bucket{{{p},le="+Inf"}} 2
flyte_execution_duration_seconds_bucket{{{p},le="10.0"}} 1
flyte_execution_duration_seconds_bucket{{{p},le="60.0"}} 1
flyte_execution_duration_seconds_bucket{{{p},le="600.0"}} 2
flyte_execution_duration_seconds_count{{{p}}} 2
flyte_execution_duration_seconds_sum{{{p}}} 105
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="SYSTEM"}} 0
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="UNKNOWN"}} 1
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="USER"}} 0
flyte_executions_active{{{p},phase="RUNNING"}} 1
flyte_executions_active{{{p},phase="UNDEFINED"}} 1
flyte_executions_finished_total{{{p},mode="MANUAL",phase="FAILED"}} 1
flyte_executions_finished_total{{{p},mode="MANUAL",phase="SUCCEEDED"}} 2
flyte_executions_oldest_in_phase_timestamp_seconds{{{p},phase="RUNNING"}} {BEGAN + 50}
flyte_executions_oldest_in_phase_timestamp_seconds{{{p},phase="UNDEFINED"}} {BEGAN + 30}
flyte_executions_started_total{{{p}}} 4
"""
    assert samples(rig, Source.LEDGER, Source.LIVE) == expected.splitlines()
    document = b"".join(rig.exposition.snapshot(Format.TEXT))
    assert b"# HELP flyte_executions_launched_total" not in document
    assert b"# HELP flyte_executions_finished_total" in document
    rig.restart()
    await rig.poll(T)
    assert samples(rig, Source.LEDGER, Source.LIVE) == expected.splitlines()
    rig.poller(T).retire()
    assert samples(rig, Source.LIVE) == []


@pytest.mark.parametrize(
    ("metrics", "plan"),
    [
        ({"relabel": [{"match": ".*", "replacement": "all"}]}, ',launch_plan="all"'),
        ({"families": {key: {"launch_plan": False} for key in _EXEMPLIFIED}}, ""),
    ],
    ids=["renamed", "without launch plans"],
)
async def test_series_of_several_launch_plans_name_an_execution(
    make: MakeRig, metrics: dict[str, Any], plan: str
) -> None:
    """Of all that are counted there, the one that ended last; in a histogram, in its bucket."""
    rig = make(metrics)
    await a_day(rig)
    p = f'project="etl",domain="production"{plan}'
    expected = f"""\
flyte_execution_duration_seconds_bucket{{{p},le="+Inf"}} 2
flyte_execution_duration_seconds_bucket{{{p},le="10.0"}} 1 # {{execution="r1"}} 5 {BEGAN + 55}
flyte_execution_duration_seconds_bucket{{{p},le="60.0"}} 1
flyte_execution_duration_seconds_bucket{{{p},le="600.0"}} 2 # {{execution="j"}} 100 {BEGAN + 150}
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="SYSTEM"}} 0
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="UNKNOWN"}} 1 \
# {{execution="r2"}} 1 {BEGAN + 95}
flyte_execution_errors_total{{{p},mode="MANUAL",error_kind="USER"}} 0
flyte_executions_finished_total{{{p},mode="MANUAL",phase="FAILED"}} 1 \
# {{execution="r2"}} 1 {BEGAN + 95}
flyte_executions_finished_total{{{p},mode="MANUAL",phase="SUCCEEDED"}} 2 \
# {{execution="j"}} 1 {BEGAN + 150}
"""
    starts = tuple(name.replace("_seconds", "_seconds_bucket") for name in _EXEMPLIFIED)
    document = b"".join(rig.exposition.snapshot(Format.OPENMETRICS)).decode()
    found = sorted(line for line in document.splitlines() if line.startswith(starts))
    assert found == expected.splitlines()


async def test_live_executions_follow_a_rule_that_is_new(make: MakeRig) -> None:
    """What was live under its true name ends under the new one, and is counted there once."""
    rig = make({})
    await rig.poll(T)
    keys = [rig.launch(T, f"r{n}", launch_plan=f"daily_2026_11_2{n}") for n in (1, 2)]
    await rig.poll(T)
    configure(rig, {"relabel": [DATES]})
    rig.clock.advance(30)
    finish(rig, keys[0], after=5)
    await rig.poll(T)
    await rig.upkeep.release()
    plan = 'project="etl",domain="production",launch_plan="daily"'
    finished = f'flyte_executions_finished_total{{{plan},mode="MANUAL",phase="SUCCEEDED"}}'
    assert rig.metric(finished) == 1
    assert rig.metric(f'flyte_executions_launched_total{{{plan},mode="MANUAL"}}') == 2
    assert rig.metric(f'flyte_executions_active{{{plan},phase="UNDEFINED"}}') == 1
    assert not any("2026" in sample for sample in samples(rig, Source.LEDGER, Source.LIVE))
    assert rig.poller(T).has_live("daily")


@pytest.mark.parametrize("relabel", [[], [{"match": r"run-\d+", "replacement": "run"}]])
async def test_ten_thousand_names_stay_inside_the_budget(
    make: MakeRig, relabel: list[dict[str, str]]
) -> None:
    """A launch plan that is new with every run: the limit holds, and every count is there."""
    limit, runs = 1_000, 10_000
    rig = make({"relabel": relabel}, limit=limit)
    await rig.poll(T)
    for part in range(10):
        keys = [rig.launch(T, f"x{n}", launch_plan=f"run-{n}") for n in range(part, runs, 10)]
        for key in keys[:-1]:
            finish(rig, key, after=5)
        rig.clock.advance(30)
        await rig.poll(T)
        if part == 5:
            rig.restart()
    await rig.poll(T)
    await rig.upkeep.release()
    assert total(rig, catalog.EXECUTIONS_LAUNCHED) == runs
    assert total(rig, catalog.EXECUTIONS_FINISHED) == runs - 10
    assert total(rig, catalog.EXECUTION_DURATION) == runs - 10
    assert total(rig, catalog.EXECUTIONS_STARTED) == runs - 10
    series = samples(rig, Source.LEDGER, Source.LIVE)
    names = {line.partition('launch_plan="')[2].partition('"')[0] for line in series} - {""}
    diverted = rig.metric(
        f'flyte_exporter_series_overflow_total{{family="{catalog.EXECUTIONS_LAUNCHED.name}"}}'
    )
    assert len(samples(rig, *catalog.DIVERTIBLE)) <= limit
    if relabel:
        assert names == {"run"}
        assert total(rig, catalog.EXECUTIONS_ACTIVE) == 10
        assert diverted == 0
    else:
        assert OVERFLOW in names
        assert 50 < len(names) < 100
        assert diverted is not None
        assert diverted > 0
