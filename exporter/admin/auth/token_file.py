"""Somebody else keeps a token fresh in a file; we read what is there."""

from pathlib import Path

from exporter.admin.auth.claims import expiry_of
from exporter.admin.auth.errors import SourceRejected, TokenUnavailable
from exporter.admin.auth.secret_file import SecretFile
from exporter.admin.auth.token import Token, token_text
from exporter.model.clock import Clock
from exporter.model.time import rfc3339

_SETTING = "admin.auth.token_file"


class TokenFile:
    """
    Gets tokens from a file, as a projected service account token or a helper writes it.

    Attributes:
        origin: What changes when the file does.
    """

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.origin = SecretFile(path, setting=_SETTING, clock=clock)

    @property
    def giver(self) -> str:
        """Who gives the tokens, for a person."""
        return f"the file {self._path}"

    async def fetch(self) -> Token:
        """Read the token."""
        text = await self.origin.read()
        try:
            secret = token_text(text.reveal(), giver=f"The file {self._path} ({_SETTING})")
        except TokenUnavailable as error:
            # Reading it again gives the same; a change is seen by itself.
            raise SourceRejected(str(error)) from None
        expires_at = expiry_of(secret.reveal())
        if expires_at is not None and expires_at <= self._clock.now():
            raise SourceRejected(
                f"The token in {self._path} ({_SETTING}) expired at {rfc3339(expires_at)}; look why"
                " nobody replaces it, and check this machine's clock."
            )
        return Token(secret=secret, expires_at=expires_at)
