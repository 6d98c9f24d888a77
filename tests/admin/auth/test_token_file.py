"""A token in a file is read again when it changes, and never guessed at."""

import os
from pathlib import Path

import pytest

from exporter.admin.auth.cache import Cache
from exporter.admin.auth.errors import CredentialsError, SourceRejected
from exporter.admin.auth.reports import TokenReport
from exporter.admin.auth.token_file import TokenFile
from exporter.model.time import SECOND
from tests.admin.auth.conftest import Told, jwt, seconds_from
from tests.rig import ManualClock


async def failure(path: Path) -> CredentialsError:
    """Return the error in which reading *path* ends."""
    with pytest.raises(SourceRejected) as failed:
        await TokenFile(path, clock=ManualClock()).fetch()
    return failed.value


async def test_the_content_is_the_token(tmp_path: Path, clock: ManualClock) -> None:
    """Without the space around it; its claim says how long it works, if it has one."""
    path = tmp_path / "token"
    path.write_text("\n opaque \n")
    token = await TokenFile(path, clock=clock).fetch()
    assert (token.secret.reveal(), token.expires_at) == ("opaque", None)
    path.write_text(jwt(exp=clock.now() // SECOND + 60))
    token = await TokenFile(path, clock=clock).fetch()
    assert seconds_from(clock, token.expires_at) == 60


@pytest.mark.parametrize("by", ["writing", "replacing", "linking"])
async def test_a_rotated_file_is_read_again(tmp_path: Path, clock: ManualClock, by: str) -> None:
    """However it is exchanged; Kubernetes does it by a link far up the path."""
    path = tmp_path / "token"
    versions = [tmp_path / "one", tmp_path / "two"]
    for number, version in enumerate(versions):
        version.write_text(f"token-{number}")
    if by == "linking":
        path.symlink_to(versions[0])
    else:
        path.write_text("token-0")
    file = TokenFile(path, clock=clock)
    told = Told()
    report = TokenReport(told, source=lambda: "", clock=clock, tells_expiry=True)
    cache = Cache(file.fetch, clock=clock, listener=report, origin=file.origin)
    assert (await cache.get()).secret.reveal() == "token-0"
    assert (await cache.get()).secret.reveal() == "token-0"
    assert told.outcomes == ["success"]
    match by:
        case "writing":
            path.write_text("token-1")
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        case "replacing":
            versions[1].replace(path)
        case "linking":
            path.unlink()
            path.symlink_to(versions[1])
    clock.advance(1)
    assert (await cache.get()).secret.reveal() == "token-1"
    assert told.outcomes == ["success"] * 2


async def test_a_missing_file(tmp_path: Path) -> None:
    """It is named, and so is the setting."""
    path = tmp_path / "token"
    assert str(await failure(path)) == (
        f"The file {path} (admin.auth.token_file) cannot be read: No such file or directory; put"
        " it there, or let this user read it."
    )


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """As when a volume was mounted one level too high."""
    assert "cannot be read: Is a directory;" in str(await failure(tmp_path))


@pytest.mark.parametrize("content", [b"", b" \n"])
async def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    """An empty header would only have Admin refuse it."""
    path = tmp_path / "token"
    path.write_bytes(content)
    assert str(await failure(path)) == (
        f"The file {path} (admin.auth.token_file) is empty; write what is meant into it."
    )


@pytest.mark.parametrize("content", [b"two words", b"a\nb", b"\xff\xfe\x00"])
async def test_a_file_that_holds_something_else(tmp_path: Path, content: bytes) -> None:
    """What is there is not repeated."""
    path = tmp_path / "token"
    path.write_bytes(content)
    error = await failure(path)
    assert error.lasting
    assert "words" not in str(error)


async def test_a_token_that_nobody_replaced(tmp_path: Path) -> None:
    """It says when it expired, and who is to be looked for."""
    path = tmp_path / "token"
    path.write_text(jwt(exp=1_000_000_000))
    assert str(await failure(path)) == (
        f"The token in {path} (admin.auth.token_file) expired at 2001-09-09T01:46:40.000000Z; look"
        " why nobody replaces it, and check this machine's clock."
    )
