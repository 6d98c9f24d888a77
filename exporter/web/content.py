"""What the web port shows is made elsewhere; these are the questions it asks."""

from collections.abc import Sequence
from typing import Protocol

from exporter.metrics.exposition import Document
from exporter.metrics.formats import Format
from exporter.model.reload import Reload, TurnedDown
from exporter.model.status import TargetStatus


class Source(Protocol):
    """Where the metrics come from."""

    def snapshot(self, media: Format) -> Document:
        """Return one consistent state of all metrics, complete."""


class Pages(Protocol):
    """What all but the metrics tells, and whom to ask for a reload."""

    @property
    def version(self) -> str:
        """The version of this program."""

    @property
    def endpoint(self) -> str:
        """The address of Flyte Admin."""

    def unhealthy(self) -> str:
        """Say why this process should be restarted; nothing while it is healthy."""

    def unready(self) -> str:
        """Say why the metrics are not complete yet; nothing when they are."""

    def targets(self) -> Sequence[TargetStatus]:
        """Return how each target is doing, in any order."""

    def configuration(self) -> str:
        """Return the settings in effect as text, without a secret."""

    def turned_down(self) -> TurnedDown | None:
        """Return the configuration that was read last, if it is not in effect."""

    def reloads(self) -> bool:
        """Return whether a reload may be asked for here."""

    async def reload(self) -> Reload:
        """Have the configuration read again, and return what came of it."""
