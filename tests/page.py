"""What /metrics shows, as a test reads it."""

from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format


def lines(exposition: Exposition) -> list[str]:
    """Return the samples on the page, each as it is written."""
    document = b"".join(exposition.snapshot(Format.TEXT)).decode()
    return [line for line in document.splitlines() if not line.startswith("#")]
