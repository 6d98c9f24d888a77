"""
The whole application under load, with a stopwatch inside (`python -m bench.loaded ADDRESS`).

It says on which port it listens. On its stdin it takes orders, one a line, and
answers each with a line: `pause` stops polling, `begin` forgets what the stopwatch saw, `report`
tells it.
"""

import asyncio
import json
import re
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from bench.stopwatch import Lag, Stopwatch
from exporter import app, garbage
from exporter.config.settings import (
    AdminSettings,
    LedgerSettings,
    MetricsSettings,
    ScrapeSettings,
    Settings,
    WebSettings,
)
from exporter.config.values import ListenAddress
from exporter.telemetry.log import configure

LISTENING = "web port"


async def run(address: str) -> None:
    """Run until stdin ends."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with app.start(_settings(address, Path(directory))) as running:
            stopwatch = Stopwatch()
            # As `app.run` does, which leaves its parts to nobody.
            tasks = [
                asyncio.create_task(running.shifts.scheduler.run(), name="scheduler"),
                asyncio.create_task(running.shifts.upkeep.run(), name="upkeep"),
                asyncio.create_task(garbage.collect(), name="garbage"),
                asyncio.create_task(stopwatch.run(), name="stopwatch"),
            ]
            print(LISTENING, running.port, flush=True)
            while order := (await orders.readline()).decode().strip():
                if order == "pause":
                    tasks[0].cancel()
                    with suppress(asyncio.CancelledError):
                        await tasks[0]
                elif order == "begin":
                    stopwatch.lag = Lag()
                report = {**asdict(stopwatch.lag), "peak_bytes": _peak_bytes()}
                print(json.dumps(report), flush=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _peak_bytes() -> int:
    """Return the most memory that was ever ours; `ru_maxrss` would begin with our parent's."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise RuntimeError("/proc/self/status says nothing of VmHWM")
    return int(found[1]) * 1024


def _settings(address: str, directory: Path) -> Settings:
    return Settings(
        # More targets in less time than the default rate is made for.
        admin=AdminSettings(endpoint=address, insecure=True, rate_limit=1000.0, burst=1000),
        scrape=ScrapeSettings(interval=timedelta(seconds=15)),
        # So short that the holds end while somebody watches the loop.
        metrics=MetricsSettings(first_sample_hold=timedelta(seconds=15)),
        ledger=LedgerSettings(path=directory / "ledger.db"),
        web=WebSettings(listen=ListenAddress("127.0.0.1", 0)),
    )


if __name__ == "__main__":
    configure(level="error", media="logfmt")
    asyncio.run(run(sys.argv[1]))
