"""How far the scraping of a target has come."""

from typing import NamedTuple

from exporter.model.time import Micros


class Progress(NamedTuple):
    """
    The three instants that decide what a poll lists.

    They are creation times by Admin's clock, and none of them ever moves back.
    """

    cursor: Micros
    """Everything created up to here has been listed, but for rows that Admin writes late."""
    reconciled: Micros
    """The cursor as it was when the last complete reconcile began."""
    retained_from: Micros
    """
    Finished executions created before this are forgotten.

    No list may ever reach further back, whatever the configuration says: what it found there would
    be counted again.
    """
