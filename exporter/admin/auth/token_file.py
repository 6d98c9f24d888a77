"""Somebody else keeps a token fresh in a file; we read what is there."""

import asyncio
from pathlib import Path

from exporter.admin.auth.claims import expiry_of
from exporter.admin.auth.errors import SourceRejected, TokenUnavailable
from exporter.admin.auth.token import Secret, Token, token_text
from exporter.model.clock import Clock
from exporter.model.time import rfc3339


class TokenFile:
    """Gets tokens from a file, as a projected service account token or a helper writes it."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    @property
    def description(self) -> str:
        """Who gives the tokens, for a person."""
        return f"the file {self._path}"

    def fingerprint(self) -> object:
        """Return what changes when the file does."""
        return fingerprint_of(self._path)

    async def fetch(self) -> Token:
        """Read the token."""
        setting = "admin.auth.token_file"
        text = await read_secret(self._path, setting=setting)
        try:
            secret = token_text(text.reveal(), giver=f"The file {self._path} ({setting})")
        except TokenUnavailable as error:
            # Reading it again gives the same; a change is seen by itself.
            raise SourceRejected(str(error)) from None
        expires_at = expiry_of(secret.reveal())
        if expires_at is not None and expires_at <= self._clock.now():
            raise SourceRejected(
                f"The token in {self._path} ({setting}) expired at {rfc3339(expires_at)}; look why"
                " nobody replaces it, and check this machine's clock."
            )
        return Token(secret=secret, expires_at=expires_at)


def fingerprint_of(path: Path) -> object:
    """Return what changes when the file at *path* is written, replaced or removed."""
    try:
        # Kubernetes exchanges a link far up the path: the file behind it is another then.
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


async def read_secret(path: Path, *, setting: str) -> Secret:
    """
    Return what the file at *path* holds, without the white space around it.

    Raises:
        SourceRejected: it cannot be read, or holds nothing; *setting* names it.
    """
    try:
        # A thread, because secrets are mounted, and a mount may hang.
        text = (await asyncio.to_thread(path.read_text, encoding="utf-8")).strip()
    except UnicodeDecodeError:
        raise SourceRejected(
            f"The file {path} ({setting}) does not hold text; write what is meant into it,"
            " and nothing else."
        ) from None
    except OSError as error:
        raise SourceRejected(
            f"The file {path} ({setting}) cannot be read: {error.strerror}; put it there, or let"
            " this user read it."
        ) from None
    if not text:
        raise SourceRejected(f"The file {path} ({setting}) is empty; write what is meant into it.")
    return Secret(text)
