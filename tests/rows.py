"""
Rows as Admin would list them, in the few words that a test needs, and any of them at random.

With them the instants that tests speak of: so many seconds after a noon, or by the calendar.
"""

from datetime import UTC, datetime

from hypothesis import strategies as st

from exporter.model.executions import Execution, ExecutionId, Mode, Phase
from exporter.model.failures import Failure
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros, from_datetime

NOON = Micros(1_790_000_000 * SECOND)
"""When the executions of the tests were created, unless they say otherwise."""
TARGET = Target("flytesnacks", "production")

instants = st.integers(0, 4_000_000_000 * SECOND).map(Micros)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
targets = st.builds(Target, names, names)


def after(seconds: float) -> Micros:
    """Return the instant so many seconds after noon."""
    return Micros(NOON + round(seconds * SECOND))


def at(text: str) -> Micros:
    """Return an instant of 2026: `03-28 02:30`, with seconds if need be, UTC."""
    return from_datetime(datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC))


def execution(
    name: str = "a",
    phase: Phase = Phase.RUNNING,
    *,
    created: float = 0,
    started: float | None = None,
    updated: float = 0,
    lasted: float | None = None,
    launch_plan: str = "nightly",
    mode: Mode = Mode.SCHEDULED,
    cluster: str = "",
    failure: Failure | None = None,
) -> Execution:
    """Return a row; times are seconds after noon."""
    return Execution(
        ExecutionId(name, after(created)),
        phase,
        mode,
        launch_plan,
        None if started is None else after(started),
        after(updated),
        None if lasted is None else round(lasted * SECOND),
        cluster=cluster,
        failure=failure,
    )
