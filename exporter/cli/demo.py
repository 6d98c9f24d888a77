"""`demo`: the ordinary application, pointed at a simulated Admin in the same process."""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from exporter import app
from exporter.cli.simulation import world_options
from exporter.config.settings import (
    AdminSettings,
    LedgerSettings,
    MetricsSettings,
    SchedulesSettings,
    ScrapeSettings,
    Settings,
    TasksSettings,
    WebSettings,
)
from exporter.config.values import ListenAddress
from exporter.sim import server
from exporter.sim.incidents import Incident
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock
from exporter.telemetry.log import configure
from exporter.web.server import parse_address

_INTERVAL = timedelta(seconds=5)
"""A newcomer should not have to wait half a minute to see something move."""
_HOLD = timedelta(seconds=15)
"""Enough for a Prometheus that scrapes every 5 seconds, as a demonstration should."""
_GRACE = timedelta(seconds=20)
"""Where all goes faster, what is overdue shows sooner, too."""


@click.command()
@click.option(
    "--listen", default="127.0.0.1:9942", show_default=True, metavar="HOST:PORT", help="Web port."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the ledger here; by default it goes with the demo.",
)
@world_options(speed=10, auth=False)
def demo(
    *,
    listen: str,
    data_dir: Path | None,
    seed: int,
    speed: float,
    incidents: Sequence[Incident],
) -> None:
    """Run the exporter against a simulated Flyte Admin."""
    configure(level="info", media="logfmt")
    with tempfile.TemporaryDirectory(prefix="flyte-exporter-demo-") as scratch:
        directory = data_dir or Path(scratch)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(
                f"cannot create {directory}: {error.strerror}", param_hint="--data-dir"
            ) from error
        asyncio.run(_demo(listen, directory, seed, speed, incidents))


async def _demo(
    listen: str, directory: Path, seed: int, speed: float, incidents: Sequence[Incident]
) -> None:
    clock = SystemClock()
    world = World(seed=seed, start=clock.now(), speed=speed, incidents=incidents)
    address = parse_address(listen)
    host = address.host or "0.0.0.0"  # noqa: S104  # what was asked for
    async with server.serve(world, clock=clock) as admin:
        settings = Settings(
            admin=AdminSettings(endpoint=admin.address, insecure=True),
            scrape=ScrapeSettings(interval=_INTERVAL, reconcile_interval=timedelta(minutes=1)),
            schedules=SchedulesSettings(grace=_GRACE),
            tasks=TasksSettings(match=("*/*/*",)),
            metrics=MetricsSettings(first_sample_hold=_HOLD),
            ledger=LedgerSettings(path=directory / "ledger.db"),
            web=WebSettings(listen=ListenAddress(host, address.port)),
        )

        def started(port: int) -> None:
            shown = "localhost" if host in ("0.0.0.0", "127.0.0.1") else host  # noqa: S104
            click.echo(
                f"\n  Simulated Flyte Admin  {admin.address} (seed {seed}, speed {speed:g})\n"
                f"  State of the targets   http://{shown}:{port}/\n"
                f"  Metrics                http://{shown}:{port}/metrics\n"
                f"  New counters show 0 for {_HOLD.seconds} s first, so that Prometheus sees them"
                " begin. Ctrl-C stops.\n"
            )

        # The simulator takes another port each time; it is the same Admin all the same.
        await app.run(settings, adopt_ledger=True, started=started)
