"""The real program, `flyte-exporter run`, and what it does while somebody watches from outside."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bench import settings
from bench.observation import Usage, free_port, get, total, wait_until_ready
from bench.processes import COMMAND, program
from exporter.metrics import catalog
from exporter.telemetry.outcomes import EXPORTED

_READY_SECONDS = 120.0


class Work(NamedTuple):
    """
    What was done in a stretch of time.

    Attributes:
        cpu_seconds: What that took, without what it takes to look.
        polls: How many polls were over, whatever came of them.
        calls: How often Admin was asked for executions.
        rows: How many it sent.
        ends: Executions that were counted as finished.
        spans: Spans that were exported.
    """

    cpu_seconds: float
    polls: int
    calls: int
    rows: int
    ends: int
    spans: int


def whole(works: Sequence[Work]) -> Work:
    """Return what was done in stretches that follow each other."""
    return Work(
        cpu_seconds=sum(work.cpu_seconds for work in works),
        polls=sum(work.polls for work in works),
        calls=sum(work.calls for work in works),
        rows=sum(work.rows for work in works),
        ends=sum(work.ends for work in works),
        spans=sum(work.spans for work in works),
    )


class Look(NamedTuple):
    """
    What was seen of the program at one moment.

    Attributes:
        document: What /metrics said.
        before: CPU seconds that the program had used until then.
        after: The same when the document was read. What the look costs is in no stretch, and of a
            poll that goes on meanwhile, that part is in none either.
    """

    document: bytes
    before: float
    after: float

    def until(self, end: "Look") -> Work:
        """Return what was done from this look until *end*."""
        polls, lists, gets, rows, ends, spans = (
            total(end.document, family, *having) - total(self.document, family, *having)
            for family, *having in (
                (catalog.POLLS,),
                (catalog.ADMIN_RPCS, 'method="ListExecutions"'),
                (catalog.ADMIN_RPCS, 'method="GetExecution"'),
                (catalog.POLL_ROWS,),
                (catalog.EXECUTIONS_FINISHED,),
                (catalog.SPANS, f'outcome="{EXPORTED}"'),
            )
        )
        return Work(end.before - self.after, polls, lists + gets, rows, ends, spans)


class Running:
    """The program while it runs."""

    def __init__(self, pid: int, port: int, *, ready_seconds: float) -> None:
        self.port = port
        self.ready_seconds = ready_seconds
        """Time from the command until every target was tried."""
        self._usage = Usage(pid)

    def document(self) -> bytes:
        """Return what /metrics says."""
        return get(self.port, "/metrics").body

    def look(self) -> Look:
        """Look at the program."""
        before = self._usage.cpu_seconds()
        return Look(self.document(), before, self._usage.cpu_seconds())


def watched(programs: Sequence[Running], seconds: float, *, times: int = 1) -> list[list[Work]]:
    """Watch *programs* side by side; return what each did in so many stretches of *seconds*."""
    begins = [(time.monotonic(), [each.look()]) for each in programs]
    for turn in range(1, times + 1):
        for each, (began, looks) in zip(programs, begins, strict=True):
            time.sleep(max(0.0, began + turn * seconds - time.monotonic()))
            looks.append(each.look())
    # To count takes longer than to look.
    return [[one.until(next_) for one, next_ in pairwise(looks)] for _, looks in begins]


@contextmanager
def running(
    admin: str, *, interval_seconds: int, **sections: Mapping[str, Any]
) -> Iterator[Running]:
    """Run the program over the Admin at *admin* while the block runs, once it is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        config = settings.write(
            Path(directory),
            admin=admin,
            port=port,
            scrape={"interval": f"{interval_seconds}s"},
            **sections,
        )
        began = time.monotonic()
        with program([COMMAND, "run", "--config", str(config)]) as process:
            wait_until_ready(port, seconds=_READY_SECONDS)
            yield Running(process.pid, port, ready_seconds=time.monotonic() - began)
