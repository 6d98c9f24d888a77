"""
How many executions of a launch plan may run at once.

Those that wait for propeller do not count, so whoever launches several in a row exceeds the limit.

Source: flyteadmin `execution_manager.go`, `checkLaunchPlanConcurrency`.
"""

from typing import Any

import grpc
from flyteidl.admin import launch_plan_pb2

from exporter.sim.refusal import Refusal
from exporter.sim.store import Store

_RUNNING = (
    "SELECT COUNT(*) FROM executions"
    " INNER JOIN launch_plans ON executions.launch_plan_id = launch_plans.id"
    " WHERE executions.execution_project = ? AND executions.execution_domain = ?"
    " AND launch_plans.name = ? AND executions.phase IN ('QUEUED', 'RUNNING')"
)


def refuse_past_limit(store: Store, plan: Any) -> None:
    """
    Check that the concurrency policy of *plan* allows one more, whatever versions the others have.

    Raises:
        Refusal: ALREADY_EXISTS, with which the scheduler is content.
    """
    if not plan.spec.HasField("concurrency_policy"):
        return
    policy, name = plan.spec.concurrency_policy, plan.id.name
    (count,) = store.row(_RUNNING, [plan.id.project, plan.id.domain, name])
    if count < policy.max:
        return
    if policy.behavior == launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP:
        raise Refusal(
            grpc.StatusCode.ALREADY_EXISTS,
            f"concurrency limit ({policy.max}) reached for launch plan {name}; skipping execution",
        )
    if policy.behavior != launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_UNSPECIFIED:
        raise Refusal(
            grpc.StatusCode.INTERNAL,
            f"unsupported concurrency-limit behavior: {policy.behavior}",
        )
