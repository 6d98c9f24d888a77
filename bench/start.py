"""From the command to the first complete document: what a newcomer, and a restart, waits for."""

import time
from collections.abc import Sequence

from bench.figures import Figure, median, spread
from bench.observation import Usage, free_port, get, total, wait_until_ready
from bench.processes import COMMAND, program
from exporter.metrics import catalog

_STARTS = 5
_BAR_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0


def measure() -> Sequence[Figure]:
    """Start the demonstration again and again."""
    taken: list[float] = []
    computed: list[float] = []
    targets = 0
    for _ in range(_STARTS):
        port = free_port()
        began = time.perf_counter()
        with program([COMMAND, "demo", "--listen", f"127.0.0.1:{port}"]) as process:
            wait_until_ready(port, seconds=_PATIENCE_SECONDS)
            document = get(port, "/metrics").body
            taken.append(time.perf_counter() - began)
            computed.append(Usage(process.pid).cpu_seconds())
        targets = document.count(b"\n" + catalog.TARGET_UP.name.encode() + b"{")
        if total(document, catalog.TARGET_UP) != targets or not targets:
            raise RuntimeError("ready, but not every target was polled with success")
    return [
        Figure(
            what=f"start to first complete /metrics, demo ({targets} targets)",
            bar=f"<= {_BAR_SECONDS:.0f} s",
            measured=f"{median(taken):.2f} s ({spread(taken)})",
            beside=f"of it {median(computed):.2f} s CPU, the simulator's included",
            met=median(taken) <= _BAR_SECONDS,
        )
    ]
