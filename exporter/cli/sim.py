"""`sim`: a Flyte Admin for everybody who wants to try something without one."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import click

from exporter.cli import access
from exporter.cli.files import FILE
from exporter.cli.simulation import PositiveDuration, world_options
from exporter.sim import server
from exporter.sim.incidents import Incident
from exporter.sim.server import NEWER_CALLS, Serving
from exporter.sim.tls import TlsError
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where to answer gRPC.")
@click.option(
    "--drive", is_flag=True, help="Move the executions that clients create, not only our own."
)
@click.option(
    "--old-server", is_flag=True, help="Know no newer calls, such as GetDomains: UNIMPLEMENTED."
)
@click.option(
    "--auth",
    is_flag=True,
    is_eager=True,  # what other options may be depends on it
    help="Want an access token with every call, and say where to get one.",
)
@click.option(
    "--client-id",
    default="flyte-exporter",
    show_default=True,
    metavar="ID",
    help="With --auth: who may have tokens.",
)
@click.option(
    "--client-secret-file",
    type=FILE,
    help="With --auth: the client's secret; by default one is made up, and its file printed.",
)
@click.option(
    "--http-listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="With --auth: where to hand out tokens.",
)
@click.option(
    "--token-lifetime",
    type=PositiveDuration(),
    default="30m",
    show_default=True,
    help="With --auth: how long a token is good.",
)
@click.option("--tls-cert", type=FILE, help="Answer gRPC with TLS, showing this certificate.")
@click.option("--tls-key", type=FILE, help="Private key of --tls-cert.")
@click.option("--tls-client-ca", type=FILE, help="Want a client certificate of this authority.")
@world_options(speed=1, auth=True)
def sim(
    *,
    listen: str,
    drive: bool,
    old_server: bool,
    auth: bool,
    client_id: str,
    client_secret_file: Path | None,
    http_listen: str,
    token_lifetime: timedelta,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    seed: int,
    speed: float,
    incidents: Sequence[Incident],
) -> None:
    """Run a simulated Flyte Admin."""
    if client_secret_file is not None and not auth:
        raise click.UsageError("--client-secret-file needs --auth.")
    tls = access.tls(tls_cert, tls_key, tls_client_ca)
    with ExitStack() as stack:
        granted = None
        if auth:
            granted = access.grant(
                stack, client_id=client_id, secret_file=client_secret_file, lifetime=token_lifetime
            )

        def started(serving: Serving) -> None:
            click.echo(f"simulated Flyte Admin listening on {serving.address}")
            if granted is not None:
                click.echo(granted.directions(serving, plaintext=tls is None))

        clock = SystemClock()
        world = World(seed=seed, start=clock.now(), speed=speed, drive=drive, incidents=incidents)
        serving = server.serve(
            world,
            listen=listen,
            clock=clock,
            authority=None if granted is None else granted.authority,
            http_listen=http_listen,
            tls=tls,
            without=NEWER_CALLS if old_server else (),
        )
        try:
            asyncio.run(server.run(serving, started=started))
        except (OSError, TlsError) as error:
            raise click.ClickException(str(error)) from error
