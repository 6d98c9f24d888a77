"""A version that is registered again is compared as Go's JSON."""

from flyteidl.admin import launch_plan_pb2, task_pb2
from flyteidl.core import tasks_pb2

from exporter.sim.differences import differences


def task(**template: object) -> task_pb2.TaskSpec:
    """Return a task specification."""
    return task_pb2.TaskSpec(template=tasks_pb2.TaskTemplate(**template))


def test_a_oneof_has_gos_names_in_its_path() -> None:
    """The choice of a oneof is a struct without JSON names in Go."""
    old = task(container={"image": "a:1", "args": ["x", "y"]})
    new = task(container={"image": "a:2", "args": ["x", "z", "more"]})
    assert differences(old, new) == [
        "/template/Target/Container/args/1:\n\t- y \n\t+ z",
        "/template/Target/Container/image:\n\t- a:1 \n\t+ a:2",
    ]
    pod = task(k8s_pod={"primary_container_name": "p"})
    assert differences(pod, task())[0].startswith("/template/Target:")


def test_what_one_version_lacks_is_nil() -> None:
    """A field that came or went is printed as Go prints nothing."""
    assert differences(task(type="a"), task()) == ["/template/type:\n\t- a \n\t+ <nil>"]


def test_maps_are_compared_by_key_and_printed_by_go() -> None:
    """Map entries are members of their own; numbers and booleans are plain."""
    old = launch_plan_pb2.LaunchPlanSpec(labels={"values": {"team": "ml"}}, max_parallelism=1)
    new = launch_plan_pb2.LaunchPlanSpec(overwrite_cache=True, max_parallelism=2)
    assert differences(old, new) == [
        "/labels:\n\t- map[values:map[team:ml]] \n\t+ <nil>",
        "/max_parallelism:\n\t- 1 \n\t+ 2",
        "/overwrite_cache:\n\t- <nil> \n\t+ true",
    ]
