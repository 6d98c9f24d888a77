"""One request for all who wait, early, and not too often."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from exporter.admin.auth.cache import LASTING_WAIT, Cache
from exporter.admin.auth.errors import CredentialsError, SourceRejected, TokenUnavailable
from exporter.admin.auth.token import Token
from exporter.model.time import SECOND
from tests.admin.auth.conftest import token
from tests.rig import ManualClock

_SOON = 10.0


@dataclass
class Source:
    """Gives `t1`, `t2` and so on, each for *life* seconds, when the test lets it."""

    clock: ManualClock
    life: float | None = 1000.0
    error: Exception | None = None
    state: object = "as it was"
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    renewed_with: list[Token] = field(default_factory=list)
    failures: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()

    async def fetch(self) -> Token:
        """Give one."""
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error
        if self.life is None:
            return token(f"t{self.asked}")
        return token(f"t{self.asked}", expires_at=self.clock.now() + round(self.life * SECOND))

    async def seen(self) -> object:
        """Return what it is made from."""
        return self.state

    async def look(self) -> object:
        """Return what it is made from."""
        return self.state

    def renewed(self, value: Token) -> None:
        """Take note."""
        self.renewed_with.append(value)

    def failed(self, error: CredentialsError, *, first: bool) -> None:
        """Take note."""
        self.failures.append((type(error).__name__, first))


@pytest.fixture
def source(clock: ManualClock) -> Source:
    """Return the source of the cache."""
    return Source(clock)


def cache_of(source: Source, jitter: Callable[[], float] = lambda: 1.0) -> Cache[Token]:
    """Return the cache of *source*; with *jitter* 1 it asks at the earliest and waits longest."""
    return Cache(
        source.fetch,
        clock=source.clock,
        listener=source,
        origin=source,
        jitter=jitter,
    )


async def name(cache: Cache[Token]) -> str:
    """Return what the cache gives."""
    return (await cache.get()).secret.reveal()


async def idle() -> None:
    """Let tasks that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_who_wait_share_one_request(source: Source) -> None:
    """Fifty calls that begin at once ask once."""
    cache = cache_of(source)
    source.open.clear()
    waiting = [asyncio.ensure_future(name(cache)) for _ in range(50)]
    await idle()
    source.open.set()
    assert set(await asyncio.gather(*waiting)) == {"t1"}
    assert source.asked == 1


async def test_one_who_gives_up_does_not_end_the_request_of_the_others(source: Source) -> None:
    """A cancelled poll leaves the request that it began to those who wait for it too."""
    cache = cache_of(source)
    source.open.clear()
    first, second = (asyncio.ensure_future(name(cache)) for _ in range(2))
    await idle()
    first.cancel()
    await idle()
    source.open.set()
    assert await asyncio.wait_for(second, _SOON) == "t1"
    assert source.asked == 1


async def test_what_is_fresh_is_given_without_asking(source: Source) -> None:
    """Up to the fifth of its life before the end nothing is asked."""
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(799)
    assert await name(cache) == "t1"
    await idle()
    assert source.asked == 1


async def test_what_ages_is_given_at_once_and_got_anew_behind(source: Source) -> None:
    """No call waits for a request as long as the value is good."""
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(800)
    source.open.clear()
    assert await asyncio.wait_for(name(cache), _SOON) == "t1"
    assert await asyncio.wait_for(name(cache), _SOON) == "t1"
    await idle()
    assert source.asked == 2
    source.open.set()
    await idle()
    assert await name(cache) == "t2"


async def test_nothing_is_got_by_a_timer(source: Source) -> None:
    """Where nobody asks for it, a value runs out; whoever comes next waits for another."""
    cache = cache_of(source)
    await name(cache)
    for _ in range(20):
        source.clock.advance(100)
        await idle()
    assert source.asked == 1
    assert await name(cache) == "t2"


@pytest.mark.parametrize(("jitter", "at"), [(0.0, 900), (0.5, 850), (1.0, 800)])
async def test_jitter_spreads_the_moment_of_asking(source: Source, jitter: float, at: int) -> None:
    """Exporters that were started together do not ask in step."""
    cache = cache_of(source, lambda: jitter)
    await name(cache)
    source.clock.advance(at - 1)
    await name(cache)
    await idle()
    assert source.asked == 1
    source.clock.advance(1)
    await name(cache)
    await idle()
    assert source.asked == 2


