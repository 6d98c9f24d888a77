"""
The way of one call, from a question to Admin's answer, in the order in which things happen.

    span of the call
      up to six attempts, within the call's time and the common purse of retries:
        a token becomes metadata
        the limits make room for it
        the circuit breaker lets it through, or not
        span of the attempt, its trace context, its deadline, gRPC
        UNAUTHENTICATED: another token, once

It is written out as one path and not as gRPC interceptors, because the parts depend on each other:
a retry needs a new token and new room, a probe of the breaker is an attempt and not a call, and the
deadline of an attempt is what the waiting has left of the call's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from opentelemetry.trace import Span
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random,
    wait_random_exponential,
)

from exporter.admin import retry
from exporter.admin.auth.errors import CredentialsError
from exporter.admin.auth.token import secrets_in, without
from exporter.admin.breaker import Breaker, Change, Leave
from exporter.admin.certificates import ConnectionSettingsError
from exporter.admin.errors import (
    AdminError,
    CircuitOpen,
    HeldBack,
    NoConnection,
    NoToken,
    NotSent,
    TokenRefused,
    nonsense,
    refusal,
)
from exporter.admin.limits import Limits
from exporter.admin.question import Question
from exporter.admin.retry import RetryBudget
from exporter.admin.spans import Spans
from exporter.garbage import let_go
from exporter.model.text import one_line
from exporter.telemetry.context import sampled_trace_id, trace_metadata
from exporter.telemetry.log import get_logger

log = get_logger(__name__)

_MOST_OF_WHY = 300
"""Characters of what is said of an Admin that cannot be reached."""

_UNREACHED, _HUNG = "UNAVAILABLE", "DEADLINE_EXCEEDED"


Metadata = tuple[tuple[str, str], ...]
"""gRPC metadata: pairs of a lower-case key and a value."""


class CallObserver(Protocol):
    """Is told what becomes of calls."""

    def call_finished(
        self, *, method: str, code: str, seconds: float, trace_id: str | None = None
    ) -> None:
        """Take note of one call of *method*, after its retries; its trace, if that is kept."""

    def attempt_finished(self, *, code: str, seconds: float) -> None:
        """Take note of one attempt that was sent."""

    def retried(self, *, reason: str) -> None:
        """Take note that another attempt follows one that ended with *reason*."""

    def waited_for_rate(self, seconds: float) -> None:
        """Take note of a wait for `admin.rate_limit`."""

    def breaker_is(self, *, open: bool) -> None:  # noqa: A002  # that is the word for it
        """Take note of the state of the circuit breaker."""


class Line(Protocol):
    """The connection to Admin."""

    async def stub(self) -> Any:
        """Return AdminService's stub for the next attempt; raises `ConnectionSettingsError`."""

    def ended(self, stub: Any, *, answered: bool) -> None:
        """Take note of an attempt by *stub* that was *answered*, by whomever, or that hung."""


