"""The page of all metrics, and the README's table of them, written from the catalog itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import (
    CACHE_LOOKUPS,
    CLUSTER_EXECUTIONS_FINISHED,
    EXECUTION_DURATION,
    EXECUTION_ERROR_CODES,
    EXECUTION_ERRORS,
    EXECUTION_QUEUE_DURATION,
    FAMILIES,
    SCHEDULE_DELAY,
    SCHEDULE_MISSED,
    SCHEDULE_SKIPPED,
    TASK_ATTEMPTS,
    TASK_DURATION,
    TASK_QUEUE_DURATION,
    Family,
    Kind,
    Source,
)
from exporter.metrics.owners import OTHER
from exporter.metrics.places import RETENTION
from exporter.model.failures import NO_CODE
from exporter.model.launch_plans import SHOWN_FOR

BEGIN = "<!-- metrics:begin -->\n"
"""Where a page that embeds the table has it begin, and"""
END = "<!-- metrics:end -->\n"
"""where it ends."""


def _named() -> str:
    *others, last = (_name(family) for family in FAMILIES if family.exemplars)
    return f"{', '.join(others)}\n  or {last}"


def _name(family: Family) -> str:
    return f"`{family.name}`"


_INTRODUCTION = f"""\
<!-- Written by: make docs -->

# Metrics

`/metrics` speaks the Prometheus text format 0.0.4 and OpenMetrics 1.0, by the scraper's `Accept`
header. What holds for all families:

- **Label values are Flyte's own**: phases and modes in upper case, `.flytegen.<task>` as the launch
  plan of a single-task execution. One that this release does not know is `UNRECOGNIZED`.
- **No label names an execution.** `mode` tells children (`CHILD_WORKFLOW`) from root executions, so
  that one failure need not count twice.
- **Timestamps, not ages**: `time() - <metric>` is the age. What is unknown is absent, and not 0.
- **Each execution is counted once**, across restarts and crashes. Counters and histograms of
  executions never step back, and live for {RETENTION.days} days after their launch plan's last one,
  and while it is active.
- **A series shows 0 first**, for `metrics.first_sample_hold`, and after a restart shows for as long
  what it stood at before: otherwise `increase()` would miss what was counted meanwhile. Gauges are
  never held back.
- **Exemplars**: in OpenMetrics, a sample of {_named()}
  names an execution that it counted lately: `# {{execution="a6nwlt2rdlkjv9mpzq7x"}}`. Of those
  that a poll counts together it is the last to end, and in a histogram also the longest. Where the
  poll is [traced](tracing.md), `trace_id` names its trace. Prometheus keeps exemplars with
  `--enable-feature=exemplar-storage`. They are in memory only: a restart forgets them, and a series
  that is held back has none.
- **Past `metrics.series_limit`** new launch plans are counted under `{OVERFLOW}`: no count is lost.
- **`metrics.relabel`** renames launch plans; **`metrics.families`** has a family do without them,
  leaves it out, or limits it: see [Cardinality](cardinality.md).

Below each table, every family has a question that it answers and a PromQL expression that does.
They run on Prometheus 2.42 and later. Each aggregates first, by `sum` what is counted and by `max`
or `min` what is a state, so that it holds as well while one exporter takes over from another. A
window is to span four scrapes at least; a counter of rare events wants hours.
"""


def _of(source: Source) -> tuple[Family, ...]:
    return tuple(family for family in FAMILIES if family.source is source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    title: str
    introduction: str
    families: tuple[Family, ...]


_KEPT_OF_SCHEDULES = (SCHEDULE_MISSED, SCHEDULE_SKIPPED, SCHEDULE_DELAY)
_TASKS = (TASK_DURATION, TASK_QUEUE_DURATION, TASK_ATTEMPTS, CACHE_LOOKUPS)

_SECTIONS = (
    _Section(
        title="Executions",
        introduction=f"""\
Durable totals, kept in the ledger. The bounds of `{EXECUTION_DURATION.name}` are
`metrics.duration_buckets`, those of `{EXECUTION_QUEUE_DURATION.name}` are
`metrics.queue_buckets`; histograms whose bounds are changed begin anew, those of tasks with them,
and nothing else does.

**Failures.** `{EXECUTION_ERRORS.name}` and `{EXECUTION_ERROR_CODES.name}` grow by one for
each execution that ends FAILED or TIMED_OUT. `error_kind` says whose fault it was: `USER` (code or
data of the pipeline), `SYSTEM` (the platform), `UNKNOWN`. Flyte calls whatever failed until its
retries were exhausted the user's; here the kind is that of the last attempt. `error_code` is the
cause behind `RetriesExhausted|<code>`, without control characters and cut to 64. Codes are what
user code raises: the first `metrics.error_codes_limit` of a target are told apart, over restarts
too, and the rest is `{OTHER}`. Beside them Flyte's own, such as `OOMKilled` and `Timeout`, are told
apart while `metrics.series_limit` has room, whatever came before. A failure for which Admin has no
error is `UNKNOWN`, its code `{NO_CODE}`.

**Clusters.** `{CLUSTER_EXECUTIONS_FINISHED.name}` has executions whose cluster Admin names, as
a Flyte of several clusters does. It belongs to no target and is never forgotten.""",
        families=tuple(
            family for family in _of(Source.LEDGER) if family not in (*_KEPT_OF_SCHEDULES, *_TASKS)
        ),
    ),
    _Section(
        title="Live executions",
        introduction="""\
