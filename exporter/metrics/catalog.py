"""
Every metric family that we expose, once.

Code refers to the family object, so a name is spelled in one place; the documentation is
generated from here. Label values are Flyte's own: phases and modes in upper case.
"""

from dataclasses import dataclass, field
from enum import Enum
from textwrap import dedent

from exporter.model.launch_plans import SHOWN_FOR


def _promql(text: str) -> str:
    return dedent(text).strip()


class Kind(Enum):
    """How a family's samples behave; the values are those of a `# TYPE` line."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(Enum):
    """Where a family's samples come from."""

    LEDGER = "ledger"
    """Durable totals: they survive restarts and crashes."""
    LIVE = "live set"
    """State of the executions in a non-terminal phase, as of the last poll."""
    PLAN = "launch plan"
    """State of launch plans: what is kept in the ledger, and what is asked of them."""
    SCHEDULE = "schedule"
    """State of the schedules of active launch plans, as of their target's last successful poll."""
    INVENTORY = "inventory"
    """What Admin has registered, as of the last complete listing."""
    TARGET = "target"
    """State of the scraping of one target."""
    PROCESS = "process"
    """This process: starts anew with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """
    One metric family.

    Attributes:
        name: As it stands in a sample, `_total` included.
        help: One sentence for the person who reads it in Prometheus or Grafana.
        labels: In the order in which label values are given everywhere.
        unit: Base unit, when the name ends in it; empty otherwise.
        buckets: Upper bounds in seconds, for a histogram whose bounds are not configurable.
        exemplars: Whether its samples name an execution, where OpenMetrics is spoken.
        question: What a person asks that the family answers.
        example: One PromQL expression that answers it. It aggregates before it compares, so that
            it holds as well while one exporter takes over from another.
    """

    name: str
    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    exemplars: bool = False
    question: str = field(kw_only=True)
    example: str = field(kw_only=True)

    @property
    def stem(self) -> str:
        """The family's name in OpenMetrics, which sets a counter's `_total` aside."""
        return self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name

    @property
    def open_label(self) -> str:
        """Its label of which nobody knows the values beforehand; empty where there is none."""
        return next((label for label in self.labels if label in _OPEN_LABELS), "")


DIVERTIBLE = (Source.LEDGER, Source.LIVE, Source.PLAN, Source.SCHEDULE, Source.INVENTORY)
"""
Where what a limit can divert or leave out comes from.

