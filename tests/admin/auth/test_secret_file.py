"""A file on a mount that may hang: looked at seldom, never by the event loop, and left behind."""

import os
import threading
from pathlib import Path

import pytest

from exporter.admin.auth.errors import TokenUnavailable
from exporter.admin.auth.secret_file import SecretFile, fingerprint_of
from tests.rig import ManualClock


class Mount:
    """Looks at files as the kernel does, and hangs when the test says so."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.answers = threading.Event()
        self.answers.set()

    def fingerprint(self, path: Path) -> object:
        """Look at a file."""
        self.threads.append(threading.get_ident())
        self.answers.wait(30)
        return fingerprint_of(path)


def file_of(path: Path, clock: ManualClock, mount: Mount) -> SecretFile:
    """Return the file at *path*, which is on *mount*."""
    return SecretFile(
        path, setting="admin.auth.token_file", clock=clock, fingerprint=mount.fingerprint
    )


async def test_a_file_is_looked_at_once_a_second_and_never_by_the_event_loop(
    clock: ManualClock, tmp_path: Path
) -> None:
    """However many calls there are; a change is seen by those of the next second."""
    path, mount = tmp_path / "token", Mount()
    path.write_text("one")
    file = file_of(path, clock, mount)
    before = [await file.seen() for _ in range(100)]
    path.write_text("another")
    assert {await file.seen() for _ in range(100)} == {*before}
    assert len(mount.threads) == 1
    clock.advance(1)
    assert await file.seen() == fingerprint_of(path) != before[0]
    assert len(mount.threads) == 2
    assert threading.get_ident() not in mount.threads


async def test_a_look_that_hangs_costs_one_call_a_second_and_one_thread(
    clock: ManualClock, tmp_path: Path
) -> None:
    """What was seen before stands; a mount that comes back is looked at again."""
    path, mount = tmp_path / "token", Mount()
    path.write_text("one")
    file = file_of(path, clock, mount)
    before = await file.seen()
    mount.answers.clear()
    clock.advance(1)
    for _ in range(100):
        assert await file.seen() == before
        clock.advance(1)
    assert len(mount.threads) == 2
    path.write_text("another")
    mount.answers.set()
    assert await file.look() == fingerprint_of(path)


async def test_a_read_that_hangs_is_told_and_begun_once(clock: ManualClock, tmp_path: Path) -> None:
    """It names the file and where to look, and may have more luck later."""
    path, before = tmp_path / "token", threading.active_count()
    os.mkfifo(path)
    file = SecretFile(path, setting="admin.auth.token_file", clock=clock, patience=0.05)
    for _ in range(3):
        with pytest.raises(TokenUnavailable) as failed:
            await file.read()
        assert failed.value.code == "DEADLINE_EXCEEDED"
        assert str(failed.value) == (
            f"The file {path} (admin.auth.token_file) was not read within 0.05 s; look at the disk"
            " or mount that holds it."
        )
    assert threading.active_count() == before + 1
    with path.open("w") as written:
        written.write("one")
    path.unlink()
    path.write_text("one")
    assert (await file.read()).reveal() == "one"
