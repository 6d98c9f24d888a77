"""What a start needs of this machine: the ledger's place, and the web port."""

import asyncio

from exporter.config.settings import Settings
from exporter.doctor.finding import Finding
from exporter.ledger.errors import LedgerError
from exporter.ledger.inspection import Inspection, inspect
from exporter.web.probe import look_at
from exporter.web.server import ListenError

_MIB = 1024 * 1024


async def ledger(settings: Settings, *, patience: float) -> Finding:
    """Check that the ledger can be used, or made, or is in use by a running exporter."""
    path = settings.ledger.path
    try:
        found = await asyncio.to_thread(
            inspect, path, endpoint=settings.admin.endpoint, seconds=patience
        )
    except LedgerError as error:
        return Finding.of_error(error)
    return Finding.ok(f"{path}: {_described(found)}")


async def web_port(settings: Settings, *, patience: float) -> Finding:
    """Check that the web port can be opened, or is open already, by a running exporter."""
    listen = settings.web.listen
    try:
        port = await look_at(str(listen), seconds=patience)
    except ListenError as error:
        return Finding.of_error(error)
    return Finding.ok(f"{listen} is {port.value}")


def _described(found: Inspection) -> str:
    if found.size_bytes is None:
        words = ["there is none yet, a start will make it"]
    else:
        words = [f"schema {found.version}", f"{found.size_bytes / _MIB:.1f} MiB"]
    if found.holder:
        words.append(f"in use by pid {found.holder}")
    if not found.complete:
        words.append("only part of it was searched for damage")
    return ", ".join(words)
