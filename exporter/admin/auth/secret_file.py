"""
A file with a secret: somebody else may replace it at any time, and its mount may hang.

The event loop never touches it. A look or a read that hangs is given up, and not begun again while
it hangs; calls go on with what was seen before.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from exporter.admin.auth.errors import SourceRejected, TokenUnavailable
from exporter.admin.auth.token import Secret
from exporter.model.clock import Clock
from exporter.threads import Errand, StillRunning

_LOOK_SECONDS = 1.0
"""How often a file is looked at, however many calls there are: nobody waits for a second."""
_PATIENCE = 1.0
"""Seconds that a call waits for a look, which otherwise takes a fraction of a millisecond."""
_READ_SECONDS = 5.0


class Origin(Protocol):
    """What a value is made from, as far as can be seen without getting the value."""

    async def seen(self) -> object:
        """Return what changes when it does; as it was a second ago, or now."""

    async def look(self) -> object:
        """Return the same as it is now."""


class Unseen:
    """The origin of what nothing can be seen of."""

    async def seen(self) -> object:
        """Return nothing, which never changes."""
        return None

    async def look(self) -> object:
        """Return nothing, which never changes."""
        return None


def fingerprint_of(path: Path) -> object:
    """Return what changes when the file at *path* is written, replaced or removed."""
    try:
        # Kubernetes exchanges a link far up the path: the file behind it is another then.
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class SecretFile:
    """
    Reads a file with a secret, and tells when it has changed.

    Args:
        setting: Where it is configured, such as `admin.auth.token_file`.
        clock: Says when it is time to look again.
        patience: Seconds that the file may take to be read.
        fingerprint: Looks at it; may hang.
    """

    def __init__(
        self,
        path: Path,
        *,
        setting: str,
        clock: Clock,
        patience: float = _READ_SECONDS,
        fingerprint: Callable[[Path], object] = fingerprint_of,
    ) -> None:
        self._path = path
        self._clock = clock
        self._patience = patience
        self._fingerprint = fingerprint
        self._what = f"The file {path} ({setting})"
        self._looking: Errand[object] = Errand()
        self._reading: Errand[str] = Errand()
        self._look_at = 0.0
        self._seen: object = None

    async def seen(self) -> object:
        """Return what changes when the file does, as of the last second."""
        # While one call looks, the others go on with what was seen.
        if self._looking.is_under_way or self._clock.monotonic() < self._look_at:
            return self._seen
        return await self.look()

    async def look(self) -> object:
        """Return what changes when the file does; what was seen last where a look hangs."""
        self._look_at = self._clock.monotonic() + _LOOK_SECONDS
        with suppress(StillRunning):
            self._seen = await self._looking.run(self._fingerprint, self._path, within=_PATIENCE)
        return self._seen

    async def read(self) -> Secret:
        """
        Return what the file holds, without the white space around it.

        Raises:
            SourceRejected: It cannot be read, or holds nothing.
            TokenUnavailable: It hangs.
        """
        try:
            text = (await self._reading.run(_text_of, self._path, within=self._patience)).strip()
        except StillRunning:
            raise TokenUnavailable(
                f"{self._what} was not read within {self._patience:g} s; look at the disk or mount"
                " that holds it.",
                code="DEADLINE_EXCEEDED",
            ) from None
        except UnicodeDecodeError:
            raise SourceRejected(
                f"{self._what} does not hold text; write what is meant into it, and nothing else."
            ) from None
        except OSError as error:
            raise SourceRejected(
                f"{self._what} cannot be read: {error.strerror}; put it there, or let this user"
                " read it."
            ) from None
        if not text:
            raise SourceRejected(f"{self._what} is empty; write what is meant into it.")
        return Secret(text)


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")
