"""
A ledger that cannot be trusted stops a start, untouched; one that cannot be written stops nothing.

The first would make counters lie; the second passes, and what was not written is counted then.
"""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from exporter.ledger.migrations import VERSION
from tests.e2e import exporter as run
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import Flyte, Simulator
from tests.e2e.programs import settled, until

_FINISHED = ("flyte_executions_finished_total", "project", "launch_plan", "mode", "phase")
_RESTORE = (
    "Restore it from a backup, or move it away to begin counting from zero; nothing was changed."
)
_NEWER = (
    "Ledger {path} was written by a newer flyte-exporter (schema 999, this one knows {version}). Go"
    " back to the newer release, or give this one its own ledger.path."
)
_NOT_A_LEDGER = (
    "{path} is a SQLite file, but not a ledger of flyte-exporter. Set ledger.path to another file;"
    " this one was not touched."
)
_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def counted(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a ledger that an exporter has used and closed; tests copy it."""
    directory = tmp_path_factory.mktemp("counted")
    with Exporter(write_config(directory, endpoint=simulator.address)) as exporter:
        exporter.wait_until_ready()
        assert exporter.program.terminate() == 0
    assert not list(directory.glob("exporter.db-*"))
    return directory / "exporter.db"


def _header(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.write(b"\0" * 100)


def _middle(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.seek(ledger.stat().st_size // 4)
        file.write(b"\xa5" * (ledger.stat().st_size // 2))


def _half(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 2)


def _nothing(ledger: Path) -> None:
    os.truncate(ledger, 0)


def _newer(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 999")


def _other_program(ledger: Path) -> None:
    ledger.unlink()
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("CREATE TABLE bookmark (url TEXT)")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_header, f"Ledger {{path}} is damaged (file is not a database). {_RESTORE}"),
        (_middle, f"Ledger {{path}} is damaged (*). {_RESTORE}"),
        (_half, f"Ledger {{path}} is damaged (*). {_RESTORE}"),
        (_nothing, f"Ledger {{path}} is damaged (it is empty). {_RESTORE}"),
        (_newer, _NEWER),
        (_other_program, _NOT_A_LEDGER),
    ],
    ids=["header", "middle", "half", "nothing", "newer", "other program"],
)
def test_an_unusable_ledger_is_refused_untouched(
    counted: Path,
    simulator: Simulator,
    tmp_path: Path,
    harm: Callable[[Path], None],
    message: str,
) -> None:
    """Exit 1 and one line that says what to do; the file and what is around it stay as they are."""
    config = write_config(tmp_path, endpoint=simulator.address)
    ledger = tmp_path / "exporter.db"
    shutil.copy(counted, ledger)
    harm(ledger)
    before = ledger.read_bytes()
    with run.start(config) as refused:
        assert refused.exit_code() == 1
        _assert_says(refused.said(), message.format(path=ledger, version=VERSION))
    assert ledger.read_bytes() == before
    assert {path.name for path in tmp_path.glob("exporter.db*")} == {
        "exporter.db",
        "exporter.db.lock",
    }


def test_the_ledger_of_another_admin_is_refused_until_adopted(
    counted: Path, simulator: Simulator, tmp_path: Path
) -> None:
    """Counters of one Admin are never continued with another's, unless a person says it is one."""
    shutil.copy(counted, tmp_path / "exporter.db")
    endpoint = f"dns:///{simulator.address}"
    config = write_config(tmp_path, endpoint=endpoint)
    with run.start(config) as refused:
        assert refused.exit_code() == 1
        assert refused.said() == (
            f"Ledger {tmp_path / 'exporter.db'} belongs to the Admin at {simulator.address}, not to"
            f" {endpoint}. Set ledger.path to another file for another Admin; if it is the same one"
            " under a new address, start once with --adopt-ledger.\n"
        )
    assert (tmp_path / "exporter.db").read_bytes() == counted.read_bytes()

    for arguments in (["--adopt-ledger"], []):
        with Exporter(config, *arguments) as exporter:
            exporter.wait_until_ready()
            assert exporter.program.terminate() == 0
            # Had it begun anew, it would have primed its targets again.
            assert "target primed" not in exporter.program.said()


def test_a_second_exporter_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    """Two exporters on one ledger would count twice: the second says who has it, and ends."""
    config = write_config(tmp_path, endpoint=simulator.address)
    with Exporter(config) as first:
        first.wait_until_ready()
        with run.start(config) as second:
            assert second.exit_code() == 1
            assert second.said() == (
                f"Ledger {tmp_path / 'exporter.db'} is locked by another exporter"
                f" (pid {first.program.pid}). Run one replica, or give this one its own"
                " ledger.path.\n"
            )
        assert first.ask("/-/healthy").status == 200
        assert first.program.terminate() == 0


def test_a_lock_dies_with_its_exporter(simulator: Simulator, tmp_path: Path) -> None:
    """After a SIGKILL the next start needs nobody to clean up."""
    config = write_config(tmp_path, endpoint=simulator.address)
    with Exporter(config) as exporter:
        exporter.wait_until_ready()
    with Exporter(config) as exporter:
        exporter.wait_until_ready()


def test_a_ledger_locked_at_the_start_is_refused(
    counted: Path, simulator: Simulator, tmp_path: Path
) -> None:
    """A database shell with an open transaction is named as what it is."""
    ledger = tmp_path / "exporter.db"
    shutil.copy(counted, ledger)
    config = write_config(tmp_path, endpoint=simulator.address)
    with _exclusive(ledger), run.start(config) as refused:
        assert refused.exit_code() == 1
        assert refused.said() == (
            f"Ledger {ledger} is locked by another program (database is locked). Close whatever has"
            " it open, such as a database shell or a backup that holds a lock.\n"
        )


def test_a_lock_that_passes_costs_no_count(
    simulator: Simulator, flyte: Flyte, tmp_path: Path
) -> None:
    """While another program holds the ledger, polls fail and say why; then all is counted."""
    with _counting(simulator, flyte, tmp_path, project="locked") as exporter:
        with _exclusive(tmp_path / "exporter.db"):
            _assert_stalled(
                exporter, flyte, project="locked", said="is locked by another program (database is"
            )
        _assert_counted(exporter, flyte)


def test_a_full_disk_costs_no_count(simulator: Simulator, flyte: Flyte, tmp_path: Path) -> None:
    """With no space left polls fail and say why; as soon as there is some, all is counted."""
    with (
        _small_disk(tmp_path / "disk") as disk,
        _counting(simulator, flyte, tmp_path, project="full", ledger=disk / "l.db") as exporter,
    ):
        with _filled(disk):
            _assert_stalled(
                exporter, flyte, project="full", said="cannot grow: the disk is full. Free some"
            )
        _assert_counted(exporter, flyte)


@pytest.mark.parametrize("is_new", [True, False], ids=["no ledger yet", "a ledger"])
def test_a_start_on_a_full_disk_is_refused(
    counted: Path, simulator: Simulator, tmp_path: Path, *, is_new: bool
) -> None:
    """Nothing can be counted then, and whoever looks is pointed at the disk."""
    with _small_disk(tmp_path / "disk") as disk:
        if not is_new:
            shutil.copy(counted, disk / "exporter.db")
        config = write_config(
            tmp_path, endpoint=simulator.address, ledger={"path": str(disk / "exporter.db")}
        )
        with _filled(disk), run.start(config) as refused:
            assert refused.exit_code() == 1
            assert re.fullmatch(r"Ledger .*\bdisk\b.*\bspace\b.*\n", refused.said())


def test_a_file_that_may_not_grow_costs_no_count(
    simulator: Simulator, flyte: Flyte, tmp_path: Path
) -> None:
    """The same for a limit on the size of files, which needs no right to mount a small disk."""
    with _counting(simulator, flyte, tmp_path, project="limited") as exporter:
        pid, limit = exporter.program.pid, resource.RLIMIT_FSIZE
        before = resource.prlimit(pid, limit)
        size = (tmp_path / "exporter.db-wal").stat().st_size
        resource.prlimit(pid, limit, (size, before[1]))
        _assert_stalled(
            exporter, flyte, project="limited", said="could not be read or written (disk I/O error)"
        )
        resource.prlimit(pid, limit, before)
        _assert_counted(exporter, flyte)


@contextmanager
def _counting(
    simulator: Simulator,
    flyte: Flyte,
    directory: Path,
    *,
    project: str,
    ledger: Path | None = None,
) -> Iterator[Exporter]:
    """Run an exporter that has counted something; it must still end well."""
    flyte.add_project(project)
    flyte.add_launch_plan(project, "ingest")
    config = write_config(
        directory,
        endpoint=simulator.address,
        discovery={"include": [f"{project}/production"]},
        ledger={"path": str(ledger or directory / "exporter.db")},
    )
    with Exporter(config) as exporter:
        exporter.wait_until_ready()
        flyte.whole_life(project, "ingest")
        _assert_counted(exporter, flyte)
        yield exporter
        assert exporter.program.terminate() == 0


def _assert_counted(exporter: Exporter, flyte: Flyte) -> None:
    truth = flyte.deeds.finished
    assert settled(lambda: exporter.counts(*_FINISHED), truth, within=15) == truth


def _assert_stalled(exporter: Exporter, flyte: Flyte, *, project: str, said: str) -> None:
    """Have much happen while nothing can be written, and look at how that shows."""
    before = exporter.counts(*_FINISHED)
    for _ in range(200):
        flyte.whole_life(project, "ingest")

    def failures() -> float:
        return exporter.value("flyte_exporter_polls_total", outcome="ledger_error") or 0

    until(lambda: failures() >= 1, within=20, what="a poll that could not be written")
    until(
        lambda: (
            exporter.value("flyte_exporter_target_up", project=project, domain="production") == 0
        ),
        within=10,
        what="the target being down",
    )
    assert said in exporter.program.said()
    assert exporter.counts(*_FINISHED).total() < flyte.deeds.finished.total()
    assert before <= exporter.counts(*_FINISHED)
    assert exporter.ask("/-/healthy").status == 200


@contextmanager
def _exclusive(ledger: Path) -> Iterator[None]:
    """Hold *ledger* as a database shell does that was left in a transaction."""
    with closing(sqlite3.connect(ledger, isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _small_disk(directory: Path) -> Iterator[Path]:
    """Mount a disk of a few MiB, where that is allowed."""
    directory.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={4 * _MIB}", "tmpfs", str(directory))
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"no small disk may be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(("umount", "--lazy", str(directory)), check=True)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Leave no space on *disk*."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    assert shutil.disk_usage(disk).free == 0
    yield
    ballast.unlink()


def _assert_says(said: str, message: str) -> None:
    """Compare what was *said* with *message*, where a `*` stands for what SQLite has found."""
    start, _, end = message.partition("*")
    assert said.startswith(start)
    assert said.endswith(f"{end}\n")
    assert said.count("\n") == 1
