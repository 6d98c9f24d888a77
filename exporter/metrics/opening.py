"""The book, put together from the settings and what the ledger has."""

from collections.abc import Mapping, Sequence

from exporter.config.settings import MetricsSettings
from exporter.ledger.store import Ledger
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.heirs import Stock
from exporter.metrics.labelling import Labelling, labelling_stated
from exporter.metrics.loading import load
from exporter.metrics.process import Process
from exporter.metrics.renames import TrueNames
from exporter.metrics.selection import family_limits_of, labelling_of
from exporter.model.clock import Clock
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_MOST_CLUSTERS = 100
"""Clusters that are told apart; no Flyte has as many."""


def bounds_of(settings: MetricsSettings) -> Mapping[Family, Sequence[float]]:
    """Return the upper bounds of each histogram whose bounds are configured, in its unit."""
    durations = tuple(b.total_seconds() for b in settings.duration_buckets)
    queues = tuple(b.total_seconds() for b in settings.queue_buckets)
    return {
        catalog.EXECUTION_DURATION: durations,
        catalog.EXECUTION_QUEUE_DURATION: queues,
        catalog.TASK_DURATION: durations,
        catalog.TASK_QUEUE_DURATION: queues,
    }


def varieties_of(settings: MetricsSettings) -> Mapping[Family, int]:
    """Return how many values of their open label families may have, those with such a limit."""
    return {
        catalog.EXECUTION_ERROR_CODES: settings.error_codes_limit,
        catalog.CLUSTER_EXECUTIONS_FINISHED: _MOST_CLUSTERS,
    }


def open_book(settings: MetricsSettings, ledger: Ledger, *, process: Process, clock: Clock) -> Book:
    """
    Return a book that shows what *ledger* has, and has *process* told what it cannot show.

    Raises:
        LedgerError: It could not be read; or what has moved, or is no more in the configuration,
            could not be written to it.
    """
    labelling = labelling_of(settings)
    book = Book(
        bounds=bounds_of(settings),
        limit=settings.series_limit,
        varieties=varieties_of(settings),
        family_limits=family_limits_of(settings),
        hold=settings.first_sample_hold,
        exposition=Exposition(process, hidden=labelling.disabled),
        observer=process,
        labelling=labelling,
    )
    commit = load(book, *taken_from(ledger, labelling), clock.now())
    ledger.commit([commit])
    if commit.removed:
        log.info("series moved", gone=len(commit.removed), new=len(commit.deltas))
    return book


def taken_from(ledger: Ledger, labelling: Labelling) -> tuple[Stock, TrueNames]:
    """
    Read which series there are, and which launch plans are known if *labelling* renames any.

    Raises:
        LedgerError: They could not be read.
    """
    rows = ledger.series()
    stock = Stock(
        rows=rows,
        activity=ledger.activity(),
        labelling=labelling_stated(ledger.labelling()),
        newest_id=max((row.id for row in rows), default=0),
    )
    same = stock.labelling.renames_like(labelling)
    return stock, {} if same else ledger.launch_plans()
