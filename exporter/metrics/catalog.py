"""
Every metric family that we expose, once.

Code refers to the family object, so a name is spelled in one place; the documentation is
generated from here. Label values are Flyte's own: phases and modes in upper case.
"""

from dataclasses import dataclass
from enum import Enum


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
    """

    name: str
    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def stem(self) -> str:
        """The family's name in OpenMetrics, which sets a counter's `_total` aside."""
        return self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name


LIMITED = (Source.LEDGER, Source.LIVE, Source.PLAN, Source.SCHEDULE, Source.INVENTORY)
"""Where what counts against `metrics.series_limit` comes from."""

TARGET = ("project", "domain")
LAUNCH_PLAN = (*TARGET, "launch_plan")
TASK = (*TARGET, "task")

EXECUTIONS_ACTIVE = Family(
    "flyte_executions_active",
    Kind.GAUGE,
    Source.LIVE,
    "Executions in a non-terminal phase at the target's last successful poll.",
    (*LAUNCH_PLAN, "phase"),
)
EXECUTIONS_OLDEST = Family(
    "flyte_executions_oldest_in_phase_timestamp_seconds",
    Kind.GAUGE,
    Source.LIVE,
    "When the execution that is in this phase for the longest entered it; absent when none is.",
    (*LAUNCH_PLAN, "phase"),
    unit="seconds",
)
EXECUTIONS_LAUNCHED = Family(
    "flyte_executions_launched_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions launched, each counted once. Mode CHILD_WORKFLOW marks the children of others.",
    (*LAUNCH_PLAN, "mode"),
)
EXECUTIONS_STARTED = Family(
    "flyte_executions_started_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that propeller began to run, each counted once.",
    TARGET,
)
EXECUTIONS_FINISHED = Family(
    "flyte_executions_finished_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Executions that reached a terminal phase, each counted once.",
    (*LAUNCH_PLAN, "mode", "phase"),
)
EXECUTION_DURATION = Family(
    "flyte_execution_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from start to end of executions that succeeded.",
    LAUNCH_PLAN,
    unit="seconds",
)
EXECUTION_QUEUE_DURATION = Family(
    "flyte_execution_queue_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from creation to start; 0 where propeller's clock is behind Admin's.",
    TARGET,
    unit="seconds",
)
PLAN_LAST_FINISHED = Family(
    "flyte_launch_plan_last_finished_timestamp_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "When the launch plan's newest root execution that succeeded, or failed, ended.",
    (*LAUNCH_PLAN, "phase"),
    unit="seconds",
)
PLAN_LAST_DURATION = Family(
    "flyte_launch_plan_last_duration_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "How long the launch plan's newest root execution that succeeded or failed ran.",
    LAUNCH_PLAN,
    unit="seconds",
)
PLAN_CONSECUTIVE_FAILURES = Family(
    "flyte_launch_plan_consecutive_failures",
    Kind.GAUGE,
    Source.PLAN,
    "Root executions that failed since one succeeded, up to 100; an abort is no failure.",
    LAUNCH_PLAN,
)
PLAN_EXPECTED_DURATION = Family(
    "flyte_launch_plan_expected_duration_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "What 95 in 100 of the last 64 successes did not exceed, from 5 on; or as configured.",
    LAUNCH_PLAN,
    unit="seconds",
)
PLAN_FRESHNESS_LIMIT = Family(
    "flyte_launch_plan_freshness_limit_seconds",
    Kind.GAUGE,
    Source.PLAN,
    "How old the newest success may be: as configured, or two periods of the schedule and a run.",
    LAUNCH_PLAN,
    unit="seconds",
)
SCHEDULE_MISSED = Family(
    "flyte_launch_plan_schedule_missed_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Slots of the schedule for which nothing ran, by when a later one had run or a day was over.",
    LAUNCH_PLAN,
)
SCHEDULE_SKIPPED = Family(
    "flyte_launch_plan_schedule_skipped_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Slots for which nothing ran because others did and the concurrency policy is to skip.",
    LAUNCH_PLAN,
)
SCHEDULE_DELAY = Family(
    "flyte_execution_schedule_delay_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from the slot of a schedule to the creation of its execution; long after a catch-up.",
    TARGET,
    unit="seconds",
    buckets=(1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0),
)
SCHEDULE_LAST_DUE = Family(
    "flyte_launch_plan_schedule_last_due_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The newest slot older than the poll by schedules.grace that should have run; none skipped.",
    LAUNCH_PLAN,
    unit="seconds",
)
SCHEDULE_NEXT_DUE = Family(
    "flyte_launch_plan_schedule_next_due_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The next slot of the schedule.",
    LAUNCH_PLAN,
    unit="seconds",
)
SCHEDULE_LAST_RUN = Family(
    "flyte_launch_plan_schedule_last_run_timestamp_seconds",
    Kind.GAUGE,
    Source.SCHEDULE,
    "The newest slot of the schedule for which an execution was launched.",
    LAUNCH_PLAN,
    unit="seconds",
)
LAUNCH_PLAN_INFO = Family(
    "flyte_launch_plan_info",
    Kind.GAUGE,
    Source.INVENTORY,
    "Active version of a launch plan, its workflow and schedule (empty without one); always 1.",
    (*LAUNCH_PLAN, "workflow", "version", "schedule"),
)
LAUNCH_PLAN_ACTIVE_SINCE = Family(
    "flyte_launch_plan_active_since_timestamp_seconds",
    Kind.GAUGE,
    Source.INVENTORY,
    "When the launch plan was first seen active, whatever its version; absent while it is not.",
    LAUNCH_PLAN,
    unit="seconds",
)
TASK_DURATION = Family(
    "flyte_task_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from start to end of attempts at a task that succeeded; of a map task, of the whole.",
    TASK,
    unit="seconds",
)
TASK_QUEUE_DURATION = Family(
    "flyte_task_queue_duration_seconds",
    Kind.HISTOGRAM,
    Source.LEDGER,
    "Time from when an attempt at a task was first heard of to its start.",
    TASK,
    unit="seconds",
)
TASK_ATTEMPTS = Family(
    "flyte_task_attempts_total",
    Kind.COUNTER,
    Source.LEDGER,
    "Attempts at a task that ended, each counted once; of a map task, at each of its inputs.",
    (*TASK, "phase"),
)
CACHE_LOOKUPS = Family(
    "flyte_node_cache_lookups_total",
    Kind.COUNTER,
    Source.LEDGER,
    "What the cache did for a task, once for each node or input of a map task that asked it.",
    (*TASK, "cache_status"),
)
PROJECTS = Family(
    "flyte_projects",
    Kind.GAUGE,
    Source.INVENTORY,
    "Projects by state, whether or not they are scraped.",
    ("state",),
)
PROJECT_INFO = Family(
    "flyte_project_info",
    Kind.GAUGE,
    Source.INVENTORY,
    "Project labels that discovery.project_labels names, as label_*; absent without; always 1.",
    ("project",),
)
ADMIN_UP = Family(
    "flyte_admin_up",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether Flyte Admin answered the newest attempt: 1 also if it refused or its database failed.",
)
ADMIN_INFO = Family(
    "flyte_admin_info",
    Kind.GAUGE,
    Source.PROCESS,
    "Version of Flyte Admin; always 1.",
    ("version", "build"),
)
ADMIN_RPCS = Family(
    "flyte_admin_rpcs_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Calls to Flyte Admin by gRPC status, each counted once, after its retries.",
    ("method", "code"),
)
ADMIN_RPC_DURATION = Family(
    "flyte_admin_rpc_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that calls to Flyte Admin took, retries and waits included.",
    ("method",),
    unit="seconds",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ADMIN_RPC_RETRIES = Family(
    "flyte_admin_rpc_retries_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Attempts that followed a failed one, by the gRPC status of that one.",
    ("reason",),
)
ADMIN_RATE_LIMIT_WAIT = Family(
    "flyte_admin_rate_limit_wait_seconds_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Time that calls waited because of admin.rate_limit.",
    unit="seconds",
)
ADMIN_TOKEN_REFRESHES = Family(
    "flyte_admin_token_refreshes_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Access tokens asked for, by outcome.",
    ("outcome",),
)
ADMIN_TOKEN_EXPIRY = Family(
    "flyte_admin_token_expiry_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the access token expires; absent while there is none, or none that says so.",
    unit="seconds",
)
ADMIN_BREAKER_OPEN = Family(
    "flyte_admin_breaker_open",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether calls are held off because Flyte Admin cannot be reached.",
)
TARGET_LAST_SUCCESS = Family(
    "flyte_exporter_target_last_success_timestamp_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "When the target's last successful poll began; its metrics are as of then. Absent before.",
    TARGET,
    unit="seconds",
)
TARGET_POLL_DURATION = Family(
    "flyte_exporter_target_poll_duration_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "How long the target's last poll took.",
    TARGET,
    unit="seconds",
)
TARGET_INTERVAL = Family(
    "flyte_exporter_target_interval_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "Configured time between two polls of the target.",
    TARGET,
    unit="seconds",
)
TARGET_UP = Family(
    "flyte_exporter_target_up",
    Kind.GAUGE,
    Source.TARGET,
    "Whether the target's last poll succeeded; absent before the first.",
    TARGET,
)
TARGET_INVENTORY_SUCCESS = Family(
    "flyte_exporter_target_inventory_last_success_timestamp_seconds",
    Kind.GAUGE,
    Source.TARGET,
    "When the target's active launch plans were last listed; absent before this process did.",
    TARGET,
    unit="seconds",
)
POLLS = Family(
    "flyte_exporter_polls_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Polls by outcome: success, admin_error, timeout, ledger_error or internal_error.",
    ("outcome",),
)
POLL_ROWS = Family(
    "flyte_exporter_poll_rows_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Executions that Admin sent us, by step of the poll: new, live, reconcile or past.",
    ("step",),
)
RECONCILE_CORRECTIONS = Family(
    "flyte_exporter_reconcile_corrections_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Executions that only the reconcile found (missed, late) or that Admin lost (vanished).",
    ("reason",),
)
TASK_BACKLOG = Family(
    "flyte_exporter_task_backlog",
    Kind.GAUGE,
    Source.PROCESS,
    "Finished executions whose tasks are still to be counted.",
)
TASK_BACKLOG_DROPPED = Family(
    "flyte_exporter_task_backlog_dropped_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Finished executions whose tasks stay uncounted because more than tasks.backlog were waiting.",
)
TASK_EXECUTIONS = Family(
    "flyte_exporter_task_executions_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Finished executions looked at for their tasks: counted, gone, too_large or failed.",
    ("outcome",),
)
SERIES = Family(
    "flyte_exporter_series",
    Kind.GAUGE,
    Source.PROCESS,
    "Series that count against metrics.series_limit, and against that of their family.",
    ("family",),
)
SERIES_LIMIT = Family(
    "flyte_exporter_series_limit",
    Kind.GAUGE,
    Source.PROCESS,
    "Configured metrics.series_limit.",
)
SERIES_OVERFLOW = Family(
    "flyte_exporter_series_overflow_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Increments that went to __overflow__, and gauges left out, because a limit was reached.",
    ("family",),
)
CONFIG_RELOAD_SUCCESSFUL = Family(
    "flyte_exporter_config_last_reload_successful",
    Kind.GAUGE,
    Source.PROCESS,
    "Whether the configuration as last read, at the start or on a reload, is in effect.",
)
CONFIG_RELOAD_SUCCESS = Family(
    "flyte_exporter_config_last_reload_success_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the configuration in effect was last read.",
    unit="seconds",
)
BUILD_INFO = Family(
    "flyte_exporter_build_info",
    Kind.GAUGE,
    Source.PROCESS,
    "Version of flyte-exporter and of the Python that runs it; always 1.",
    ("version", "python"),
)
LEDGER_SIZE = Family(
    "flyte_exporter_ledger_size_bytes",
    Kind.GAUGE,
    Source.PROCESS,
    "Size of the ledger's files.",
    unit="bytes",
)
LEDGER_LAST_COMMIT = Family(
    "flyte_exporter_ledger_last_commit_timestamp_seconds",
    Kind.GAUGE,
    Source.PROCESS,
    "When the ledger was last written; absent until this process wrote it.",
    unit="seconds",
)
LEDGER_COMMIT_DURATION = Family(
    "flyte_exporter_ledger_commit_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that durable transactions took.",
    unit="seconds",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)
RENDER_DURATION = Family(
    "flyte_exporter_render_duration_seconds",
    Kind.HISTOGRAM,
    Source.PROCESS,
    "Time that rendering one commit's series took.",
    unit="seconds",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
)
SPANS = Family(
    "flyte_exporter_spans_total",
    Kind.COUNTER,
    Source.PROCESS,
    "Spans that ended, by outcome: exported, dropped (no room or time) or failed (collector).",
    ("outcome",),
)

FAMILIES: tuple[Family, ...] = tuple(
    value for value in dict(globals()).values() if isinstance(value, Family)
)
"""All of them, in the order in which they are exposed."""

BY_NAME = {family.name: family for family in FAMILIES}