State of the executions that are not over, as of their target's last successful poll.""",
        families=_of(Source.LIVE),
    ),
    _Section(
        title="Launch plans",
        introduction=f"""\
How the last root executions of each launch plan went, kept in the ledger; `TIMED_OUT` is a failure
here. A cold start learns it from `scrape.lookback`, and asks further back only for an active launch
plan with no end in there but aborts: a nightly one that failed five nights running has one failure
in a row at first. Shown until {SHOWN_FOR.days} days after the last run; beyond that while one of
its executions is not over, while it is active where it has a schedule, and while an entry of
`freshness` holds for it: what is overdue stays overdue.

**Freshness.** A limit is shown with what it is compared with: the newest success, or since when the
launch plan is active, whichever is later: one that is switched on again after weeks has its limit's
time for its first success. An entry of `freshness` holds for a launch plan that is not active, too,
once a success of it is known, since others may run it. It does not for one that this exporter has
seen deactivated, over restarts too, until that is active again. Whatever was switched off before
the exporter first ran, Admin does not tell from what was never active: a narrower pattern leaves it
out, or an earlier entry that matches it and has a long limit.""",
        families=_of(Source.PLAN),
    ),
    _Section(
        title="Schedules",
        introduction="""\
How active launch plans keep their schedules, read as Flyte's own scheduler reads them: in its
dialect of cron, and by the clock of the zone that a line names; where it names none, of
`schedules.timezone`, by default UTC. A slot is judged once: it ran if an execution says so, however
late it was launched. It was missed, or under a concurrency policy skipped, once an execution for a
later slot was launched an hour ago, or after a day: a scheduler that starts runs what is due from
then on in its time, and catches up on the slots before that meanwhile, which takes it minutes where
they are many. A listing after the slot, which comes every `discovery.interval`, must have shown
that the launch plan still had the schedule. Slots are judged from a minute after the launch plan
was first seen with it; those that wait for their verdict when it is switched off, or gets another
schedule, get none. Skipped are slots at which as many executions ran as the concurrency policy
allows. An `@every` line begins its period anew whenever the scheduler starts: the launch plan seems
to be behind from the slot that it would have had until its next run, and nothing was missed. A rate
keeps its slots. A launch plan whose policy allows none owes no slot: its schedule stands in
`flyte_launch_plan_info` alone, and gives it no freshness limit. What is due and what ran is shown
at once, while the launch plan is active; what was missed, skipped and late are totals, kept in the
ledger.""",
        families=(*_of(Source.SCHEDULE), *_KEPT_OF_SCHEDULES),
    ),
    _Section(
        title="Tasks",
        introduction=f"""\
Durable totals of the tasks of finished executions, where `tasks.match` names their launch plan:
none by default. [Tasks](tasks.md) says what counts, and what it costs. The bounds of
`{TASK_DURATION.name}` are `metrics.duration_buckets`, those of
`{TASK_QUEUE_DURATION.name}` are `metrics.queue_buckets`.""",
        families=_TASKS,
    ),
    _Section(
        title="Inventory",
        introduction="""\
What is registered, listed every `discovery.interval`. A launch plan that is deactivated loses these
gauges, those of its schedule and its freshness limit with the next complete listing; how its last
executions went is shown for as long as of any other, and its counters live on. `flyte_project_info`
has a label for each of `discovery.project_labels`, called as kube-state-metrics would call it:
`data-owner` becomes `label_data_owner`.""",
        families=_of(Source.INVENTORY),
    ),
    _Section(
        title="Targets",
        introduction="""\
How the scraping of each pair of project and domain goes. The metrics of a target are as old as its
last success.""",
        families=_of(Source.TARGET),
    ),
    _Section(
        title="The exporter itself",
        introduction="""\
About this process and its calls to Flyte Admin; they start anew with it. Those of the Python
runtime (`process_*`, `python_*`) stand beside them.""",
        families=_of(Source.PROCESS),
    ),
)
"""What belongs together, in the order of the page."""

_HEAD = (("Metric", "Type", "Labels", "Meaning"), ("---",) * 4)


def reference() -> str:
    """Return the page as Markdown: in each section a table, then what its families answer."""
    return "\n".join([_INTRODUCTION, *map(_written, _SECTIONS)])


def table() -> str:
    """Return all families as one Markdown table."""
    ordered = [family for section in _SECTIONS for family in section.families]
    return _table((_name(f), f.kind.value, _labels(f), f.help) for f in ordered)


def embed(page: str) -> str:
    """
    Return *page* with the table between its markers, in place of what is there.

    Raises:
        ValueError: *page* does not have each marker once, in order, on lines of their own.
    """
    head, begun, rest = page.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended) or BEGIN in rest or END in tail:
        raise ValueError(
            f"expected {BEGIN.strip()} and then {END.strip()}, each once and on a line of its own"
        )
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def _written(section: _Section) -> str:
    described = _table(
        (f"[{_name(f)}](#{f.name})", _type(f), _labels(f), f.help) for f in section.families
    )
    answers = "\n".join(map(_answer, section.families))
    return f"## {section.title}\n\n{section.introduction}\n\n{described}\n{answers}"


def _answer(family: Family) -> str:
    return f"### {_name(family)}\n\n{family.question}\n\n```promql\n{family.example}\n```\n"


def _type(family: Family) -> str:
    if family.kind is Kind.HISTOGRAM and family.buckets:
        return f"histogram, bounds {' '.join(f'{bound:g}' for bound in family.buckets)}"
    return f"{family.kind.value}, exemplars" if family.exemplars else family.kind.value


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(map(_cell, cells))} |\n" for cells in (*_HEAD, *rows))


def _cell(text: str) -> str:
    # Two underscores would be taken for emphasis, and a bar for the end of the cell.
    return text.replace("__", r"\_\_").replace("|", r"\|")
