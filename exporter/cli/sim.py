"""`sim`: a Flyte Admin for everybody who wants to try something without one."""

import asyncio
from collections.abc import Sequence

import click

from exporter.cli.simulation import world_options
from exporter.sim import server
from exporter.sim.incidents import Incident


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where to answer gRPC.")
@click.option(
    "--drive", is_flag=True, help="Move the executions that clients create, not only our own."
)
@world_options(speed=1)
def sim(
    *, listen: str, drive: bool, seed: int, speed: float, incidents: Sequence[Incident]
) -> None:
    """Run a simulated Flyte Admin."""
    try:
        asyncio.run(
            server.run(listen=listen, seed=seed, speed=speed, drive=drive, incidents=incidents)
        )
    except OSError as error:
        raise click.ClickException(str(error)) from error
