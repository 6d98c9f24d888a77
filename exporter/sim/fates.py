"""
Each execution's fate is drawn once, from its own name: no other execution can change it.

So the world is the same whether it is advanced in one leap or in a thousand steps.
"""

import random
from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from exporter.sim.execution import ErrorSeen


class End(Enum):
    """How an execution is going to end."""

    SUCCESS = "success"
    FAILURE = "failure"
    ABORT = "abort"
    """A person stops it."""
    NEVER_RAN = "never-ran"
    """It fails before propeller reports it running."""
    NOT_LAUNCHED = "not-launched"
    """Kubernetes refuses it: FAILED from the start."""


class Fate(NamedTuple):
    """What is going to happen to one execution, in an undisturbed world."""

    end: End
    queued: timedelta
    runs: timedelta
    winding_up: timedelta
    """Between SUCCEEDING or FAILING and the end."""
    error: ErrorSeen
    """What it fails with, should it fail."""
    luck: float
    """0 to 1; in a failure spike the unlucky fail."""


_ERRORS = (
    ErrorSeen(
        "USER",
        "RetriesExhausted|USER:ValueError",
        "[3/3] currentAttempt done. Last Error: USER::Traceback (most recent call last):\n\n"
        '  File "/root/flyte/tasks.py", line 88, in clean\n    return frame.astype(schema)\n\n'
        "Message:\n\n    ValueError: could not convert string to float: 'n/a'\n\nUser error.",
    ),
    ErrorSeen(
        "USER",
        "RetriesExhausted|USER:RuntimeError",
        "[2/2] currentAttempt done. Last Error: USER::Traceback (most recent call last):\n\n"
        '  File "/root/flyte/load.py", line 31, in load\n    connection.execute(statement)\n\n'
        "Message:\n\n    RuntimeError: warehouse refused the connection\n\nUser error.",
    ),
    ErrorSeen(
        "USER",
        "RetriesExhausted|OOMKilled",
        "[1/1] currentAttempt done. Last Error: USER::\n[primary] terminated with exit code (137)."
        " Reason [OOMKilled]. Message: \n.",
    ),
    ErrorSeen(
        "USER",
        "RetriesExhausted|Interrupted",
        "[4/4] currentAttempt done. Last Error: SYSTEM::The node was low on resource: memory.",
    ),
    ErrorSeen(
        "SYSTEM",
        "ImagePullBackOff",
        'containers with unready status: [primary]|Back-off pulling image "registry/train:latest"',
    ),
    ErrorSeen("USER", "Timeout", "workflow timed out: active deadline exceeded"),
    ErrorSeen("UNKNOWN", "NodeAborted", "node was aborted by its parent"),
)
_WEIGHTS = (30, 15, 20, 12, 10, 8, 5)
_LAUNCH_REFUSED = ErrorSeen(
    "SYSTEM",
    "Internal",
    "failed to create workflow in propeller: etcdserver: request is too large",
)
_NEVER_RAN = ErrorSeen("SYSTEM", "MetadataPrefixCreationFailure", "failed to reach blob storage")
CHILD_FAILED = ErrorSeen(
    "USER",
    "RemoteChildWorkflowExecutionFailed",
    "launchplan [publish] child workflow execution failed",
)

_ABORTED_SHARE = 0.015
_NEVER_RAN_SHARE = 0.004
_NOT_LAUNCHED_SHARE = 0.003
_QUEUE_MEDIAN = timedelta(seconds=2)
_WINDING_UP = timedelta(seconds=1)


def fate(random_of: random.Random, *, typical: timedelta, failing: float, speed: float) -> Fate:
    """
    Draw a fate.

    Args:
        random_of: The execution's own source of chance.
        typical: Median duration at speed 1.
        failing: Share of failures among the likes of it.
        speed: How many times faster than life.
    """
    runs = typical * random_of.lognormvariate(0, 0.35) / speed
    queued = _QUEUE_MEDIAN * random_of.lognormvariate(0, 0.8) / speed
    error = random_of.choices(_ERRORS, _WEIGHTS)[0]
    luck, chance = random_of.random(), random_of.random()
    end = End.SUCCESS
    for share, possible in (
        (failing, End.FAILURE),
        (_ABORTED_SHARE, End.ABORT),
        (_NEVER_RAN_SHARE, End.NEVER_RAN),
        (_NOT_LAUNCHED_SHARE, End.NOT_LAUNCHED),
    ):
        if chance < share:
            end = possible
            break
        chance -= share
    if end in {End.FAILURE, End.ABORT}:
        runs *= random_of.uniform(0.05, 1)
    if end is End.NEVER_RAN:
        error = _NEVER_RAN
    elif end is End.NOT_LAUNCHED:
        error = _LAUNCH_REFUSED
    return Fate(end, queued, runs, min(_WINDING_UP / speed, runs / 2), error, luck)
