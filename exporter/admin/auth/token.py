"""
What proves who we are, kept so that nobody sees it.

A secret is unwrapped in two places only: where a call's metadata is made, and where the identity
provider is asked. Whatever is said of it elsewhere is `***`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from exporter.admin.auth.errors import TokenUnavailable
from exporter.model.text import one_line
from exporter.model.time import Micros

DEFAULT_LIFE = 300.0
"""Seconds that a token is kept of which nobody says how long it works."""

_LONGEST_SHOWN = 300
"""Characters of somebody's text that we repeat: an error of a provider fits, a page does not."""

_LONGEST_TOKEN = 16 * 1024
"""Bytes of a token: grpc refuses metadata that is larger."""

# RFC 6750: what may follow `Bearer`. Anything else would split a header, or be refused by grpc.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a call carries."""

    secret: Secret
    expires_at: Micros | None
    """When it stops working, as far as anybody said; None when nobody did."""

    @property
    def bearer(self) -> str:
        """The value of the header that carries it."""
        return f"Bearer {self.secret.reveal()}"


def token_text(printed: str, *, giver: str) -> Secret:
    """
    Read a token out of what *giver* gave, such as `The program "get-token"`.

    Raises:
        TokenUnavailable: it holds no token, or more than one; the text itself is not repeated.
    """
    text = printed.strip()
    if not text:
        raise TokenUnavailable(f"{giver} gave no token: what it gave is empty.")
    if len(text) > _LONGEST_TOKEN:
        raise TokenUnavailable(
            f"{giver} gave {len(text)} characters; expected a token of at most {_LONGEST_TOKEN}."
        )
    if not _TOKEN.fullmatch(text):
        lines = len(text.splitlines())
        raise TokenUnavailable(
            f"{giver} gave {lines} {'line' if lines == 1 else 'lines'} of text that cannot be"
            " a token; expected the token alone."
        )
    return Secret(text)


def without(text: str, *hidden: Secret) -> str:
    """Return *text* without any of the *hidden* secrets, in whatever form it repeats them."""
    forms = {form for secret in hidden for form in _forms(secret.reveal())}
    # The longest first, so that no form is left over around one that it holds.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def fit_to_show(text: str, *hidden: Secret) -> str:
    """Return somebody's *text* as one short printable line without any of the *hidden* secrets."""
    flat = one_line(without(text, *hidden))
    # Once more: a secret may have become one only when what was in its midst was taken away.
    return one_line(without(flat, *hidden), most=_LONGEST_SHOWN)


def secrets_in(carried: Iterable[tuple[str, str]]) -> tuple[Secret, ...]:
    """Return what must not be shown of the headers that a request *carried*."""
    return tuple(Secret(value.removeprefix("Bearer ")) for _, value in carried)


def _forms(secret: str) -> set[str]:
    """Return how *secret* may be written by somebody who echoes what we sent."""
    return {secret, quote_plus(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]} - {""}