async def test_a_long_life_is_renewed_minutes_before_its_end(source: Source) -> None:
    """Five minutes at most, and not a fifth of a year."""
    source.life = 100_000.0
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(100_000 - 301)
    await name(cache)
    await idle()
    assert source.asked == 1
    source.clock.advance(1)
    await name(cache)
    await idle()
    assert source.asked == 2


async def test_the_last_seconds_are_not_relied_on(source: Source) -> None:
    """The call takes time, and Admin's clock is another: a new one is waited for."""
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(991)
    assert await name(cache) == "t2"


async def test_what_nobody_says_the_end_of_is_kept(source: Source) -> None:
    """No expiry, no renewal."""
    source.life = None
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(10**7)
    assert await name(cache) == "t1"


async def test_a_failed_renewal_keeps_what_is_still_valid(source: Source) -> None:
    """An outage of the provider that is shorter than a token's life is not felt."""
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(995)
    source.error = TokenUnavailable("down")
    assert await name(cache) == "t1"
    assert source.asked == 2
    source.clock.advance(5)
    with pytest.raises(TokenUnavailable, match="down"):
        await name(cache)


async def test_an_outage_is_not_hammered(source: Source) -> None:
    """However many calls come, the pauses double up to a minute."""
    cache = cache_of(source)
    source.error = TokenUnavailable("down")
    asked_at = []
    begin = source.clock.monotonic()
    while source.clock.monotonic() - begin < 300:
        before = source.asked
        with pytest.raises(TokenUnavailable):
            await name(cache)
        if source.asked > before:
            asked_at.append(round(source.clock.monotonic() - begin))
        source.clock.advance(1)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert source.failures == [("TokenUnavailable", i == 0) for i in range(10)]


@pytest.mark.parametrize("life", [-5.0, 0.0, 0.5])
async def test_tokens_that_come_expired_do_not_have_the_provider_hammered(
    source: Source, life: float
) -> None:
    """They are a failure like others: told, and asked for again after a pause that grows."""
    cache = cache_of(source)
    source.life = life
    for _ in range(120):
        with pytest.raises(TokenUnavailable, match="expired when it came"):
            await name(cache)
        source.clock.advance(0.5)
    assert source.asked == 6  # at 0, 1, 3, 7, 15 and 31 s
    assert source.renewed_with == []
    source.life = 1000.0
    source.clock.advance(60)
    assert await name(cache) == "t7"


async def test_a_bug_does_not_have_the_provider_hammered(source: Source) -> None:
    """The next calls are told without its text, which may repeat a secret; pauses are as ever."""
    cache = cache_of(source)
    source.error = KeyError("hunter2")
    told = set()
    for _ in range(120):
        with pytest.raises((KeyError, TokenUnavailable)) as failed:
            await name(cache)
        if isinstance(failed.value, TokenUnavailable):
            assert failed.value.code == "INTERNAL"
            told.add(re.sub(r"\d+", "N", str(failed.value)))
        source.clock.advance(0.5)
    assert source.asked == 6
    assert told == {
        "Asking for it ended in a bug of ours: KeyError at test_cache.py:N; please report it."
    }
    source.error = None
    source.clock.advance(60)
    assert await name(cache) == "t7"


async def test_a_bug_keeps_what_is_still_valid(source: Source) -> None:
    """As long as there is a token, calls go on."""
    cache = cache_of(source)
    await name(cache)
    source.clock.advance(900)
    source.error = KeyError("hunter2")
    for _ in range(10):
        assert await name(cache) == "t1"
        await idle()
    assert source.asked == 2


async def test_after_an_outage_everything_is_as_before(source: Source) -> None:
    """The first answer ends the pauses, and the next failure counts from one again."""
    cache = cache_of(source)
    source.error = TokenUnavailable("down")
    with pytest.raises(TokenUnavailable):
        await name(cache)
    source.error = None
    source.clock.advance(1)
    assert await name(cache) == "t2"
    assert [value.secret.reveal() for value in source.renewed_with] == ["t2"]


async def test_a_provider_that_asks_for_patience_gets_it(source: Source) -> None:
    """Its own pause is kept where it is longer than ours."""
    cache = cache_of(source)
    source.error = TokenUnavailable("slow down", wait=90)
    for step in (0, 89):
        source.clock.advance(step)
        with pytest.raises(TokenUnavailable):
            await name(cache)
    assert source.asked == 1
    source.clock.advance(1)
    with pytest.raises(TokenUnavailable):
        await name(cache)
    assert source.asked == 2


