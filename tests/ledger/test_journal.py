"""Commits share the disk, and each caller hears of its own."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.ledger.errors import LedgerError
from exporter.ledger.journal import Journal
from exporter.ledger.opening import open_ledger
from exporter.ledger.records import Activity, Commit
from exporter.ledger.store import Ledger
from exporter.model.time import Micros
from tests.ledger.conftest import ENDPOINT
from tests.rows import NOON, TARGET

_PATIENCE = 10.0
_BAD = "bad"


class SlowLedger(Ledger):
    """A ledger whose disk obeys the test: each transaction waits until it is let through."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger._connection, ledger.path)
        self.transactions: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)

    def commit(self, commits: Sequence[Commit]) -> None:
        """Write, when the test lets us."""
        self.transactions.append([row.launch_plan for one in commits for row in one.activity])
        self.begun.release()
        assert self.allowed.acquire(timeout=_PATIENCE)
        if any(row.launch_plan == _BAD for commit in commits for row in commit.activity):
            raise LedgerError("this one cannot be written")
        super().commit(commits)

    async def reached(self) -> None:
        """Wait until a transaction has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=_PATIENCE)

    def let(self, transactions: int) -> None:
        """Let so many through."""
        self.allowed.release(transactions)


class Committed(NamedTuple):
    """The observer: how often it was told, and when."""

    at: list[Micros]

    def committed(self, *, at: Micros, seconds: float) -> None:
        """Take note."""
        assert seconds >= 0
        self.at.append(at)


class StoppedClock:
    """It is always noon."""

    def now(self) -> Micros:
        """Return noon."""
        return NOON

    def monotonic(self) -> float:
        """Return nothing that matters here."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""
        raise AssertionError(seconds)


@pytest.fixture
def slow(path: Path) -> Iterator[SlowLedger]:
    """Yield a ledger that waits for the test."""
    with open_ledger(path, endpoint=ENDPOINT) as ledger:
        yield SlowLedger(ledger)


@pytest.fixture
def observer() -> Committed:
    """Return who is told of transactions."""
    return Committed([])


@pytest.fixture
async def journal(slow: SlowLedger, observer: Committed) -> AsyncIterator[Journal]:
    """Yield a journal over the slow ledger; whatever still waits is let through at the end."""
    async with Journal(slow, clock=StoppedClock(), observer=observer) as one:
        yield one
        slow.let(100)


def written(name: str) -> Commit:
    """Return a commit that can be recognised."""
    return Commit(activity=[Activity(TARGET, name, NOON)])


async def begin(journal: Journal, name: str, log: list[str]) -> "asyncio.Task[None]":
    """Begin a commit that notes in *log* when it became true, and return while it waits."""
    task = asyncio.create_task(journal.commit(written(name), then=lambda: log.append(name)))
    await asyncio.sleep(0)
    return task


async def soon(waited_for: Awaitable[None]) -> None:
    """Wait, but not for ever."""
    await asyncio.wait_for(waited_for, _PATIENCE)


def names(ledger: Ledger) -> set[str]:
    """Return what is in the file."""
    return {row.launch_plan for row in ledger.activity()}


async def test_commits_that_wait_share_a_transaction(
    journal: Journal, slow: SlowLedger, observer: Committed
) -> None:
    """While one is being made durable the next gather, and become one together."""
    log: list[str] = []
    tasks = [await begin(journal, "a", log)]
    await slow.reached()
    tasks += [await begin(journal, name, log) for name in "bcd"]
    assert log == []
    slow.let(2)
    await soon(asyncio.gather(*tasks))  # type: ignore[arg-type]
    assert slow.transactions == [["a"], ["b", "c", "d"]]
    assert log == ["a", "b", "c", "d"]
    assert observer.at == [NOON, NOON]
    assert await journal.read(names) == set("abcd")


async def test_nothing_is_true_before_it_is_durable(journal: Journal, slow: SlowLedger) -> None:
    """What follows a commit waits for the disk, and has happened when the caller goes on."""
    log: list[str] = []
    task = await begin(journal, "a", log)
    await slow.reached()
    assert (log, task.done()) == ([], False)
    slow.let(1)
    await soon(task)
    assert log == ["a"]


async def test_one_bad_commit_of_a_group_fails_alone(
    journal: Journal, slow: SlowLedger, observer: Committed
) -> None:
    """Together they fail; then each is tried by itself, in order, and one caller hears of it."""
    log: list[str] = []
    first = await begin(journal, "a", log)
    await slow.reached()
    tasks = [await begin(journal, name, log) for name in ("b", _BAD, "c")]
    slow.let(5)
    await soon(first)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), LedgerError, type(None)]
    assert slow.transactions == [["a"], ["b", _BAD, "c"], ["b"], [_BAD], ["c"]]
    assert log == ["a", "b", "c"]
    assert await journal.read(names) == set("abc")
    assert len(observer.at) == 2


