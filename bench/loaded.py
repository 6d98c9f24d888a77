"""
The whole application under load, with a stopwatch inside (`python -m bench.loaded ADDRESS`).

It says on which port it listens. On its stdin it takes orders, one a line, and answers each with a
line, which tells what the stopwatch saw: `begin` has it forget that, `reload` applies a
configuration with another interval, `rename` one that gives every launch plan another name, `pause`
stops polling.
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
from exporter.config.relabelling import RelabelRule
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
    order = ""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    with garbage.taken_over(), tempfile.TemporaryDirectory(prefix="bench-") as directory:

        def reread(before: Settings) -> Settings:
            return _CHANGES[order](before)

        settings = _settings(address, Path(directory))
        async with app.start(settings, reread=reread) as running:
            stopwatch = Stopwatch()
            # As `app.run` does, which leaves its parts to nobody.
            shifts = asyncio.create_task(running.shifts.run(), name="shifts")
            tasks = [
                shifts,
                asyncio.create_task(garbage.collect(), name="garbage"),
                asyncio.create_task(stopwatch.run(), name="stopwatch"),
            ]
            print(LISTENING, running.port, flush=True)
            while order := (await orders.readline()).decode().strip():
                if order == "pause":
                    shifts.cancel()
                    with suppress(asyncio.CancelledError):
                        await shifts
                elif order in _CHANGES:
                    await running.shifts.reload()
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


def _with_another_interval(settings: Settings) -> Settings:
    interval = settings.scrape.interval + timedelta(milliseconds=1)
    scrape = settings.scrape.model_copy(update={"interval": interval})
    return settings.model_copy(update={"scrape": scrape})


def _with_other_names(settings: Settings) -> Settings:
    rule = RelabelRule(match="(.*)", replacement="renamed.$1")
    metrics = settings.metrics.model_copy(update={"relabel": (rule,)})
    return settings.model_copy(update={"metrics": metrics})


_CHANGES = {"reload": _with_another_interval, "rename": _with_other_names}


if __name__ == "__main__":
    configure(level="error", media="logfmt")
    asyncio.run(run(sys.argv[1]))
