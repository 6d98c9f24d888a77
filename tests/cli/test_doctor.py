"""`doctor` as a shell, a program and a person at a terminal see it."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.doctor.visit import NEEDS
from exporter.sim.authority import Authority, OAuthClient
from exporter.sim.server import serve
from exporter.sim.tls import Tls
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock
from tests.tls import Issued

_COMMAND = str(Path(sys.executable).with_name("flyte-exporter"))
_ROOT = Path(__file__).parents[2]
_SECRET = "correct-horse-battery"
_VOLATILE = (
    (r"\d+(\.\d+)? (ms|s|min)\b", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE"),
    (r"(?<=127\.0\.0\.1:|localhost:)\d+|(?<=\]:)\d+", "PORT"),
    (r"localhost is [^\n]*", "localhost is ADDRESSES"),
    (r"\[::1\]:PORT", "127.0.0.1:PORT"),
    (r"etl/\w+(?= listed in)", "TARGET"),
)


def ran(*arguments: str | Path, environ: dict[str, str] | None = None) -> Any:
    """Return what became of the command."""
    return subprocess.run(
        (_COMMAND, "doctor", *arguments),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={**os.environ, **(environ or {})},
    )


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """Yield the configuration of an exporter of a simulated Admin with TLS and tokens."""
    root = Issued.authority("root", days=400)
    cert_file, key_file = root.issue("admin", days=90).write(tmp_path)
    root.save(tmp_path / "ca.crt")
    (tmp_path / "secret").write_text(_SECRET)
    authority = Authority([OAuthClient(id="exporter", secret=_SECRET)])
    world = World(seed=1, start=SystemClock().now(), speed=600)
    tls = Tls(cert_file=cert_file, key_file=key_file)
    async with serve(world, authority=authority, tls=tls) as serving:
        path = tmp_path / "exporter.yaml"
        settings = {
            "admin": {
                "endpoint": f"localhost:{serving.port}",
                "ca_file": str(tmp_path / "ca.crt"),
                "auth": {
                    "type": "client_secret",
                    "client_id": "exporter",
                    "client_secret_file": str(tmp_path / "secret"),
                },
            },
            "ledger": {"path": str(tmp_path / "ledger.db")},
            "web": {"listen": "127.0.0.1:0"},
        }
        path.write_text(json.dumps(settings))
        yield path


async def test_all_is_well(config: Path, golden: Callable[[str, str], None]) -> None:
    """Exit 0, a line for each check, nothing on standard error, and no secret anywhere."""
    done = await asyncio.to_thread(ran, "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert _SECRET not in done.stdout
    text = done.stdout.replace(str(config.parent), "DIRECTORY")
    for pattern, instead in _VOLATILE:
        text = re.sub(pattern, instead, text)
    golden("doctor.txt", text)


async def test_a_program_gets_one_document(config: Path) -> None:
    """And nothing else on standard output, whatever there is to say."""
    done = await asyncio.to_thread(ran, "--config", config, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [check["name"] for check in document] == list(NEEDS)
    for check in document:
        assert set(check) == {"name", "status", "summary", "fix", "seconds"}
        assert check["status"] in {"ok", "skip"}
        assert isinstance(check["summary"], str)
        assert check["fix"] is None
        assert check["seconds"] >= 0
    assert _SECRET not in done.stdout


def sick(tmp_path: Path, port: int) -> Path:
    """Return a configuration of an Admin that is not there."""
    path = tmp_path / "exporter.yaml"
    settings = {
        "admin": {"endpoint": f"127.0.0.1:{port}"},
        "ledger": {"path": str(tmp_path / "ledger.db")},
        "web": {"listen": "127.0.0.1:0"},
    }
    path.write_text(json.dumps(settings))
    return path


def test_a_failure_is_an_exit_code(tmp_path: Path, unused_tcp_port: int) -> None:
    """Exit 1; the failed line is followed by its fix, and standard error stays empty."""
    config = sick(tmp_path, unused_tcp_port)
    done = ran("--config", config)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    failed = next(number for number, line in enumerate(lines) if line.startswith("FAIL"))
    assert lines[failed].startswith(f"FAIL  tcp            127.0.0.1:{unused_tcp_port} refused")
    assert lines[failed + 1].startswith("      fix: check the port in admin.endpoint")
    done = ran("--config", config, "--json")
    assert done.returncode == 1
    (failure,) = [check for check in json.loads(done.stdout) if check["status"] == "fail"]
    assert failure["name"] == "tcp"
    assert failure["fix"].startswith("check the port in admin.endpoint")


def test_a_bad_configuration_is_a_finding(tmp_path: Path) -> None:
    """No traceback and no other exit code: it is the first thing that a doctor looks at."""
    path = tmp_path / "exporter.yaml"
    path.write_text("admin: {endpoint: flyteadmin}\nlog: {level: loud}\n")
    done = ran("--config", path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[:3] == [
        f"FAIL  configuration  {path}: 2 problems",
        (
            f"      fix: {path}:1:19: admin.endpoint: expected HOST:PORT, such as"
            ' "dns:///flyteadmin:81", got "flyteadmin"; add the port; gRPC would dial 443.'
        ),
        (
            f'           {path}:2:14: log.level: expected "debug", "info", "warning" or "error",'
            ' got "loud".'
        ),
    ]


def test_wrong_usage_is_told_apart() -> None:
    """Exit 2, as for every command."""
    done = ran()
    assert done.returncode == 2
    assert "Missing option '--config'" in done.stderr


def on_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output of the command on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (_COMMAND, "doctor", *arguments),
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # how a terminal ends whose program has ended
            break
        if not part:
            break
        said += part
    os.close(ours)
    return process.wait(timeout=10), said.decode()


def test_a_terminal_shows_progress(tmp_path: Path, unused_tcp_port: int) -> None:
    """What is being looked at, in place; what was found, in colour and not cut; and no traces."""
    code, said = on_terminal("--config", sick(tmp_path, unused_tcp_port))
    assert code == 1
    assert re.search(r"[⠀-⣿]\S* tcp", said), said
    assert "\x1b[1;31mFAIL\x1b[0m" in said
    # The cursor is there again.
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert f"FAIL  tcp            127.0.0.1:{unused_tcp_port} refused" in plain
