"""The options that `demo` and `sim` share."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from exporter.model.time import parse_duration
from exporter.sim.incidents import OF_AUTHENTICATION, Incident, Trouble, parse_incident


class PositiveDuration(click.ParamType[timedelta]):
    """A length of time, as the configuration has it."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a length of time that is not zero."""
        try:
            length = value if isinstance(value, timedelta) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not length:
            self.fail(f'"{value}" is no time at all', param, ctx)
        return length


class _IncidentType(click.ParamType[Incident]):
    name = "NAME@START+DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Incident:
        """Read an incident as a person types it."""
        if isinstance(value, Incident):
            return value
        try:
            return parse_incident(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _noticed(
    ctx: click.Context, _: click.Parameter, incidents: tuple[Incident, ...]
) -> tuple[Incident, ...]:
    """Refuse what nobody would notice, because no tokens are asked for."""
    for incident in incidents:
        if incident.trouble in OF_AUTHENTICATION and not ctx.params.get("auth"):
            raise click.BadParameter(
                f'"{incident}" changes nothing where no tokens are asked for:'
                " use flyte-exporter sim --auth"
            )
    return incidents


class _Speed(click.FloatRange):
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number that time can be divided by."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def world_options(
    *, speed: float, auth: bool
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    Add `--seed`, `--speed` and `--incident` to a command.

    Args:
        speed: By default.
        auth: Whether the command can ask for access tokens, which some incidents are about.
    """
    names = ", ".join(sorted(set(Trouble) - (frozenset() if auth else OF_AUTHENTICATION)))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--incident",
                "incidents",
                type=_IncidentType(),
                multiple=True,
                callback=_noticed,
                help="Have something go wrong, e.g. failure-spike@2m+5m. May be repeated."
                f" Known are {names}.",
            ),
            click.option(
                "--speed",
                type=_Speed(min=0, min_open=True),
                default=speed,
                show_default=True,
                help="Divide periods and durations by this.",
            ),
            click.option(
                "--seed", type=int, default=0, show_default=True, help="Choose another world."
            ),
        ):
            command = option(command)
        return command

    return decorate
