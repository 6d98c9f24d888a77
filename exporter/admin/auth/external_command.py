"""
A program prints a token.

It is run as an argument list and without a shell. Of what it writes, nothing is ever shown: its
output is a secret, its error output may hold one, and so may its arguments. Its name and how it
ended must do.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from exporter.admin.auth.claims import expiry_of
from exporter.admin.auth.errors import SourceRejected, TokenUnavailable
from exporter.admin.auth.secret_file import Unseen
from exporter.admin.auth.token import DEFAULT_LIFE, Token, fit_to_show, token_text
from exporter.model.clock import Clock
from exporter.model.time import SECOND, Micros, rfc3339

TIME_LIMIT = 30.0
"""Seconds that a program may take: one that asks a slow identity provider itself still fits."""

_LONGEST_OUTPUT = 64 * 1024


class ExternalCommand:
    """
    Gets tokens from a program.

    Attributes:
        origin: Nothing can be seen of what the program makes its tokens from.

    Args:
        command: The program and its arguments.
        setting: Where it is configured, such as `admin.auth.command`.
    """

    def __init__(
        self, command: Sequence[str], *, setting: str, clock: Clock, time_limit: float = TIME_LIMIT
    ) -> None:
        self._command = tuple(command)
        self._setting = setting
        self._clock = clock
        self._time_limit = time_limit
        self.origin = Unseen()

    @property
    def giver(self) -> str:
        """Who gives the tokens, for a person."""
        return f"the program {fit_to_show(self._command[0])}"

    async def fetch(self) -> Token:
        """Run the program, and return the token that it prints."""
        giver = f"The program {fit_to_show(self._command[0])} ({self._setting})"
        secret = token_text(await self._output(giver), giver=giver)
        now = self._clock.now()
        expires_at = expiry_of(secret.reveal())
        if expires_at is None:
            expires_at = Micros(now + round(DEFAULT_LIFE * SECOND))
        elif expires_at <= now:
            raise TokenUnavailable(
                f"{giver} printed a token that expired at {rfc3339(expires_at)}; have it print a"
                " fresh one, and check this machine's clock."
            )
        return Token(secret=secret, expires_at=expires_at)

    async def _output(self, giver: str) -> str:
        status: int | None = None
        async with _pipe() as (reader, sink):
            process = await self._started(giver, sink)
            # Only the program holds it now, so that its end is the end of what we read.
            sink.close()
            try:
                async with asyncio.timeout(self._time_limit):
                    output = await _read(reader)
                    if len(output) <= _LONGEST_OUTPUT:
                        status = await process.wait()
            except TimeoutError:
                raise TokenUnavailable(
                    f"{giver} had not ended after {self._time_limit:g} s, and was killed; run it by"
                    " hand to see what it waits for.",
                    code="DEADLINE_EXCEEDED",
                ) from None
            finally:
                if status is None:
                    await _kill(process)
        if status is None:
            raise TokenUnavailable(
                f"{giver} printed more than {_LONGEST_OUTPUT} bytes, and was killed; expected a"
                " token alone."
            )
        if status < 0:
            raise TokenUnavailable(
                f"{giver} was killed by signal {-status}; run it by hand to see why."
            )
        if status > 0:
            raise TokenUnavailable(
                f"{giver} ended with status {status}; run it by hand to see why."
            )
        # What is no ASCII is no token, and is found to be none later.
        return output.decode("ascii", errors="replace")

    async def _started(self, giver: str, sink: BinaryIO) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=asyncio.subprocess.DEVNULL,
                # A group of its own, so that what it started can be killed along with it.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise SourceRejected(
                f"{giver} is not there; give its full path, and check that it is part of the image."
            ) from None
        except PermissionError:
            raise SourceRejected(f"{giver} may not be run by this user; check its mode.") from None
        except OSError as error:
            raise SourceRejected(
                f"{giver} cannot be run: {error.strerror}. The first word of the list must be a"
                " program; there is no shell."
            ) from None
        except ValueError:
            raise SourceRejected(
                f"{giver} cannot be run: a NUL character is in its arguments."
            ) from None


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, BinaryIO]]:
    """
    Yield the two ends of a pipe.

    asyncio's own pipes to a process cannot be closed while a grandchild holds on to the other end,
    and then neither can the process be waited for.
    """
    reading_end, writing_end = os.pipe()
    with os.fdopen(writing_end, "wb", buffering=0) as sink:
        source = os.fdopen(reading_end, "rb", buffering=0)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), source
        )
        with contextlib.closing(transport):
            yield reader, sink


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes, or the beginning of what is too much."""
    output = b""
    while len(output) <= _LONGEST_OUTPUT:
        chunk = await reader.read(_LONGEST_OUTPUT)
        if not chunk:
            break
        output += chunk
    return output


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End *process*, and what it started and left behind in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