async def test_what_somebody_must_repair_is_said_at_once_and_asked_rarely(
    source: Source,
) -> None:
    """Every call hears it; the provider is asked every few minutes, and heals us when repaired."""
    cache = cache_of(source)
    source.error = SourceRejected("wrong secret")
    for step in (0, 1, LASTING_WAIT - 2):
        source.clock.advance(step)
        with pytest.raises(SourceRejected, match="wrong secret"):
            await name(cache)
    assert source.asked == 1
    source.error = None
    source.clock.advance(1)
    assert await name(cache) == "t2"


async def test_a_repair_is_seen_at_once(source: Source) -> None:
    """A changed file is asked about without any pause."""
    cache = cache_of(source)
    source.error = SourceRejected("wrong secret")
    with pytest.raises(SourceRejected):
        await name(cache)
    source.error, source.state = None, "repaired"
    assert await name(cache) == "t2"


async def test_a_repair_that_does_not_help_is_told(source: Source) -> None:
    """Whoever has just written another file hears what is wrong with that one; once."""
    cache = cache_of(source)
    source.error = SourceRejected("wrong secret")
    for seen in ("as it was", "repaired badly", "repaired badly"):
        source.state = seen
        with pytest.raises(SourceRejected):
            await name(cache)
        source.clock.advance(LASTING_WAIT)
    assert source.failures == [
        ("SourceRejected", True),
        ("SourceRejected", True),
        ("SourceRejected", False),
    ]


async def test_a_change_of_what_it_was_made_from_is_followed(source: Source) -> None:
    """A token whose file was replaced is replaced, though it has not expired."""
    cache = cache_of(source)
    await name(cache)
    source.state = "rotated"
    assert await name(cache) == "t2"
    assert await name(cache) == "t2"


async def test_a_change_that_spoils_it_keeps_what_is_still_valid(source: Source) -> None:
    """A file that is empty for a moment while it is rewritten costs nothing."""
    cache = cache_of(source)
    await name(cache)
    source.state, source.error = "empty", SourceRejected("empty")
    assert await name(cache) == "t1"
    source.state, source.error = "rewritten", None
    assert await name(cache) == "t3"


async def test_an_error_raised_for_many_calls_does_not_grow(source: Source) -> None:
    """The traceback of the one error is that of the last call only."""
    cache = cache_of(source)
    source.error = SourceRejected("no")
    depths = []
    for _ in range(20):
        with pytest.raises(SourceRejected) as failed:
            await name(cache)
        depths.append(len(failed.traceback))
    assert depths[-1] == depths[1]


async def test_a_refused_value_is_renewed_once_for_all(source: Source) -> None:
    """Fifty calls refused with one token share one request, and late ones need none."""
    cache = cache_of(source)
    refused = await cache.get()
    source.open.clear()
    waiting = [asyncio.ensure_future(cache.renew(refused)) for _ in range(50)]
    await idle()
    source.open.set()
    await asyncio.gather(*waiting)
    await cache.renew(refused)
    assert source.asked == 2
    assert await name(cache) == "t2"


async def test_a_renewal_that_fails_is_raised_and_paused(source: Source) -> None:
    """A refused call learns why it has no other token, and the outage is not hammered."""
    cache = cache_of(source)
    refused = await cache.get()
    source.error = TokenUnavailable("down")
    for _ in range(5):
        with pytest.raises(TokenUnavailable, match="down"):
            await cache.renew(refused)
    assert source.asked == 2


async def test_what_is_not_ours_goes_through_to_who_waits(source: Source) -> None:
    """An unforeseen exception is neither swallowed nor kept for longer than a pause."""
    cache = cache_of(source)
    source.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await name(cache)
    source.error = None
    source.clock.advance(1)
    assert await name(cache) == "t2"


async def test_closing_ends_the_request(source: Source) -> None:
    """Nothing is left behind at shutdown."""
    cache = cache_of(source)
    source.open.clear()
    waiting = asyncio.ensure_future(name(cache))
    await idle()
    await asyncio.wait_for(cache.close(), _SOON)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    others: Sequence[str] = [task.get_name() for task in asyncio.all_tasks()]
    assert "credentials" not in others
