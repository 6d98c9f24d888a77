"""`check-config` says in one run whether a configuration would start."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.cli.check_config import check_config


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_file_is_called_valid(tmp_path: Path) -> None:
    """Exit 0 and one line on stdout."""
    path = _write(tmp_path / "config.yaml", "admin: {endpoint: flyteadmin:81}\n")
    result = CliRunner().invoke(check_config, [str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{path}: configuration is valid\n"


def test_every_problem_is_listed_on_stderr(tmp_path: Path) -> None:
    """Exit 1, each problem on its own line, and then how many there are."""
    path = _write(tmp_path / "config.yaml", "admin: {endpoint: flyteadmin}\nlog: {level: loud}\n")
    result = CliRunner().invoke(check_config, [str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        (
            f'{path}:1:19: admin.endpoint: expected HOST:PORT, such as "dns:///flyteadmin:81",'
            ' got "flyteadmin"; add the port; gRPC would dial 443.'
        ),
        f'{path}:2:14: log.level: expected "debug", "info", "warning" or "error", got "loud".',
        "2 problems; nothing was started.",
    ]


def test_the_environment_is_checked_too(tmp_path: Path) -> None:
    """What a start would take from the environment is part of what is checked."""
    path = _write(tmp_path / "config.yaml", "admin: {endpoint: flyteadmin:81}\n")
    name = "FLYTE_EXPORTER__SCRAPE__INTERVALL"
    result = CliRunner().invoke(check_config, [str(path)], env={name: "10s"})
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"environment variable {name}: unknown key; did you mean FLYTE_EXPORTER__SCRAPE__INTERVAL?",
        "1 problem; nothing was started.",
    ]


def test_a_missing_file_is_a_problem_like_any_other(tmp_path: Path) -> None:
    """No traceback and no usage text for a path that leads nowhere."""
    path = tmp_path / "absent.yaml"
    result = CliRunner().invoke(check_config, [str(path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == f"{path}: cannot be read: no such file or directory."


def test_a_file_that_may_not_be_read_is_one_too(directory_for_all: Path) -> None:
    """Whose it is, and which rights it has, can be mended: that is no wrong usage."""
    path = _write(directory_for_all / "config.yaml", "admin: {endpoint: flyteadmin:81}\n")
    path.chmod(0)
    with _without_privileges():
        result = CliRunner().invoke(check_config, [str(path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == f"{path}: cannot be read: permission denied."


@pytest.fixture
def directory_for_all() -> Iterator[Path]:
    """Return a directory that is open to everybody; pytest's own are not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@contextmanager
def _without_privileges() -> Iterator[None]:
    """Be somebody to whom rights of files apply: they do not to root, as whom containers test."""
    if os.getuid() != 0:
        yield
        return
    nobody = 65534
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
