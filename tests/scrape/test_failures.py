"""What went wrong, from Admin to /metrics: the exposition is written down before anything runs."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from exporter.metrics import catalog
from exporter.metrics.catalog import Family
from exporter.metrics.formats import Format
from exporter.model.executions import Mode, Phase
from exporter.model.platform_codes import PLATFORM_CODES
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.sim.execution import ErrorSeen
from tests.rig import START, Rig

T = Target("etl", "production")

_BUG = ErrorSeen(
    "USER",
    "RetriesExhausted|USER:ValueError",
    "[3/3] currentAttempt done. Last Error: USER::Traceback (most recent call last):\n" + "x" * 500,
)
_NODE_LOST = ErrorSeen(
    "USER",
    "RetriesExhausted|Interrupted",
    "[4/4] currentAttempt done. Last Error: SYSTEM::The node was low on resource: memory.",
)
_HOSTILE = ErrorSeen("USER", 'USER:Evil"\x1b[31m\n' + "x" * 100, "\\")
_ABORTED_NODE = ErrorSeen("UNKNOWN", "NodeAborted", "node was aborted by its parent")

_EXPECTED = r"""
flyte_execution_errors_total{project="etl",domain="production",launch_plan="nightly",mode="SCHEDULED",error_kind="SYSTEM"} 2 # {execution="lost2"} 1 1790000055
flyte_execution_errors_total{project="etl",domain="production",launch_plan="nightly",mode="SCHEDULED",error_kind="USER"} 2 # {execution="evil"} 1 1790000065
flyte_execution_errors_total{project="etl",domain="production",launch_plan="publish",mode="CHILD_WORKFLOW",error_kind="SYSTEM"} 0
flyte_execution_errors_total{project="etl",domain="production",launch_plan="publish",mode="CHILD_WORKFLOW",error_kind="UNKNOWN"} 2 # {execution="silent"} 1 1790000085
flyte_execution_errors_total{project="etl",domain="production",launch_plan="publish",mode="CHILD_WORKFLOW",error_kind="USER"} 0
flyte_execution_error_codes_total{project="etl",domain="production",error_kind="SYSTEM",error_code="Interrupted"} 2
flyte_execution_error_codes_total{project="etl",domain="production",error_kind="UNKNOWN",error_code="NodeAborted"} 1
flyte_execution_error_codes_total{project="etl",domain="production",error_kind="UNKNOWN",error_code="none"} 1
flyte_execution_error_codes_total{project="etl",domain="production",error_kind="USER",error_code="USER:Evil\"[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"} 1
flyte_execution_error_codes_total{project="etl",domain="production",error_kind="USER",error_code="USER:ValueError"} 1
flyte_cluster_executions_finished_total{execution_cluster="eu-west-1-a",phase="FAILED"} 4
flyte_cluster_executions_finished_total{execution_cluster="eu-west-1-a",phase="SUCCEEDED"} 0
flyte_cluster_executions_finished_total{execution_cluster="eu-west-1-b",phase="FAILED"} 0
flyte_cluster_executions_finished_total{execution_cluster="eu-west-1-b",phase="SUCCEEDED"} 1
"""  # noqa: E501  # as it stands on /metrics


def exposed(rig: Rig, media: Format, *families: Family) -> list[str]:
    """Return the lines of *families* as a scrape gets them, in order."""
    document = b"".join(rig.exposition.snapshot(media)).decode()
    return [
        line
        for family in families
        for line in sorted(document.splitlines())
        if line.startswith(f"{family.name}{{")
    ]


def run(
    rig: Rig,
    name: str,
    *,
    phase: Phase = Phase.FAILED,
    error: ErrorSeen | None = None,
    launch_plan: str = "nightly",
    mode: Mode = Mode.SCHEDULED,
    cluster: str = "eu-west-1-a",
) -> None:
    """Launch an execution now and have it end 5 s later; 10 s go by."""
    key = rig.launch(T, name, launch_plan=launch_plan, mode=mode, cluster=cluster)
    now = rig.clock.now()
    rig.admin.executions.move(key, Phase.RUNNING, at=now)
    end = Micros(now + 5 * SECOND)
    rig.admin.executions.move(key, phase, at=end, received_at=now, error=error)
    rig.clock.advance(10)


async def rest(rig: Rig) -> None:
    """Poll, and let every hold end."""
    await rig.poll(T)
    rig.clock.advance(300)
    await rig.upkeep.release()


async def test_each_failure_is_told_by_kind_code_and_cluster(rig: Rig) -> None:
    """The true kind behind exhausted retries, codes fit to be read, and who failed last."""
    await rig.poll(T)
    rig.clock.advance(30)
    assert rig.clock.now() == START + 30 * SECOND
    run(rig, "bug", error=_BUG)
    run(rig, "lost1", error=_NODE_LOST)
    run(rig, "lost2", error=_NODE_LOST)
    run(rig, "evil", error=_HOSTILE)
    child: dict[str, Any] = {"launch_plan": "publish", "mode": Mode.CHILD_WORKFLOW, "cluster": ""}
    run(rig, "aborted-node", error=_ABORTED_NODE, **child)
    run(rig, "silent", **child)
    run(rig, "good", phase=Phase.SUCCEEDED, cluster="eu-west-1-b")
    run(rig, "stopped", phase=Phase.ABORTED, error=_BUG, **child)
    await rest(rig)
    families = (
        catalog.EXECUTION_ERRORS,
        catalog.EXECUTION_ERROR_CODES,
        catalog.CLUSTER_EXECUTIONS_FINISHED,
    )
    expected = _EXPECTED.strip().splitlines()
    assert exposed(rig, Format.OPENMETRICS, *families) == expected
    plain = [line.partition(" # ")[0] for line in expected]
    assert exposed(rig, Format.TEXT, *families) == plain


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_traced_poll_is_named_with_what_it_counted(rig: Rig, *, sampled: bool) -> None:
    """From the execution to the calls that told of it; a trace that is not kept leads nowhere."""
    await rig.poll(T)
    rig.clock.advance(30)
    run(rig, "bug", error=_BUG)
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    context = SpanContext(trace_id=0xABC, span_id=1, is_remote=False, trace_flags=flags)
    with use_span(NonRecordingSpan(context)):
        await rest(rig)
    trace = f',trace_id="{0xABC:032x}"' if sampled else ""
    failed = exposed(rig, Format.OPENMETRICS, catalog.EXECUTION_ERRORS)[-1]
    assert failed.endswith(f'error_kind="USER"}} 1 # {{execution="bug"{trace}}} 1 1790000035')


async def test_failures_and_errors_are_as_many(rig: Rig) -> None:
    """An execution that is over without an error is one of nobody's kind, and not left out."""
    await rig.poll(T)
    rig.clock.advance(30)
    for number, error in enumerate((_BUG, None, _HOSTILE, _NODE_LOST, None)):
        run(rig, f"x{number}", error=error)
    await rest(rig)
    totals = rig.totals()
    for family in (catalog.EXECUTION_ERRORS, catalog.EXECUTION_ERROR_CODES):
        assert sum(value for key, value in totals.items() if key[0] == family.name) == 5


