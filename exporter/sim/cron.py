"""Cron lines are read as the scheduler reads them, and Admin hands on what it says of them."""

import grpc

from exporter.sim.refusal import Refusal, invalid
from exporter.track.cron import CronError, parse


def refuse_bad_cron(text: str) -> None:
    """
    Check that the scheduler can read *text*.

    Raises:
        Refusal: INVALID_ARGUMENT; INTERNAL for a zone with nothing after it, a panic of the parser.
    """
    if text.startswith(("TZ=", "CRON_TZ=")) and " " not in text:
        raise Refusal(grpc.StatusCode.INTERNAL, "")
    try:
        parse(text)
    except CronError as error:
        raise invalid(f"Invalid cron expression: {error}") from error