async def test_a_failed_commit_is_not_observed(
    journal: Journal, slow: SlowLedger, observer: Committed
) -> None:
    """The time of the last commit is of one that was made durable."""
    task = await begin(journal, _BAD, [])
    slow.let(1)
    with pytest.raises(LedgerError, match="cannot be written"):
        await soon(task)
    assert observer.at == []


async def test_a_cancelled_callers_commit_still_happens(journal: Journal, slow: SlowLedger) -> None:
    """What is shown follows the file, whoever is still there to see it."""
    log: list[str] = []
    task = await begin(journal, "a", log)
    await slow.reached()
    waiting = await begin(journal, "b", log)
    for one in (task, waiting):
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
    slow.let(2)
    assert await journal.read(names) == {"a", "b"}
    assert log == ["a", "b"]


async def test_a_cancelled_caller_does_not_disturb_its_group(
    journal: Journal, slow: SlowLedger
) -> None:
    """Those who share its transaction hear of theirs, and all of it is true."""
    log: list[str] = []
    first = await begin(journal, "a", log)
    await slow.reached()
    tasks = [await begin(journal, name, log) for name in "bcd"]
    tasks[0].cancel()
    slow.let(2)
    for one in (first, *tasks[1:]):
        await soon(one)
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert log == ["a", "b", "c", "d"]


async def test_a_cancelled_callers_failure_is_nobodys(journal: Journal, slow: SlowLedger) -> None:
    """The event loop does not complain of an exception that was never retrieved."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    task = await begin(journal, _BAD, [])
    await slow.reached()
    task.cancel()
    slow.let(1)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await journal.read(names) == set()
    del task
    gc.collect()
    assert complaints == []


async def test_a_read_sees_what_was_committed_before_it(journal: Journal, slow: SlowLedger) -> None:
    """Asked in this order, answered in this order, although nobody waited in between."""
    task = await begin(journal, "a", [])
    reading = asyncio.create_task(journal.read(names))
    slow.let(1)
    assert await asyncio.wait_for(reading, _PATIENCE) == {"a"}
    await soon(task)


async def test_a_bug_in_what_follows_reaches_the_caller(journal: Journal, slow: SlowLedger) -> None:
    """It is the caller's own; the others of the group are not disturbed."""
    log: list[str] = []

    def stumble() -> None:
        raise ZeroDivisionError

    first = await begin(journal, "a", log)
    await slow.reached()
    stumbling = asyncio.create_task(journal.commit(written("b"), then=stumble))
    await asyncio.sleep(0)
    last = await begin(journal, "c", log)
    slow.let(2)
    await soon(first)
    with pytest.raises(ZeroDivisionError):
        await soon(stumbling)
    await soon(last)
    assert log == ["a", "c"]


async def test_a_bug_in_a_commit_reaches_the_caller(path: Path, observer: Committed) -> None:
    """What is no LedgerError is heard of as well, instead of being waited for for ever."""

    class Broken(Ledger):
        """A ledger with a bug."""

        def commit(self, commits: Sequence[Commit]) -> None:
            """Fail as nobody foresaw."""
            raise OverflowError(len(commits))

    with open_ledger(path, endpoint=ENDPOINT) as good:
        ledger = Broken(good._connection, path)
        async with Journal(ledger, clock=StoppedClock(), observer=observer) as journal:
            with pytest.raises(OverflowError):
                await soon(journal.commit(written("a"), then=lambda: None))


async def test_leaving_waits_for_what_was_begun(slow: SlowLedger, observer: Committed) -> None:
    """A shutdown loses no commit, and what follows it has happened as well."""
    log: list[str] = []
    async with Journal(slow, clock=StoppedClock(), observer=observer) as journal:
        task = await begin(journal, "a", log)
        await slow.reached()
        task.cancel()
        slow.let(1)
    assert log == ["a"]
    assert names(slow) == {"a"}
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_settled_is_what_came_true(journal: Journal, slow: SlowLedger) -> None:
    """Also commits that nobody waits for any more are true by then, in memory as in the file."""
    log: list[str] = []
    for name in "ab":
        (await begin(journal, name, log)).cancel()
    settled = asyncio.create_task(journal.settle())
    await slow.reached()
    slow.let(2)
    await soon(settled)
    assert log == ["a", "b"]
    assert names(slow) == {"a", "b"}
