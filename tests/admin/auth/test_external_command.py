"""Whatever a program does, there is a token, or an error that names it and shows nothing of it."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exporter.admin.auth.errors import CredentialsError, SourceRejected, TokenUnavailable
from exporter.admin.auth.external_command import ExternalCommand
from exporter.model.time import SECOND
from tests.admin.auth.conftest import jwt, seconds_from
from tests.rig import ManualClock

Program = Callable[[str], str]


async def failure(*command: str, time_limit: float = 10.0) -> CredentialsError:
    """Return the error in which running *command* ends."""
    running = ExternalCommand(
        command, setting="admin.auth.command", clock=ManualClock(), time_limit=time_limit
    )
    with pytest.raises(CredentialsError) as failed:
        await running.fetch()
    assert "s3cret" not in str(failed.value)
    return failed.value


async def test_what_it_prints_is_the_token(program: Program, clock: ManualClock) -> None:
    """Space around it is nobody's; an opaque token is kept for five minutes."""
    command = ExternalCommand((program("echo; echo '  opaque  '"),), setting="s", clock=clock)
    token = await command.fetch()
    assert token.secret.reveal() == "opaque"
    assert seconds_from(clock, token.expires_at) == 300


async def test_a_jwt_says_itself_how_long_it_works(program: Program, clock: ManualClock) -> None:
    """Its claim counts."""
    printed = jwt(exp=clock.now() // SECOND + 1234)
    command = ExternalCommand((program(f"echo {printed}"),), setting="s", clock=clock)
    assert seconds_from(clock, (await command.fetch()).expires_at) == 1234


async def test_arguments_go_through_no_shell(program: Program, clock: ManualClock) -> None:
    """What a shell would act upon arrives as it is."""
    script = program("""[ "$1" = 'a b; exit 3 $HOME *' ] && echo arrived""")
    command = ExternalCommand((script, "a b; exit 3 $HOME *"), setting="s", clock=clock)
    assert (await command.fetch()).secret.reveal() == "arrived"


async def test_it_reads_nothing_from_us(program: Program, clock: ManualClock) -> None:
    """A program that asks for a password finds the end of its input, and does not hang."""
    command = ExternalCommand((program("cat; echo t"),), setting="s", clock=clock, time_limit=5.0)
    ours = os.dup(0)
    reading_end, writing_end = os.pipe()
    os.dup2(reading_end, 0)
    try:
        assert (await command.fetch()).secret.reveal() == "t"
    finally:
        os.dup2(ours, 0)
        for descriptor in (ours, reading_end, writing_end):
            os.close(descriptor)


async def test_a_failing_program_shows_only_its_status(program: Program) -> None:
    """Neither what it printed, nor its arguments, may be told: they may hold secrets."""
    path = program("echo s3cret; echo s3cret >&2; exit 3")
    error = await failure(path, "s3cret")
    assert isinstance(error, TokenUnavailable)
    assert str(error) == (
        f"The program {path} (admin.auth.command) ended with status 3; run it by hand to see why."
    )


async def test_a_killed_program_names_the_signal(program: Program) -> None:
    """As when the kernel ran out of memory."""
    assert "was killed by signal 9; run it by hand" in str(await failure(program("kill -9 $$")))


@pytest.mark.parametrize("script", ["true", "echo '  '", "echo s3cret one; echo two"])
async def test_what_is_no_token_is_not_shown(program: Program, script: str) -> None:
    """An error that it prints in place of a token is not sent to Admin."""
    error = await failure(program(script))
    assert isinstance(error, TokenUnavailable)
    assert " gave " in str(error)


@pytest.mark.parametrize("printed", ["\\377\\376", "caf\\303\\251"])
async def test_bytes_that_are_no_ascii(program: Program, printed: str) -> None:
    """Undecodable output is no token either."""
    assert "cannot be a token" in str(await failure(program(f"printf '{printed}'")))


async def test_a_token_that_has_expired_already(program: Program) -> None:
    """Sending it would only have Admin refuse it."""
    error = await failure(program(f"echo {jwt(exp=1_000_000_000)}"))
    assert "printed a token that expired at 2001-09-09T01:46:40.000000Z" in str(error)


async def test_a_flood_is_cut_off(program: Program) -> None:
    """A program that never stops printing costs no memory, and is killed."""
    error = await failure(program("yes s3cret"))
    assert "printed more than 65536 bytes, and was killed" in str(error)


async def test_much_output_that_ends_is_too_much_as_well(program: Program) -> None:
    """No part of it is taken for a token."""
    error = await failure(program("head -c 100000 /dev/zero | tr '\\0' x"))
    assert "printed more than 65536 bytes" in str(error)


async def test_a_program_that_hangs_is_killed_with_all_it_started(
    program: Program, tmp_path: Path
) -> None:
    """Nothing of it is left behind: neither it, nor its children."""
    pids = tmp_path / "pids"
    script = program(f"sleep 1000 & echo $$ $! > {pids}; wait")
    error = await failure(script, time_limit=1.5)
    assert error.code == "DEADLINE_EXCEEDED"
    assert not error.lasting
    assert "had not ended after 1.5 s, and was killed" in str(error)
    await gone(pids)


async def test_a_child_that_holds_the_output_open_does_not_hold_us_up(
    program: Program, tmp_path: Path
) -> None:
    """The program has ended, its child has not: it is killed at the time limit."""
    pids = tmp_path / "pids"
    error = await failure(program(f"sleep 1000 & echo $! > {pids}; echo t"), time_limit=1.5)
    assert error.code == "DEADLINE_EXCEEDED"
    await gone(pids)


async def test_a_call_that_is_given_up_kills_the_program(
    program: Program, tmp_path: Path, clock: ManualClock
) -> None:
    """A shutdown leaves no program behind."""
    pids, ready = tmp_path / "pids", tmp_path / "ready"
    os.mkfifo(ready)
    script = program(f"echo $$ > {pids}; echo > {ready}; sleep 1000")
    command = ExternalCommand((script,), setting="s", clock=clock)
    running = asyncio.ensure_future(command.fetch())
    await asyncio.to_thread(ready.read_text)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(pids)


async def gone(pids: Path) -> None:
    """Wait until the processes whose ids are in the file *pids* have ended."""
    processes = []
    for pid in (await asyncio.to_thread(pids.read_text)).split():
        try:
            processes.append(psutil.Process(int(pid)))
        except psutil.NoSuchProcess:
            continue
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_program_that_is_not_there() -> None:
    """It is named, with the way out; its arguments are not."""
    error = await failure("/no/such/program", "s3cret")
    assert isinstance(error, SourceRejected)
    assert str(error) == (
        "The program /no/such/program (admin.auth.command) is not there; give its full path, and"
        " check that it is part of the image."
    )


async def test_a_program_that_may_not_be_run(tmp_path: Path) -> None:
    """A file without the mode for it is refused by the kernel, for root too."""
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o644)
    assert "may not be run by this user; check its mode." in str(await failure(str(path)))


async def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    """What only a shell could run is no program."""
    path = tmp_path / "program"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    error = await failure(str(path))
    assert isinstance(error, SourceRejected)
    assert "there is no shell" in str(error)


async def test_an_argument_that_cannot_be_passed_on() -> None:
    """A NUL ends every argument."""
    assert "a NUL character is in its arguments" in str(await failure("/bin/echo", "a\x00b"))


async def test_no_file_descriptor_is_left_behind(program: Program, clock: ManualClock) -> None:
    """Neither after a token, nor after a failure."""
    works = ExternalCommand((program("echo t"),), setting="s", clock=clock)
    flood = program("yes")

    async def open_after_one_of_each() -> int:
        await works.fetch()
        await failure("/no/such/program")
        await failure(flood)
        # Transports close what they hold in a later turn of the loop.
        for _ in range(5):
            await asyncio.sleep(0)
        return psutil.Process().num_fds()

    before = await open_after_one_of_each()
    assert [await open_after_one_of_each() for _ in range(3)] == [before] * 3
