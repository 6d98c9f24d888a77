"""
Filters and sorts name raw database columns, so the columns are part of Admin's interface.

Source: flyteadmin `pkg/repositories/models`, `pkg/common/entity.go`,
`pkg/manager/impl/util/filters.go`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The type of a column, by the name PostgreSQL calls it in its error texts."""

    TEXT = "text"
    INTEGER = "integer"
    BIGINT = "bigint"
    TIME = "timestamp with time zone"
    BYTES = "bytea"


class Entity(NamedTuple):
    """What one table is called in filters and in their error texts."""

    code: str
    prefix: str
    table: str
    columns: Mapping[str, Kind]


def _columns(
    *, text: str = "", integer: str = "", bigint: str = "", time: str = "", blob: str = ""
) -> Mapping[str, Kind]:
    kinds = {Kind.TEXT: text, Kind.INTEGER: integer, Kind.BIGINT: bigint, Kind.TIME: time}
    kinds[Kind.BYTES] = blob
    return {name: kind for kind, names in kinds.items() for name in names.split()}


_BASE_TIMES = "created_at updated_at deleted_at"

EXECUTION = Entity(
    "e",
    "execution",
    "executions",
    _columns(
        text="execution_project execution_domain execution_name phase abort_cause cluster"
        " inputs_uri user_inputs_uri error_kind error_code user launch_entity",
        integer="mode state",
        bigint="id launch_plan_id workflow_id task_id source_execution_id parent_node_execution_id "
        "duration",
        time=f"{_BASE_TIMES} started_at execution_created_at execution_updated_at",
        blob="closure spec",
    ),
)
LAUNCH_PLAN = Entity(
    "l",
    "launch_plan",
    "launch_plans",
    _columns(
        text="project domain name version schedule_type launch_condition_type",
        integer="state",
        bigint="id workflow_id",
        time=_BASE_TIMES,
        blob="spec closure digest",
    ),
)
WORKFLOW = Entity(
    "w",
    "workflow",
    "workflows",
    _columns(
        text="project domain name version remote_closure_identifier short_description",
        bigint="id",
        time=_BASE_TIMES,
        blob="typed_interface digest",
    ),
)
TASK = Entity(
    "t",
    "task",
    "tasks",
    _columns(
        text="project domain name version type short_description",
        bigint="id",
        time=_BASE_TIMES,
        blob="closure digest",
    ),
)
PROJECT = Entity(
    "p",
    "project",
    "projects",
    _columns(
        text="identifier name description",
        integer="state",
        bigint="id",
        time=_BASE_TIMES,
        blob="labels",
    ),
)
EXECUTION_TAG = Entity(
    "et",
    "execution_tag",
    "execution_tags",
    _columns(
        text="execution_project execution_domain execution_name key value",
        bigint="id",
        time=_BASE_TIMES,
    ),
)
ADMIN_TAG = Entity(
    "at", "admin_tag", "execution_tags", _columns(text="name", bigint="id", time=_BASE_TIMES)
)
NODE_EXECUTION = Entity(
    "ne",
    "node_execution",
    "node_executions",
    _columns(
        text="execution_project execution_domain execution_name node_id phase input_uri error_kind"
        " error_code cache_status dynamic_workflow_remote_closure_reference",
        bigint="id duration parent_id parent_task_execution_id",
        time=f"{_BASE_TIMES} started_at node_execution_created_at node_execution_updated_at",
        blob="closure node_execution_metadata internal_data",
    ),
)
TASK_EXECUTION = Entity(
    "te",
    "task_execution",
    "task_executions",
    _columns(
        text="project domain name version execution_project execution_domain execution_name node_id"
        " phase input_uri",
        bigint="id retry_attempt phase_version duration",
        time=f"{_BASE_TIMES} started_at task_execution_created_at task_execution_updated_at",
        blob="closure",
    ),
)
NAMED_ENTITY = Entity(
    "nen",
    "entities",
    "entities",
    _columns(text="project domain name description", integer="resource_type state"),
)
NAMED_ENTITY_METADATA = Entity(
    "nem",
    "named_entity_metadata",
    "entities",
    _columns(text="project domain name description", integer="resource_type state", bigint="id"),
)

_NOT_KEPT = tuple(
    Entity(code, prefix, "", {})
    for code, prefix in (
        ("s", "signal"),
        ("eat", "execution_admin_tag"),
    )
)
"""Entities that filters may name but none of our lists may join."""

BY_PREFIX = {
    entity.prefix: entity
    for entity in (
        EXECUTION,
        LAUNCH_PLAN,
        WORKFLOW,
        TASK,
        PROJECT,
        EXECUTION_TAG,
        ADMIN_TAG,
        NODE_EXECUTION,
        TASK_EXECUTION,
        NAMED_ENTITY,
        NAMED_ENTITY_METADATA,
        *_NOT_KEPT,
    )
}

JOINABLE = {
    EXECUTION.code: {"e", "l", "w", "t", "at", "et"},
    LAUNCH_PLAN.code: {"l", "w"},
    NODE_EXECUTION.code: {"ne", "e"},
    TASK_EXECUTION.code: {"te", "t", "e", "ne"},
    NAMED_ENTITY.code: {"nen", "nem"},
    PROJECT.code: {"p"},
}
"""Which entities a list of an entity may filter on, by code."""