Families of `Source.TARGET` count against `metrics.series_limit` too, but always have room.
"""

TARGET = ("project", "domain")
LAUNCH_PLAN = (*TARGET, "launch_plan")
TASK = (*TARGET, "task")
_OPEN_LABELS = frozenset({"launch_plan", "task", "error_code", "execution_cluster"})

EXECUTIONS_ACTIVE = Family(
    "flyte_executions_active",
    Kind.GAUGE,
    Source.LIVE,
    "Executions in a non-terminal phase at the target's last successful poll.",
    (*LAUNCH_PLAN, "phase"),
    question="How many executions wait, run or are being stopped right now?",
    example="sum by (project, domain, phase) (flyte_executions_active)",
)
EXECUTIONS_OLDEST = Family(
    "flyte_executions_oldest_in_phase_timestamp_seconds",
    Kind.GAUGE,
    Source.LIVE,
    "When the execution that is in this phase for the longest entered it; absent when none is.",
    (*LAUNCH_PLAN, "phase"),
    unit="seconds",
    question="For how long has the longest running execution of each launch plan been running?",
    example=_promql("""
        max by (project, domain) (flyte_exporter_target_last_success_timestamp_seconds)
        - on (project, domain) group_right ()
        min by (project, domain, launch_plan) (
          flyte_executions_oldest_in_phase_timestamp_seconds{phase="RUNNING"}
        )
    """),
)
EXECUTIONS_LAUNCHED = Family(
    "flyte_executions_launched_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions launched, each counted once. Mode CHILD_WORKFLOW marks the children of others.",
    (*LAUNCH_PLAN, "mode"),
    question="How much is launched in an hour: by hand, by schedule, and as children of others?",
    example="sum by (project, domain, mode) (increase(flyte_executions_launched_total[1h]))",
)
EXECUTIONS_STARTED = Family(
    "flyte_executions_started_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that propeller began to run, each counted once.",
    TARGET,
    question="Did propeller begin to run anything in the last half hour?",
    example="sum by (project, domain) (increase(flyte_executions_started_total[30m]))",
)
EXECUTIONS_FINISHED = Family(
    "flyte_executions_finished_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that reached a terminal phase, each counted once.",
    (*LAUNCH_PLAN, "mode", "phase"),
    exemplars=True,
    question="What share of the runs of each launch plan failed in the last hour?",
    example=_promql("""
        sum by (project, domain, launch_plan) (
          increase(
            flyte_executions_finished_total{
              phase=~"FAILED|TIMED_OUT", mode!="CHILD_WORKFLOW"
            }[1h]
          )
        )
        /
        (
          sum by (project, domain, launch_plan) (
            increase(
              flyte_executions_finished_total{phase!="ABORTED", mode!="CHILD_WORKFLOW"}[1h]
            )
          ) > 0
        )
    """),
)
EXECUTION_ERRORS = Family(
    "flyte_execution_errors_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that ended FAILED or TIMED_OUT, by whose fault it was: USER, SYSTEM or UNKNOWN.",
    (*LAUNCH_PLAN, "mode", "error_kind"),
    exemplars=True,
    question="Was it the code of the pipeline or the platform that failed in the last hour?",
    example=_promql("""
        sum by (project, domain, launch_plan, error_kind) (
          increase(flyte_execution_errors_total{mode!="CHILD_WORKFLOW"}[1h])
        )
    """),
)
EXECUTION_ERROR_CODES = Family(
    "flyte_execution_error_codes_total",
    Kind.COUNTER,
    Source.LEDGER,
    "The same executions by error code; past the limit, codes that users made up count as other.",
    (*TARGET, "error_kind", "error_code"),
    question="Which errors were the most frequent in the last day?",
    example=_promql("""
        topk(
          10,
          sum by (error_kind, error_code) (increase(flyte_execution_error_codes_total[1d]))
        )
    """),
)
EXECUTION_DURATION = Family(
    "flyte_execution_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from start to end of executions that succeeded.",
    LAUNCH_PLAN,
    unit="seconds",
    exemplars=True,
    question="How long do 95 in 100 successful runs of each launch plan take at most?",
    example=_promql("""
        histogram_quantile(
          0.95,
          sum by (project, domain, launch_plan, le) (
            rate(flyte_execution_duration_seconds_bucket[1d])
          )
        )
    """),
)
EXECUTION_QUEUE_DURATION = Family(
    "flyte_execution_queue_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from creation to start; 0 where propeller's clock is behind Admin's.",
    TARGET,
    unit="seconds",
    question="How long do 9 in 10 executions wait at most until propeller starts them?",
    example=_promql("""
        histogram_quantile(
          0.9,
          sum by (project, domain, le) (
            rate(flyte_execution_queue_duration_seconds_bucket[30m])
          )
        )
    """),
)
CLUSTER_EXECUTIONS_FINISHED = Family(
    "flyte_cluster_executions_finished_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that reached a terminal phase, by the cluster that Admin gave them to, if any.",
    ("execution_cluster", "phase"),
    question="On which cluster does an unusual share of executions fail?",
    example=_promql("""
        sum by (execution_cluster) (
          increase(
            flyte_cluster_executions_finished_total{phase=~"FAILED|TIMED_OUT"}[1h]
          )
        )
        /
        (
          sum by (execution_cluster) (
            increase(flyte_cluster_executions_finished_total{phase!="ABORTED"}[1h])
          ) > 0
        )
    """),
)
PLAN_LAST_FINISHED = Family(
    "flyte_launch_plan_last_finished_timestamp_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "When the launch plan's newest root execution that succeeded, or failed, ended.",
    (*LAUNCH_PLAN, "phase"),
    unit="seconds",
    question="How long ago did each launch plan last succeed?",
    example=_promql("""
        time()
        - max by (project, domain, launch_plan) (
          flyte_launch_plan_last_finished_timestamp_seconds{phase="SUCCEEDED"}
        )
    """),
)
PLAN_LAST_DURATION = Family(
    "flyte_launch_plan_last_duration_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "How long the launch plan's newest root execution that succeeded or failed ran.",
    LAUNCH_PLAN,
    unit="seconds",
    question="How many times its usual duration did the newest run of each launch plan take?",
    example=_promql("""
        max by (project, domain, launch_plan) (flyte_launch_plan_last_duration_seconds)
        /
        max by (project, domain, launch_plan) (flyte_launch_plan_expected_duration_seconds)
    """),
)
PLAN_CONSECUTIVE_FAILURES = Family(
    "flyte_launch_plan_consecutive_failures",
    Kind.GAUGE,
    Source.PLAN,
    "Root executions that failed since one succeeded, up to 100; an abort is no failure.",
    LAUNCH_PLAN,
    question="Which launch plans fail, and how many times in a row by now?",
    example="max by (project, domain, launch_plan) (flyte_launch_plan_consecutive_failures) > 0",
)
PLAN_EXPECTED_DURATION = Family(
    "flyte_launch_plan_expected_duration_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "What 95 in 100 of the last 64 successes did not exceed, from 5 on; or as configured.",
    LAUNCH_PLAN,
    unit="seconds",
    question=(
        "For how many times its usual duration has the oldest run of each launch plan been running?"
    ),
    example=_promql("""
        (
          max by (project, domain) (flyte_exporter_target_last_success_timestamp_seconds)
          - on (project, domain) group_right ()
          min by (project, domain, launch_plan) (
            flyte_executions_oldest_in_phase_timestamp_seconds{phase="RUNNING"}
          )
        )
        / on (project, domain, launch_plan)
        max by (project, domain, launch_plan) (flyte_launch_plan_expected_duration_seconds)
    """),
)
PLAN_FRESHNESS_LIMIT = Family(
    "flyte_launch_plan_freshness_limit_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "How old the newest success may be: as configured, or two periods of the schedule and a run.",
    LAUNCH_PLAN,
    unit="seconds",
    question=(
        "What share of the time that it may go without a success has each launch plan used up?"
    ),
    example=_promql("""
        (
          max by (project, domain) (flyte_exporter_target_last_success_timestamp_seconds)
          - on (project, domain) group_right ()
          # The newer of the two; both are there, as one alone has a phase.
          max by (project, domain, launch_plan) (
            flyte_launch_plan_last_finished_timestamp_seconds{phase="SUCCEEDED"}
            or
            flyte_launch_plan_active_since_timestamp_seconds
          )
        )
        / on (project, domain, launch_plan)
        max by (project, domain, launch_plan) (flyte_launch_plan_freshness_limit_seconds)
    """),
)
SCHEDULE_MISSED = Family(
    "flyte_launch_plan_schedule_missed_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Slots for which nothing ran within an hour from the run for a later one, or within a day.",
    LAUNCH_PLAN,
    question="How many runs that a schedule promised did not happen in the last day?",
    example=_promql("""
        sum by (project, domain, launch_plan) (
          increase(flyte_launch_plan_schedule_missed_total[1d])
        )
    """),
)
SCHEDULE_SKIPPED = Family(
    "flyte_launch_plan_schedule_skipped_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Slots for which nothing ran because others did and the concurrency policy is to skip.",
    LAUNCH_PLAN,
    question="How many slots were skipped in the last day because the run before was not over?",
    example=_promql("""
        sum by (project, domain, launch_plan) (
          increase(flyte_launch_plan_schedule_skipped_total[1d])
        )
    """),
)
SCHEDULE_DELAY = Family(
    "flyte_execution_schedule_delay_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from the slot of a schedule to the creation of its execution; long after a catch-up.",
    TARGET,
    unit="seconds",
    buckets=(1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0),
    question="How late are 95 in 100 scheduled executions launched at most?",
    example=_promql("""
        histogram_quantile(
          0.95,
          sum by (project, domain, le) (rate(flyte_execution_schedule_delay_seconds_bucket[1h]))
        )
    """),
)
SCHEDULE_LAST_DUE = Family(
    "flyte_launch_plan_schedule_last_due_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The newest slot older than the poll by schedules.grace that should have run; none skipped.",
    LAUNCH_PLAN,
    unit="seconds",
    question=(
        "How many seconds is each schedule behind, from its last run or its activation, whichever"
        " was later?"
    ),
    example=_promql("""
        clamp_min(
          max by (project, domain, launch_plan) (
            flyte_launch_plan_schedule_last_due_timestamp_seconds
          )
          # The newer of the two; both are there, as a label tells them apart.
          - max by (project, domain, launch_plan) (
            flyte_launch_plan_schedule_last_run_timestamp_seconds
            or
            label_replace(
              flyte_launch_plan_active_since_timestamp_seconds, "event", "activation", "", ""
            )
          ),
          0
        )
    """),
)
SCHEDULE_NEXT_DUE = Family(
    "flyte_launch_plan_schedule_next_due_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The next slot of the schedule.",
    LAUNCH_PLAN,
    unit="seconds",
    question="In how many seconds is each launch plan to run next?",
    example=_promql("""
        min by (project, domain, launch_plan) (
          flyte_launch_plan_schedule_next_due_timestamp_seconds
        )
        - time()
    """),
)
SCHEDULE_LAST_RUN = Family(
    "flyte_launch_plan_schedule_last_run_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The newest slot of the schedule for which an execution was launched.",
    LAUNCH_PLAN,
    unit="seconds",
    question="Which schedules have not run for the longest time?",
    example=_promql("""
        topk(
          10,
          time()
          - max by (project, domain, launch_plan) (
            flyte_launch_plan_schedule_last_run_timestamp_seconds
          )
        )
    """),
)
LAUNCH_PLAN_INFO = Family(
    "flyte_launch_plan_info",
    Kind.GAUGE,
    Source.INVENTORY,
    "Active version of a launch plan, its workflow and schedule (empty without one); always 1.",
    (*LAUNCH_PLAN, "workflow", "version", "schedule"),
    question="Which active launch plans fail: of which workflow, and active in which version now?",
    example=_promql("""
        max by (project, domain, launch_plan, workflow, version) (flyte_launch_plan_info)
        * on (project, domain, launch_plan) group_left ()
        (max by (project, domain, launch_plan) (flyte_launch_plan_consecutive_failures) > 0)
    """),
)
LAUNCH_PLAN_ACTIVE_SINCE = Family(
    "flyte_launch_plan_active_since_timestamp_seconds",
    Kind.GAUGE,
    Source.INVENTORY,
    "When the launch plan was first seen active, whatever its version; absent while it is not.",
    LAUNCH_PLAN,
    unit="seconds",
    question=(
        "For how long have launch plans been active that never succeeded, or did not run for"
        f" {SHOWN_FOR.days} days?"
    ),
    example=_promql("""
        time()
        - (
          min by (project, domain, launch_plan) (
            flyte_launch_plan_active_since_timestamp_seconds
          )
          unless on (project, domain, launch_plan)
          flyte_launch_plan_last_finished_timestamp_seconds{phase="SUCCEEDED"}
        )
    """),
)
TASK_DURATION = Family(
    "flyte_task_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from start to end of attempts at a task that succeeded; of a map task, of the whole.",
    TASK,
    unit="seconds",
    question="How long do 95 in 100 successful attempts at each task take at most?",
    example=_promql("""
        histogram_quantile(
          0.95,
          sum by (project, domain, task, le) (rate(flyte_task_duration_seconds_bucket[1d]))
        )
    """),
)
TASK_QUEUE_DURATION = Family(
    "flyte_task_queue_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from when an attempt at a task was first heard of to its start.",
    TASK,
    unit="seconds",
    question="Which tasks wait longest for the cluster, on average over the last hour?",
    example=_promql("""
        topk(
          10,
          sum by (project, domain, task) (rate(flyte_task_queue_duration_seconds_sum[1h]))
          /
          sum by (project, domain, task) (rate(flyte_task_queue_duration_seconds_count[1h]))
        )
    """),
)
TASK_ATTEMPTS = Family(
    "flyte_task_attempts_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Attempts at a task that ended, each counted once; of a map task, at each of its inputs.",
    (*TASK, "phase"),
    question="Which tasks fail most often?",
    example=_promql("""
        topk(
          10,
          sum by (project, domain, task) (
            increase(flyte_task_attempts_total{phase="FAILED"}[1d])
          ) > 0
        )
    """),
)
CACHE_LOOKUPS = Family(
    "flyte_node_cache_lookups_total",
    Kind.COUNTER,
    Source.LEDGER,
    "What the cache did for a task, once for each node or input of a map task that asked it.",
    (*TASK, "cache_status"),
    question="How often does the cache have the answer for a task that asks it?",
    example=_promql("""
        sum by (project, domain, task) (
          rate(flyte_node_cache_lookups_total{cache_status="CACHE_HIT"}[1d])
        )
        /
        sum by (project, domain, task) (rate(flyte_node_cache_lookups_total[1d]))
    """),
)
PROJECTS = Family(
    "flyte_projects",
    Kind.GAUGE,
    Source.INVENTORY,
    "Projects by state, whether or not they are scraped.",
    ("state",),
    question="How many projects are there, and how many of them are archived?",
    example="max by (state) (flyte_projects)",
)
PROJECT_INFO = Family(
    "flyte_project_info",
    Kind.GAUGE,
    Source.INVENTORY,
    "Project labels that discovery.project_labels names, as label_*; absent without; always 1.",
    ("project",),
    question="Whose projects fail most, where projects have a label `team`?",
    example=_promql("""
        sum by (label_team) (
          sum by (project) (increase(flyte_executions_finished_total{phase="FAILED"}[1d]))
          * on (project) group_left (label_team)
          max by (project, label_team) (flyte_project_info)
        )
    """),
)
ADMIN_UP = Family(
    "flyte_admin_up",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether Flyte Admin answered the newest attempt: 1 also if it refused or its database failed.",
    question="Can every exporter reach Flyte Admin?",
    example="min(flyte_admin_up)",
)
ADMIN_INFO = Family(
    "flyte_admin_info",
    Kind.GAUGE,
    Source.PROCESS,
    "Version of Flyte Admin; always 1.",
    ("version", "build"),
    question="Is a new version of Flyte Admin slower than the one before?",
    example=_promql("""
        histogram_quantile(
          0.95,
          sum by (version, le) (
            rate(flyte_admin_rpc_duration_seconds_bucket[10m])
            * on (job, instance) group_left (version)
            flyte_admin_info
          )
        )
    """),
)
ADMIN_RPCS = Family(
    "flyte_admin_rpcs_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Calls to Flyte Admin by gRPC status, each counted once, after its retries.",
    ("method", "code"),
    question="What share of the calls to Flyte Admin fails because of it or of the network?",
    example=_promql("""
        sum by (method) (
          rate(
            flyte_admin_rpcs_total{code=~"UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL|UNKNOWN"}[10m]
          )
        )
        /
        (sum by (method) (rate(flyte_admin_rpcs_total[10m])) > 0)
    """),
)
ADMIN_RPC_DURATION = Family(
    "flyte_admin_rpc_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that calls to Flyte Admin took, retries and waits included.",
    ("method",),
    unit="seconds",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    question="Within what time does Flyte Admin answer 99 in 100 calls?",
    example=_promql("""
        histogram_quantile(
          0.99,
          sum by (method, le) (rate(flyte_admin_rpc_duration_seconds_bucket[10m]))
        )
    """),
)
ADMIN_RPC_RETRIES = Family(
    "flyte_admin_rpc_retries_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Attempts that followed a failed one, by the gRPC status of that one.",
    ("reason",),
    question="How often did calls have to be tried again in the last hour, and why?",
    example="sum by (reason) (increase(flyte_admin_rpc_retries_total[1h]))",
)
ADMIN_RATE_LIMIT_WAIT = Family(
    "flyte_admin_rate_limit_wait_seconds_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Time that calls waited because of admin.rate_limit.",
    unit="seconds",
    question="How long does a call wait because of admin.rate_limit, on average?",
    example=_promql("""
        sum(rate(flyte_admin_rate_limit_wait_seconds_total[10m]))
        /
        sum(rate(flyte_admin_rpcs_total[10m]))
    """),
)
ADMIN_TOKEN_REFRESHES = Family(
    "flyte_admin_token_refreshes_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Access tokens asked for, by outcome.",
    ("outcome",),
    question="Does the exporter get the access tokens that it asks for?",
    example="sum by (outcome) (increase(flyte_admin_token_refreshes_total[1h]))",
)
ADMIN_TOKEN_EXPIRY = Family(
    "flyte_admin_token_expiry_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the access token expires; absent while there is none, or none that says so.",
    unit="seconds",
    question="How long is the access token still good for?",
    example="min(flyte_admin_token_expiry_timestamp_seconds) - time()",
)
ADMIN_BREAKER_OPEN = Family(
    "flyte_admin_breaker_open",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether calls are held off because Flyte Admin cannot be reached.",
    question="For what share of the last hour were calls to Flyte Admin held off?",
    example="max(avg_over_time(flyte_admin_breaker_open[1h]))",
)
TARGET_LAST_SUCCESS = Family(
    "flyte_exporter_target_last_success_timestamp_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "When the target's last successful poll began; its metrics are as of then. Absent before.",
    TARGET,
    unit="seconds",
    question="How old is what the metrics of each target say?",
    example=_promql("""
        time()
        - max by (project, domain) (flyte_exporter_target_last_success_timestamp_seconds)
    """),
)
TARGET_POLL_DURATION = Family(
    "flyte_exporter_target_poll_duration_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "How long the target's last poll took.",
    TARGET,
    unit="seconds",
    question="What share of its interval does a poll of each target take?",
    example=_promql("""
        max by (project, domain) (flyte_exporter_target_poll_duration_seconds)
        /
        max by (project, domain) (flyte_exporter_target_interval_seconds)
    """),
)
TARGET_INTERVAL = Family(
    "flyte_exporter_target_interval_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "Configured time between two polls of the target.",
    TARGET,
    unit="seconds",
    question="How many intervals ago was each target last polled with success?",
    example=_promql("""
        (
          time()
          - max by (project, domain) (flyte_exporter_target_last_success_timestamp_seconds)
        )
        /
        max by (project, domain) (flyte_exporter_target_interval_seconds)
    """),
)
TARGET_UP = Family(
    "flyte_exporter_target_up",
    Kind.GAUGE,
    Source.TARGET,
    "Whether the target's last poll succeeded; absent before the first.",
    TARGET,
    question="What share of all targets was polled with success the last time?",
    example="avg(max by (project, domain) (flyte_exporter_target_up))",
)
TARGET_INVENTORY_SUCCESS = Family(
    "flyte_exporter_target_inventory_last_success_timestamp_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "When the target's active launch plans were last listed; absent before this process did.",
    TARGET,
    unit="seconds",
    question="How old is what the metrics say of the active launch plans of each target?",
    example=_promql("""
        time()
        - max by (project, domain) (
          flyte_exporter_target_inventory_last_success_timestamp_seconds
        )
    """),
)
POLLS = Family(
    "flyte_exporter_polls_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Polls by outcome: success, admin_error, timeout, ledger_error or internal_error.",
    ("outcome",),
    question="What share of the polls failed in the last hour, and of what?",
    example=_promql("""
        sum by (outcome) (increase(flyte_exporter_polls_total{outcome!="success"}[1h]))
        / on () group_left ()
        sum(increase(flyte_exporter_polls_total[1h]))
    """),
)
POLL_ROWS = Family(
    "flyte_exporter_poll_rows_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Executions that Admin sent us, by step of the poll: new, live, reconcile or past.",
    ("step",),
    question="How many executions a second does Flyte Admin have to send, by step of the poll?",
    example="sum by (step) (rate(flyte_exporter_poll_rows_total[10m]))",
)
RECONCILE_CORRECTIONS = Family(
    "flyte_exporter_reconcile_corrections_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Executions that only the reconcile found (missed, late) or that Admin lost (vanished).",
    ("reason",),
    question="How many executions did only the reconcile find (above 0: see scrape.overlap)?",
    example="sum by (reason) (increase(flyte_exporter_reconcile_corrections_total[1d]))",
)
TASK_BACKLOG = Family(
    "flyte_exporter_task_backlog",
    Kind.GAUGE,
    Source.PROCESS,
    "Finished executions whose tasks are still to be counted.",
    question="How many executions wait for their tasks to be counted?",
    example="max by (job) (flyte_exporter_task_backlog)",
)
TASK_BACKLOG_DROPPED = Family(
    "flyte_exporter_task_backlog_dropped_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Finished executions whose tasks stay uncounted because more than tasks.backlog were waiting.",
    question="Of how many executions did the tasks go uncounted because too many waited?",
    example="sum by (job) (increase(flyte_exporter_task_backlog_dropped_total[1d]))",
)
TASK_EXECUTIONS = Family(
    "flyte_exporter_task_executions_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Finished executions looked at for their tasks: counted, gone, too_large or failed.",
    ("outcome",),
    question="What comes of looking at executions for their tasks?",
    example="sum by (job, outcome) (rate(flyte_exporter_task_executions_total[1h]))",
)
SERIES = Family(
    "flyte_exporter_series",
    Kind.GAUGE,
    Source.PROCESS,
    "Series that count against metrics.series_limit, and against that of their family.",
    ("family",),
    question="Which families take up most of metrics.series_limit?",
    example="topk(5, max by (family) (flyte_exporter_series))",
)
SERIES_LIMIT = Family(
    "flyte_exporter_series_limit",
    Kind.GAUGE,
    Source.PROCESS,
    "Configured metrics.series_limit.",
    question=(
        "What share of metrics.series_limit is taken (at nine tenths launch plans find it full)?"
    ),
    example=_promql("""
        sum by (job, instance) (flyte_exporter_series)
        / on (job, instance)
        flyte_exporter_series_limit
    """),
)
SERIES_OVERFLOW = Family(
    "flyte_exporter_series_overflow_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Increments that went to __overflow__, and gauges left out, because a limit was reached.",
    ("family",),
    question="Which families had no room for something new in the last hour?",
    example="sum by (family) (increase(flyte_exporter_series_overflow_total[1h])) > 0",
)
CONFIG_RELOAD_SUCCESSFUL = Family(
    "flyte_exporter_config_last_reload_successful",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether the configuration as last read, at the start or on a reload, is in effect.",
    question="Is the configuration as last read in effect everywhere?",
    example="min(flyte_exporter_config_last_reload_successful)",
)
CONFIG_RELOAD_SUCCESS = Family(
    "flyte_exporter_config_last_reload_success_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the configuration in effect was last read.",
    unit="seconds",
    question="How long ago was the configuration in effect read?",
    example=_promql("""
        time()
        - max by (job, instance) (
          flyte_exporter_config_last_reload_success_timestamp_seconds
        )
    """),
)
BUILD_INFO = Family(
    "flyte_exporter_build_info",
    Kind.GAUGE,
    Source.PROCESS,
    "Version of flyte-exporter and of the Python that runs it; always 1.",
    ("version", "python"),
    question="Which versions of the exporter run, and on how many instances?",
    example="count by (version, python) (flyte_exporter_build_info)",
)
LEDGER_SIZE = Family(
    "flyte_exporter_ledger_size_bytes",
    Kind.GAUGE,
    Source.PROCESS,
    "Size of the ledger's files; up to some 32 MiB of it are SQLite's write-ahead log.",
    unit="bytes",
    question="How much of its disk does the ledger take?",
    example="max by (job, instance) (flyte_exporter_ledger_size_bytes)",
)
LEDGER_LAST_COMMIT = Family(
    "flyte_exporter_ledger_last_commit_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the ledger was last written; absent until this process wrote it.",
    unit="seconds",
    question="How long ago did the exporter last record anything?",
    example=_promql("""
        time()
        - max by (job, instance) (flyte_exporter_ledger_last_commit_timestamp_seconds)
    """),
)
LEDGER_COMMIT_DURATION = Family(
    "flyte_exporter_ledger_commit_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that durable transactions took.",
    unit="seconds",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
    question="Is the disk under the ledger fast: how long do 99 in 100 commits take at most?",
    example=_promql("""
        histogram_quantile(
          0.99,
          sum by (job, instance, le) (
            rate(flyte_exporter_ledger_commit_duration_seconds_bucket[10m])
          )
        )
    """),
)
RENDER_DURATION = Family(
    "flyte_exporter_render_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that rendering one commit's series took.",
    unit="seconds",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    question="How long does rendering the series of one commit take on average?",
    example=_promql("""
        sum by (job, instance) (rate(flyte_exporter_render_duration_seconds_sum[10m]))
        /
        sum by (job, instance) (rate(flyte_exporter_render_duration_seconds_count[10m]))
    """),
)
SPANS = Family(
    "flyte_exporter_spans_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Spans that ended, by outcome: exported, dropped (no room or time) or failed (collector).",
    ("outcome",),
    question="What share of the spans was lost in the last hour, and how?",
    example=_promql("""
        sum by (outcome) (increase(flyte_exporter_spans_total{outcome!="exported"}[1h]))
        / on () group_left ()
        sum(increase(flyte_exporter_spans_total[1h]))
    """),
)

FAMILIES: tuple[Family, ...] = tuple(
    value for value in dict(globals()).values() if isinstance(value, Family)
)
"""All of them, in the order in which they are exposed."""

BY_NAME = {family.name: family for family in FAMILIES}
