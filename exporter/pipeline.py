"""
One execution, from Admin's answer to the numbers on /metrics.

A poll (`scrape.poll`) asks Admin and hands the rows over as a `Batch` (`scrape.commits`). Here the
batch is digested against what is known:

1. `track.executions` finds what happened: launched, started, finished, vanished. Rows of a cold
   start are taken note of, and rows of the past (`Step.PAST`) not even that.
2. `track.schedules` notes which slots of schedules these executions ran for, and, where the batch
   has an agenda, gives every slot that is due its verdict: it ran, was missed or was skipped.
3. `metrics.measure` works out what events and verdicts add to which series, by the true names of
   launch plans; `metrics.labelling` has them go to the series that are configured.
4. Rows that only the reconcile found are noted as corrections.
5. `track.plans` takes the ends over into the state of their launch plans: of a poll those that
   happened, of a cold start and of the past those that no poll will tell.

The tasks of an execution that is over are asked for apart from its poll (`scrape.tasks`), and go
the same way: `track.tasks` says what is to be counted of them, `metrics.measure` where.

The `Digest` that comes out is committed to the ledger as one transaction (`ledger`), and only then
shown: `metrics.book` adds the increments to the series and renders them, and a scrape writes bytes
that exist. A crash before the commit counted nothing, a crash after it counted all.

Everything here is pure: no clock, no I/O, and the same batch digested twice adds nothing twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from exporter.metrics.labelling import AS_THEY_ARE, Labelling, labelled
from exporter.metrics.measure import Increments, measure, measure_tasks
from exporter.model.ends import ends_of
from exporter.model.events import Events, SteppedBack
from exporter.model.executions import TERMINAL, Execution, ExecutionId, Tracked
from exporter.model.launch_plans import PlanState
from exporter.model.schedules import Judgement, ScheduleState
from exporter.model.targets import Target
from exporter.model.tasks import Visited
from exporter.model.time import EPOCH, Micros
from exporter.track.executions import Known, Observed, miss, observe, prime
from exporter.track.plans import advance_all
from exporter.track.schedules import Agenda, judge_all, note
from exporter.track.tasks import tally


class Step(Enum):
    """Which question a batch's rows answered."""

    PRIME = "prime"
    """What is there at a cold start: taken note of, not counted."""
    POLL = "poll"
    """What was born, and what became of the live set."""
    MISSED = "missed"
    """The reconcile's list of live executions."""
    LATE = "late"
    """The reconcile's second look at the window of creation times."""
    PAST = "past"
    """How a launch plan fared before we looked: only its state is told, nothing is counted."""


class Correction(Enum):
    """What a reconcile had to put right; the values are those of the metric's label."""

    MISSED = "missed"
    LATE = "late"
    VANISHED = "vanished"


