"""
What lives through a reload is bound to the next settings.

It is done between two shifts: nobody counts, and what was begun is settled. So the work may be left
to a thread, and whoever scrapes meanwhile sees what there was.
"""

import asyncio

from exporter import garbage
from exporter.config.settings import MetricsSettings, Settings
from exporter.metrics.opening import bounds_of, varieties_of
from exporter.metrics.rebound import Rebound, begin_anew, rebound_of
from exporter.metrics.selection import family_limits_of, labelling_of
from exporter.reload.services import Lasting
from exporter.telemetry import log

logger = log.get_logger(__name__)


async def committed(lasting: Lasting, metrics: MetricsSettings) -> Rebound | None:
    """
    Tell the ledger what becomes of the series, and return it; None where nothing does.

    Raises:
        LedgerError: It could not be made durable; nothing has changed.
    """
    labelling, book = labelling_of(metrics), lasting.book
    same = labelling.renames_like(book.labelling)
    known = {} if same else await lasting.journal.read(lambda ledger: ledger.launch_plans())
    found = await asyncio.to_thread(
        rebound_of,
        book,
        bounds=bounds_of(metrics),
        labelling=labelling,
        known=known,
        hold=metrics.first_sample_hold,
        now=lasting.clock.now(),
    )
    if found is None:
        return None
    rebound, commit = found
    await lasting.journal.commit(commit, then=lambda: None)
    logger.info("series moved", gone=len(commit.removed), new=len(commit.deltas))
    return rebound


async def rebind(lasting: Lasting, settings: Settings, rebound: Rebound | None) -> None:
    """Have *lasting*, and the log, heed *settings*; *rebound* of the series is `committed`."""
    metrics, book = settings.metrics, lasting.book
    book.set_limits(
        limit=metrics.series_limit,
        varieties=varieties_of(metrics),
        hold=metrics.first_sample_hold,
    )
    book.budget.families = family_limits_of(metrics)
    if rebound is not None:
        # Where this is cut short, we end: it stays with what there was.
        lasting.exposition.stand_still()
        book.budget.stand_still()
        await asyncio.to_thread(_begin_anew, lasting, rebound)
        book.budget.move_on()
        lasting.exposition.move_on()
    lasting.projects.set_labels(settings.discovery.project_labels)
    lasting.backlog.set_rules(settings.tasks, book.labelling.label)
    log.configure(level=settings.log.level, media=settings.log.format)


def _begin_anew(lasting: Lasting, rebound: Rebound) -> None:
    begin_anew(lasting.book, rebound, lasting.clock.now())
    lasting.gauges.follow(rebound.heirs.renames, rebound.labelling.disabled)
    garbage.leave_alone()
