"""
A token in use: sent with every call, and given up when it is refused.

    a token that can never work   said at once, and not asked for again for minutes
    one that ran out              got anew once, however many calls were refused
    one after the other refused   got anew ever more rarely: it is not the tokens that need repair
"""

from collections.abc import Callable

from exporter.admin.auth.cache import LASTING_WAIT, Cache
from exporter.admin.auth.errors import TokenRejected
from exporter.admin.auth.reports import TokenReport
from exporter.admin.auth.token import Token, clause, fit_to_show
from exporter.model.clock import Clock

_FIRST_WAIT, _LONGEST_WAIT = 10.0, 300.0
"""Seconds from one refused token to the next that we get for it, at first and at most."""


class Proof:
    """
    Keeps one kind of token for calls to Admin.

    Args:
        refuser: Who may refuse it, for a person.
        source: Who gives it, for a person.
        judge: Says of a token and the words of its refusal why none of its kind can work; None
            when another one may.
    """

    def __init__(
        self,
        tokens: Cache[Token],
        *,
        refuser: str,
        source: Callable[[], str],
        report: TokenReport,
        clock: Clock,
        judge: Callable[[str, str], str | None] = lambda _token, _details: None,
    ) -> None:
        self._tokens = tokens
        self._refuser = refuser
        self._source = source
        self._report = report
        self._clock = clock
        self._judge = judge
        self._held: TokenRejected | None = None
        self._held_until = 0.0
        self._held_for: object = None
        self._last_said = ""
        self._renewing = ""
        self._renewals = 0
        self._renew_at = 0.0

    @property
    def token(self) -> Token | None:
        """The token in use; nothing is asked."""
        return self._tokens.current

    async def bearer(self) -> str:
        """Return the value of the header; raises the `CredentialsError` for which there is none."""
        self._raise_held(await self._tokens.seen())
        return (await self._tokens.get()).bearer

    async def refused(self, bearer: str, details: str) -> None:
        """
        Get another token than that of *bearer*, which was refused with the words *details*.

        The words are shown: they must hold no secret.

        Raises:
            CredentialsError: a retry makes no sense now.
        """
        seen = await self._tokens.seen()
        self._raise_held(seen)
        token = self._tokens.current
        if token is None or token.bearer != bearer:
            return
        reason = self._judge(token.secret.reveal(), details)
        if reason is not None:
            raise self._hold(reason)
        # Calls that were refused side by side share the request of the first. What was repaired
        # is asked at once.
        worthwhile = self._renewing == bearer or self._tokens.has_changed(seen)
        if not worthwhile and not self._may_renew():
            raise self._useless(details, "as the one before")
        self._renewing = bearer
        try:
            await self._tokens.renew(token)
        finally:
            self._renewing = ""
        if self._tokens.current is not None and self._tokens.current.bearer == bearer:
            raise self._useless(details, "and it is given no other")

    async def close(self) -> None:
        """End a request that is under way."""
        await self._tokens.close()

    def _raise_held(self, seen: object) -> None:
        if self._held is None:
            return
        over = self._clock.monotonic() >= self._held_until
        if over or seen != self._held_for:
            self._held = None
            return
        # The same error is raised for many calls: each would add to its traceback for ever.
        raise self._held.with_traceback(None)

    def _hold(self, reason: str) -> TokenRejected:
        """Give up on tokens of this kind for a while, and return why."""
        sentence = (
            f"{self._refuser} refuses the token from {self._source()}, and would refuse every"
            f" other of its kind: {reason[:1].lower()}{reason[1:]}"
        )
        now = self._clock.monotonic()
        first = sentence != self._last_said or now > self._held_until + LASTING_WAIT
        self._held = TokenRejected(sentence, lasting=True)
        self._held_until = now + LASTING_WAIT
        self._held_for = self._tokens.made_from
        self._last_said = sentence
        self._tokens.forget()
        self._report.rejected(self._held, first=first)
        return self._held

    def _may_renew(self) -> bool:
        """Tell whether a refusal is worth a request now, and count it."""
        now = self._clock.monotonic()
        if now < self._renew_at:
            return False
        if now >= self._renew_at + _LONGEST_WAIT:
            self._renewals = 0
        self._renew_at = now + min(_FIRST_WAIT * 2.0 ** min(self._renewals, 10), _LONGEST_WAIT)
        self._renewals += 1
        return True

    def _useless(self, details: str, how: str) -> TokenRejected:
        said = clause(fit_to_show(details))
        return TokenRejected(
            f"{self._refuser} refused the token from {self._source()}, {how}"
            f"{': ' if said else ''}{said}; have it give tokens that are accepted.",
            lasting=False,
        )
