"""
One target's turn: a poll, and what becomes known of how it went.

Nothing that goes wrong here reaches another target. Changes of state are logged, repetitions are
not.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from opentelemetry.trace import Status, StatusCode

from exporter.admin.errors import AdminError
from exporter.garbage import let_go
from exporter.ledger.errors import LedgerError
from exporter.metrics import catalog, text
from exporter.metrics.catalog import Family
from exporter.metrics.exposition import Exposition
from exporter.model.launch_plans import Activation
from exporter.model.schedules import Timetable
from exporter.model.status import TargetStatus
from exporter.model.targets import Target
from exporter.model.time import Micros, format_duration, seconds
from exporter.scrape.inquiry import PollTimeout
from exporter.scrape.past import Pace
from exporter.scrape.poll import Poller
from exporter.scrape.services import Services
from exporter.telemetry.log import get_logger
from exporter.telemetry.trouble import Trouble

log = get_logger(__name__)

_SLOW = timedelta(seconds=5)
"""A healthy poll takes milliseconds; one that takes longer is waiting for Admin."""

FAMILIES = (
    catalog.TARGET_LAST_SUCCESS,
    catalog.TARGET_POLL_DURATION,
    catalog.TARGET_INTERVAL,
    catalog.TARGET_UP,
)


class Outcome(Enum):
    """How a poll ended; the values are those of the metric's label."""

    SUCCESS = "success"
    ADMIN_ERROR = "admin_error"
    TIMEOUT = "timeout"
    LEDGER_ERROR = "ledger_error"
    INTERNAL_ERROR = "internal_error"


class _End(NamedTuple):
    """How a turn ended; the method and the code are those of the call that failed."""

    outcome: Outcome
    problem: str = ""
    method: str = ""
    code: str = ""


class Worker:
    """Takes one target's turns and shows how they went."""

    def __init__(
        self,
        target: Target,
        services: Services,
        exposition: Exposition,
        *,
        reconcile_at: float,
        status: TargetStatus | None = None,
    ) -> None:
        """Prepare; *status* is what the worker from before left, and is still shown."""
        self.target = target
        self.busy = False
        self._services = services
        self._exposition = exposition
        self._poller = Poller(target, services, reconcile_at=reconcile_at)
        self._status = status or TargetStatus(target, None, None, None, 0, "")
        self._trouble = Trouble(self._status.problem)
        self._worked = False
        if status is None:
            for family in FAMILIES:
                services.book.budget.take(family, 1)
        self._show(catalog.TARGET_INTERVAL, services.settings.interval.total_seconds())

    @property
    def status(self) -> TargetStatus:
        """How it goes."""
        return self._status._replace(live=self._poller.live)

    @property
    def tried(self) -> bool:
        """Whether the first turn is over."""
        return self._status.up is not None

    @property
    def suspect(self) -> bool:
        """Whether the last turn failed, or took so long that others had to wait."""
        lasted = self._status.poll_duration
        return self._status.up is False or (lasted is not None and lasted > _SLOW)

    def has_live(self, launch_plan: str) -> bool:
        """Whether *launch_plan* has executions that are not over, as far as is known."""
        return self._poller.has_live(launch_plan)

    def plan_labels(self) -> Collection[str] | None:
        """Return the labels of the launch plans that have run; None before the first good poll."""
        return self._poller.plan_labels() if self._worked else None

    def learn(
        self, active: Mapping[str, Activation], news: Collection[str], listed_at: Micros
    ) -> None:
        """
        Have it known which launch plans are *active*, and when they were listed.

        Schedules are judged of those that have one, and whose past is unknown is asked for it. Of
        *news* something changed: how they stand is shown again.
        """
        self._poller.set_timetables(
            {
                name: Timetable(plan.owed, plan.at_once, since)
                for name, (plan, since) in active.items()
                if plan.owed is not None
            },
            listed_at,
        )
        on, off = news & active.keys(), news - active.keys()
        self._poller.remember_activations(on, off)
        for name in active:
            self._poller.past.want(name)
        for name in news:
            self._poller.show_plan(name)

    async def look_back(self, pace: Pace) -> None:
        """Ask, at *pace*, how launch plans fared of which nothing is known, until cancelled."""
        await self._poller.past.follow(pace)

    @property
    def active_at(self) -> float:
        """When it last did something, by the monotonic clock."""
        return self._poller.active_at

    async def turn(self) -> None:
        """Poll once; failures are shown and logged, not raised."""
        clock = self._services.clock
        at, began = clock.now(), clock.monotonic()
        self.busy = True
        self._poller.active_at = began
        about = {"flyte.project": self.target.project, "flyte.domain": self.target.domain}
        with self._services.tracer.start_as_current_span("poll", attributes=about) as span:
            try:
                ended = await self._ended()
            finally:
                self.busy = False
            if span.is_recording():
                span.set_attribute("flyte.poll.outcome", ended.outcome.value)
                if ended.outcome is not Outcome.SUCCESS:
                    span.set_status(Status(StatusCode.ERROR, ended.problem))
            self._note(ended, at, timedelta(seconds=clock.monotonic() - began))

    async def _ended(self) -> "_End":
        """Poll, and say how that ended."""
        try:
            await self._poller.poll()
        except Exception as error:
            match error:
                case AdminError():
                    end = _End(Outcome.ADMIN_ERROR, str(error), error.method, error.code)
                case PollTimeout():
                    end = _End(Outcome.TIMEOUT, str(error))
                case LedgerError():
                    end = _End(Outcome.LEDGER_ERROR, str(error))
                case bug:
                    # The edge of one target: a row that nobody foresaw must not stop the others.
                    log.exception("poll failed on a bug of ours", **self.target._asdict())
                    end = _End(Outcome.INTERNAL_ERROR, f"{type(bug).__name__}: {bug}")
            let_go(error)
            return end
        return _End(Outcome.SUCCESS)

    def retire(self) -> None:
        """Take down what says something about the present; counters stay."""
        self._poller.retire()
        for family in FAMILIES:
            self._exposition.drop(family, self.target)
            self._services.book.budget.give_back(family, 1)

    def _note(self, ended: "_End", at: Micros, lasted: timedelta) -> None:
        before, outcome = self._status, ended.outcome
        up = outcome is Outcome.SUCCESS
        self._services.process.poll_finished(outcome=outcome.value)
        self._status = TargetStatus(
            target=self.target,
            up=up,
            last_success_at=at if up else before.last_success_at,
            poll_duration=lasted,
            live=0,
            problem=ended.problem,
        )
        self._show(catalog.TARGET_UP, up)
        self._show(catalog.TARGET_POLL_DURATION, lasted.total_seconds())
        if up:
            self._worked = True
            self._show(catalog.TARGET_LAST_SUCCESS, seconds(at))
            if self._trouble.worked():
                log.info("target recovered", **self.target._asdict())
        elif self._trouble.failed(ended.problem, kind=outcome.value):
            log.warning(
                "target failing",
                **self.target._asdict(),
                outcome=outcome.value,
                **({"method": ended.method, "code": ended.code} if ended.method else {}),
                problem=ended.problem,
            )
        log.debug(
            "polled", **self.target._asdict(), outcome=outcome.value, lasted=format_duration(lasted)
        )

    def _show(self, family: Family, value: float) -> None:
        self._exposition.put(family, self.target, text.sample(family, self.target, value))