async def test_one_that_was_seen_failing_counts_by_how_it_ends(rig: Rig) -> None:
    """FAILING has an error already; the final one may be another, and is the one that counts."""
    await rig.poll(T)
    rig.clock.advance(30)
    key = rig.launch(T, "x", launch_plan="nightly")
    now = rig.clock.now()
    rig.admin.executions.move(key, Phase.RUNNING, at=now)
    rig.admin.executions.move(key, Phase.FAILING, at=now, error=_BUG)
    await rig.poll(T)
    assert not any(value for key, value in rig.totals().items() if "error" in key[0])
    rig.admin.executions.move(key, Phase.FAILED, at=now, error=_NODE_LOST)
    rig.clock.advance(30)
    await rest(rig)
    counted = {key: value for key, value in rig.totals().items() if value and "error" in key[0]}
    assert counted == {
        (catalog.EXECUTION_ERRORS.name, *T, "nightly", "MANUAL", "SYSTEM"): 1,
        (catalog.EXECUTION_ERROR_CODES.name, *T, "SYSTEM", "Interrupted"): 1,
    }


async def test_the_first_codes_are_kept_over_a_restart(make_rig: Callable[..., Rig]) -> None:
    """Who has a series keeps it; the rest is `other`, before and after."""
    rig = make_rig()
    rig.varieties = {catalog.EXECUTION_ERROR_CODES: 2}
    rig.restart()
    await rig.poll(T)
    rig.clock.advance(30)
    for code in ("A", "B", "C"):
        run(rig, f"before-{code.lower()}", error=ErrorSeen("USER", code, ""))
    await rig.poll(T)
    rig.restart()
    for code in ("D", "C", "B"):
        run(rig, f"after-{code.lower()}", error=ErrorSeen("USER", code, ""))
    await rest(rig)
    name = catalog.EXECUTION_ERROR_CODES.name
    codes = {key[-1]: value for key, value in rig.totals().items() if key[0] == name}
    assert codes == {"A": 1, "B": 2, "other": 3}


