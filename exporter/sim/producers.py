"""
Who may report on an execution: propeller of the cluster it runs in, or one that gives no name.

Source: flyteadmin `pkg/manager/impl/validation/validation.go`, `ValidateCluster`.
"""

import grpc
from flyteidl.admin import event_pb2

from exporter.sim.execution import Stored
from exporter.sim.refusal import Refusal

DEFAULT_PRODUCER = "propeller"
"""A producer id that stands for every cluster."""


def is_accepted(stored: Stored, producer: str) -> bool:
    """Whether *producer* may report on *stored* as it is."""
    return producer in {"", DEFAULT_PRODUCER} or producer == stored.cluster


def other_cluster(stored: Stored, producer: str) -> Refusal:
    """Return the refusal of an event from a cluster that *stored* does not run in."""
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        f"Cluster/producer from event [{producer}] does not match existing workflow execution"
        f" clusterInDB: [{stored.cluster}]",
        reason=event_pb2.EventFailureReason(
            incompatible_cluster=event_pb2.EventErrorIncompatibleCluster(cluster=producer)
        ),
    )