class Tokens(Protocol):
    """Where access tokens come from."""

    async def metadata(self) -> Sequence[tuple[str, str]]:
        """Return what a call must carry; raises `CredentialsError`."""

    async def refused(self, sent: Sequence[tuple[str, str]], details: str) -> None:
        """Get others than those *sent*; raises `CredentialsError` when that cannot help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """
    Takes questions to Admin and brings answers back.

    Attributes:
        attempt_timeout: Seconds that one attempt may take.
        attempts: How many attempts a call may have.
        has_say: Whether the breaker is told of these calls; else they heed it, and that is all.
        sleep: How to pause between attempts.
    """

    line: Line
    tokens: Tokens
    limits: Limits
    breaker: Breaker
    budget: RetryBudget
    spans: Spans
    observer: CallObserver
    attempt_timeout: float
    attempts: int = retry.ATTEMPTS
    has_say: bool = True
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def ask(self, question: Question) -> Any:
        """
        Return Admin's answer to *question*.

        Raises:
            AdminError: There was none, or none that could be read.
        """
        began = time.monotonic()
        code = "CANCELLED"
        with self.spans.call(question) as span:
            try:
                answer = await _Call(self, question, deadline=began + question.timeout).made()
                code = "OK"
                if question.rows is not None and span.is_recording():
                    span.set_attribute("flyte.rows", question.rows(answer))
            except AdminError as error:
                code = error.code
                let_go(error)
                raise
            else:
                return answer
            finally:
                self.observer.call_finished(
                    method=question.method,
                    code=code,
                    seconds=time.monotonic() - began,
                    trace_id=sampled_trace_id(span),
                )


class _Call:
    """One question on its way, and what its attempts have come to so far."""

    def __init__(self, transport: Transport, question: Question, *, deadline: float) -> None:
        self._transport = transport
        self._question = question
        self._deadline = deadline
        self._hangs = 0
        self._renewed = False
        """Whether another token was fetched for this call."""
        self._at_once = False
        """Whether the last attempt failed for want of a token that is there now."""

    async def made(self) -> Any:
        """Make attempts until one is answered, or none is worth another."""
        try:
            return await self._attempt(1)
        except AdminError as error:
            return await self._made_after(error)

    async def _made_after(self, first: AdminError) -> Any:
        """Go on after the *first* attempt failed; most calls never pay for what retrying costs."""
        transport = self._transport
        attempts = AsyncRetrying(
            stop=stop_after_attempt(transport.attempts) | stop_before_delay(self._remaining()),
            wait=self._pause,
            retry=retry_if_exception(self._is_worth_another),
            after=_forget_where,
            before_sleep=self._tell,
            sleep=transport.sleep,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise first
                    return await self._attempt(attempt.retry_state.attempt_number)
        finally:
            # Its parts hold on to each other.
            vars(attempts).clear()
        raise AssertionError("tenacity ended without an answer or an error")

    def _pause(self, state: RetryCallState) -> float:
        if self._at_once:
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, CircuitOpen) and error.wait is not None:
            return error.wait + _LITTLE(state)
        return _PAUSE(state)

    def _is_worth_another(self, error: BaseException) -> bool:
        if self._at_once:
            return True
        if not isinstance(error, AdminError):
            return False
        self._hangs += error.code == _HUNG
        if not retry.is_worth_retrying(error, hangs=self._hangs):
            return False
        budget, now = self._transport.budget, time.monotonic()
        if not isinstance(error, NotSent):
            budget.failed(now)
        return budget.allows_retry(now)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        # What was not sent is not sent again: it is sent at last.
        if isinstance(error, AdminError) and not isinstance(error, NotSent):
            self._transport.observer.retried(reason=error.code)

    async def _attempt(self, number: int) -> Any:
        self._at_once = False
        stub = await self._stub()
        metadata = await self._metadata()
        try:
            return await self._made_room_for(number, stub, metadata)
        except AdminError as error:
            if error.code == "UNAUTHENTICATED" and not self._renewed:
                self._renewed = True
                await self._renew(metadata, error)
                self._at_once = True
            raise

    async def _made_room_for(self, number: int, stub: Any, metadata: Metadata) -> Any:
        transport, question = self._transport, self._question
        try:
            async with transport.limits.room(within=self._remaining()):
                now = time.monotonic()
                breaker = transport.breaker
                leave = breaker.admit(now) if transport.has_say else breaker.heeded()
                if leave is None:
                    raise CircuitOpen(
                        method=question.method,
                        why=breaker.why,
                        subject=question.subject,
                        wait=breaker.wait(now),
                    )
                with transport.spans.attempt(question, number=number) as span:
                    return await self._sent(stub, metadata, leave, span)
        except TimeoutError as error:
            raise self._not_sent(HeldBack, _HUNG, transport.limits.no_room) from error

    async def _sent(self, stub: Any, metadata: Metadata, leave: Leave, span: Span) -> Any:
        """Send it once, and have breaker, purse and observer know how that ended."""
        transport, question = self._transport, self._question
        timeout = min(transport.attempt_timeout, self._remaining())
        began = time.monotonic()
        code, why = "", ""
        try:
            pairs = (*metadata, *trace_metadata(span))
            answer = await getattr(stub, question.method)(
                question.request,
                timeout=timeout,
                metadata=pairs or None,
            )
            code = "OK"
        except grpc.aio.AioRpcError as error:
            # Some proxies repeat the header that they refuse.
            code, why = error.code().name, without(error.details() or "", *secrets_in(metadata))
            raise refusal(question.method, code, why, question.subject) from error
        finally:
            self._note(stub, leave, code, why, began)
        if answer is None:
            # How grpc.aio passes on an answer that it could not decode.
            raise nonsense(question.method, question.subject, "bytes that are no answer to it")
        return answer

    def _note(self, stub: Any, leave: Leave, code: str, why: str, began: float) -> None:
        transport, question, now = self._transport, self._question, time.monotonic()
        if not code:
            transport.breaker.abandoned(leave)
            return
        transport.observer.attempt_finished(code=code, seconds=now - began)
        transport.line.ended(stub, answered=code != _HUNG)
        if code == "OK":
            transport.budget.succeeded(now)
        if not transport.has_say:
            return
        why = one_line(why, most=_MOST_OF_WHY) or code
        if code == _HUNG:
            change = transport.breaker.hung(leave, now=now)
        else:
            reached = code != _UNREACHED
            change = transport.breaker.ended(leave, reached=reached, now=now, why=why)
        match change:
            case Change.OPENED:
                transport.observer.breaker_is(open=True)
                log.warning(
                    "circuit breaker open: Admin cannot be reached, one call at a time tries",
                    **question.told(),
                    code=code,
                    problem=why,
                    advice="have `flyte-exporter doctor` find out why",
                )
            case Change.CLOSED:
                transport.observer.breaker_is(open=False)
                log.info("circuit breaker closed: Admin is back", **question.told(), code=code)
            case Change.NONE:
                pass

    # What an attempt needs

    async def _stub(self) -> Any:
        try:
            async with asyncio.timeout(max(0.0, self._remaining())):
                return await self._transport.line.stub()
        except ConnectionSettingsError as error:
            raise self._not_sent(NoConnection, _UNREACHED, str(error)) from error
        except TimeoutError as error:
            raise self._not_sent(NoConnection, _HUNG, _NO_FILES) from error

    async def _metadata(self) -> Metadata:
        question = self._question
        try:
            async with asyncio.timeout(max(0.0, self._remaining())):
                return tuple(await self._transport.tokens.metadata())
        except CredentialsError as error:
            raise NoToken(
                method=question.method,
                code=error.code,
                details=str(error),
                subject=question.subject,
                lasting=error.lasting,
            ) from error
        except TimeoutError as error:
            raise NoToken(
                method=question.method,
                code=_HUNG,
                details=_TOO_LATE,
                subject=question.subject,
                lasting=True,
            ) from error

    async def _renew(self, sent: Metadata, refused: AdminError) -> None:
        """Get another token than the one of *sent*, with which a retry makes sense."""
        try:
            async with asyncio.timeout(max(0.0, self._remaining())):
                await self._transport.tokens.refused(sent, refused.details)
        except (CredentialsError, TimeoutError) as error:
            raise TokenRefused(
                method=refused.method,
                code=refused.code,
                details=str(error) or _TOO_LATE,
                subject=refused.subject,
            ) from error

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()

    def _not_sent(self, kind: type[NotSent], code: str, details: str) -> NotSent:
        question = self._question
        return kind(method=question.method, code=code, details=details, subject=question.subject)


def _forget_where(state: RetryCallState) -> None:
    """Have an error that is followed by another attempt not know this call, which knows it."""
    error = state.outcome.exception() if state.outcome else None
    if error is not None:
        let_go(error)


_LITTLE = wait_random(0, retry.FIRST_PAUSE)
_PAUSE = wait_random_exponential(multiplier=retry.FIRST_PAUSE, max=retry.LONGEST_PAUSE)
_TOO_LATE = "the access token did not come within the call's time"
_NO_FILES = (
    "the files of certificates were not read within its time; look at the disk or mount that holds"
    " them"
)