async def test_codes_of_the_platform_have_places_of_their_own(make_rig: Callable[..., Rig]) -> None:
    """
    However many codes user code made up before, and over restarts: the alert names `OOMKilled`.

    They take no place from the others, and how many there can be stays known.
    """
    rig = make_rig()
    rig.varieties = {catalog.EXECUTION_ERROR_CODES: 20}
    rig.restart()
    await rig.poll(T)
    rig.clock.advance(30)
    for number in range(15):
        run(rig, f"early-{number}", error=ErrorSeen("USER", f"MadeUp{number}", ""))
    run(rig, "evicted", error=ErrorSeen("SYSTEM", "Evicted", ""))
    await rig.poll(T)
    rig.restart()
    for number in range(15, 22):
        run(rig, f"late-{number}", error=ErrorSeen("USER", f"MadeUp{number}", ""))
    run(rig, "killed", error=ErrorSeen("USER", "RetriesExhausted|OOMKilled", ""))
    for code in sorted(PLATFORM_CODES):
        slug = "".join(filter(str.isalnum, code)).lower()
        for kind in ("USER", "SYSTEM"):
            run(rig, f"{slug}-{kind.lower()}", error=ErrorSeen(kind, code, ""))
    await rest(rig)
    rig.restart()
    name = catalog.EXECUTION_ERROR_CODES.name
    counted = {key[-2:]: value for key, value in rig.totals().items() if key[0] == name}
    made_up = {("USER", f"MadeUp{number}"): 1 for number in range(20)}
    platform = {(kind, code): 1 for kind in ("USER", "SYSTEM") for code in PLATFORM_CODES}
    platform["USER", "OOMKilled"] = platform["SYSTEM", "Evicted"] = 2
    assert counted == {**made_up, **platform, ("USER", "other"): 2}
    assert rig.book.budget.used_by(catalog.EXECUTION_ERROR_CODES) == len(counted)


async def test_a_launch_that_was_refused_is_the_systems(rig: Rig) -> None:
    """FAILED from the start, without ever having run: no duration, but an error."""
    await rig.poll(T)
    rig.clock.advance(30)
    rig.launch(T, "refused", error=ErrorSeen("SYSTEM", "Internal", "failed to create workflow"))
    await rest(rig)
    totals = rig.totals()
    assert totals[catalog.EXECUTION_ERRORS.name, *T, "plan", "MANUAL", "SYSTEM"] == 1
    assert totals[catalog.EXECUTION_ERROR_CODES.name, *T, "SYSTEM", "Internal"] == 1
    assert totals[catalog.EXECUTION_DURATION.name, *T, "plan"] == 0