_CORRECTS = {Step.MISSED: Correction.MISSED, Step.LATE: Correction.LATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    Rows of one target that belong in one commit.

    Attributes:
        rows: As Admin answered them; any order, duplicates allowed.
        step: What was asked.
        settled_before: Rows created before this should have been seen by an earlier poll, so a
            reconcile that finds one new there has put something right; and rows of the past that
            no list will show again were.
        absent: Live executions that Admin answered NOT_FOUND for, in a reconcile.
        plans: States of launch plans, told by rows that were too many to be kept.
        schedules: States of their schedules, likewise.
        agenda: Launch plans whose slots are judged with it, after all that Admin has was committed.
    """

    target: Target
    rows: Sequence[Execution]
    step: Step = Step.POLL
    settled_before: Micros = EPOCH
    absent: Collection[ExecutionId] = ()
    plans: Mapping[str, PlanState] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleState] = field(default_factory=dict)
    agenda: Agenda | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """
    What a batch comes to.

    Attributes:
        rows: What is now known of the executions about which that changed.
        increments: What it adds to which series.
        corrections: What the reconcile put right.
        stepped_back: Executions seen unfinished after their end.
        finished: Executions that are over now.
        plans: States of the launch plans that it changed.
        schedules: How launch plans keep their schedules, where it changed that.
        judged: What became of the slots of the launch plans on its agenda.
    """

    target: Target
    rows: Mapping[ExecutionId, Tracked]
    increments: Increments
    corrections: Mapping[Correction, int]
    stepped_back: Sequence[SteppedBack]
    finished: Sequence[Execution] = ()
    plans: Mapping[str, PlanState] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleState] = field(default_factory=dict)
    judged: Mapping[str, Judgement] = field(default_factory=dict)


_NO_PLANS: Mapping[str, PlanState] = {}
_NO_SCHEDULES: Mapping[str, ScheduleState] = {}
_UNKNOWN = ScheduleState()


def digest(
    known: Known,
    batch: Batch,
    now: Micros,
    labelling: Labelling = AS_THEY_ARE,
    *,
    plans: Mapping[str, PlanState] = _NO_PLANS,
    schedules: Mapping[str, ScheduleState] = _NO_SCHEDULES,
) -> Digest:
    """
    Turn *batch* into what is to be committed.

    What it counts are the executions of a poll or a reconcile, and the verdicts on its agenda. Rows
    of `Step.PRIME` are remembered and those of `Step.PAST` are not; neither counts, and both tell
    how launch plans fared and for which slots they ran.

    Args:
        known: What was last committed of the batch's target.
        batch: What Admin answered.
        now: Our clock at the start of the poll.
        labelling: Which series there are.
        plans: States of the target's launch plans, likewise.
        schedules: How they keep their schedules, likewise.
    """
    match batch.step:
        case Step.PRIME:
            observed = prime(batch.rows, now)
            ends = ends_of([row for row in observed.events.primed if row.phase in TERMINAL])
        case Step.PAST:
            observed = Observed()
            ends = ends_of(_past(known, batch))
        case _:
            observed = observe(known, batch.rows, now)
            miss(known, batch.absent, observed)
            ends = observed.events.ends
    before = {**plans, **batch.plans} if batch.plans else plans
    kept = {**schedules, **batch.schedules} if batch.schedules else schedules
    events = observed.events
    launched = batch.rows if batch.step is Step.PAST else events.primed or events.launched
    changed = {**batch.schedules, **note(kept, launched, events.finished)}
    judged = judge_all({**kept, **changed}, batch.agenda) if batch.agenda else {}
    for launch_plan, judgement in judged.items():
        if judgement.state != changed.get(launch_plan, kept.get(launch_plan, _UNKNOWN)):
            changed[launch_plan] = judgement.state
    return Digest(
        target=batch.target,
        rows=observed.rows,
        increments=labelled(measure(batch.target, events, judged), labelling),
        corrections=_corrections(batch, events),
        stepped_back=events.stepped_back,
        finished=events.finished,
        plans={**batch.plans, **advance_all(before, ends, now)},
        schedules=changed,
        judged=judged,
    )


def digest_tasks(target: Target, visited: Sequence[Visited], labelling: Labelling) -> Increments:
    """Turn the *visited* nodes of one finished execution of *target* into what they add."""
    return labelled(measure_tasks(target, tally(visited)), labelling)


def _past(known: Known, batch: Batch) -> list[Execution]:
    """Return, once each, the ends in *batch* that will never be told by another one."""
    ended: list[Execution] = []
    for key, row in {row.id: row for row in batch.rows}.items():
        before = known.get(key)
        told = key.created_at < batch.settled_before if before is None else not before.is_live
        if told and row.phase in TERMINAL:
            ended.append(row)
    return ended


def _corrections(batch: Batch, events: Events) -> Mapping[Correction, int]:
    counted: dict[Correction, int] = {}
    if events.vanished:
        counted[Correction.VANISHED] = len(events.vanished)
    reason = _CORRECTS.get(batch.step)
    if reason is not None:
        missed = sum(row.id.created_at < batch.settled_before for row in events.launched)
        if missed:
            counted[reason] = missed
    return counted
