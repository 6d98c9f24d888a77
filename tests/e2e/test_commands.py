"""
Commands as a shell and an init system see them: exit codes, what is printed where, and signals.

0 is success, 1 a failure that a person can mend, 2 wrong usage, 3 a bug.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import exporter
from exporter.sim import incidents
from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import Simulator
from tests.e2e.programs import COMMAND, Program, free_port, get, run, until
from tests.e2e.proxy import Proxy, State, Trouble

_PROMPT_SECONDS = 3.0
"""Kubernetes waits 30 s before it kills; nobody at a terminal does."""

_MISTAKES = {
    (): "Usage: flyte-exporter",
    ("explode",): "No such command 'explode'",
    ("run",): "Missing option '--config'",
    ("sim", "--listen=127.0.0.1:0", "--speed=0"): "0.0 is not in the range x>0",
    ("demo", "--incident=admin-slo@1s+2s"): 'Did you mean "admin-slow"?',
    ("demo", "--data-dir=/dev/null/here"): "cannot create /dev/null/here: Not a directory",
    ("demo", "--incident=admin-slow"): 'expected an incident such as "failure-spike@2m+5m"',
    ("sim", "--listen=127.0.0.1:0", "--incident=stuck@now+2s"): 'got "now"',
}
"""What a person may type, and what they are told."""


def test_version() -> None:
    """The version is one line on standard output."""
    ran = run("version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        0,
        f"flyte-exporter {exporter.__version__}\n",
        "",
    )


def test_help_names_every_command() -> None:
    """Who knows nothing yet is told what there is."""
    ran = run("--help")
    assert ran.returncode == 0
    for command in ("check-config", "demo", "doctor", "run", "sim", "version"):
        assert re.search(rf"^  {command} +\S", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", ["demo", "sim"])
def test_help_names_every_incident(command: str) -> None:
    """What a demonstration can show need not be guessed, but for what it would refuse."""
    told = re.sub(r"(?<=-)\n +", "", run(command, "--help").stdout)
    refused = set() if command == "sim" else incidents.OF_AUTHENTICATION
    for trouble in incidents.Trouble:
        assert bool(re.search(rf" {trouble}[,.]", told)) == (trouble not in refused)


@pytest.mark.parametrize(
    ("arguments", "said"),
    _MISTAKES.items(),
    ids=[" ".join(arguments) or "nothing" for arguments in _MISTAKES],
)
def test_wrong_usage_is_told_apart(arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, and the mistake on standard error, whichever command it was made with."""
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_good_configuration_is_called_valid(tmp_path: Path) -> None:
    """`check-config` answers 0, and leaves no ledger behind."""
    config = write_config(tmp_path, endpoint="flyteadmin:81")
    ran = run("check-config", config)
    assert (ran.returncode, ran.stdout) == (0, f"{config}: configuration is valid\n")
    assert {path.name for path in tmp_path.iterdir()} == {config.name}


@pytest.mark.parametrize(
    ("command", "document", "said"),
    [
        ("run", "admin: {endpoint: a}\n", "{path}:1:19: admin.endpoint: expected HOST:PORT"),
        ("check-config", "admin: {endpoint: a}\n", "{path}:1:19: admin.endpoint: expected HOST"),
        ("run", "admin: [\n", "{path}:2:1: "),
        ("run", None, "{path}: cannot be read: no such file or directory.\n"),
    ],
    ids=["value", "value checked", "syntax", "absent"],
)
def test_a_bad_configuration_starts_nothing(
    tmp_path: Path, command: str, document: str | None, said: str
) -> None:
    """Exit 1 and the place of the mistake, from `run` as from `check-config`."""
    config = tmp_path / "exporter.yaml"
    if document is not None:
        config.write_text(document, encoding="utf-8")
    ran = run(command, *(["--config"] if command == "run" else []), config)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(said.format(path=config))
    assert ran.stderr.endswith("nothing was started.\n")


@pytest.mark.parametrize("command", ["run --config", "check-config", "doctor --config"])
def test_what_cannot_be_read_is_no_wrong_usage(tmp_path: Path, command: str) -> None:
    """A directory is a configuration with a fault like any other, to every command: exit 1."""
    ran = run(*command.split(), tmp_path)
    assert ran.returncode == 1
    assert f"{tmp_path}: cannot be read: is a directory." in ran.stdout + ran.stderr
    assert "Usage" not in ran.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Exit 1 and the way out, from everything that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        advice = f'Cannot listen on "{taken}": another process uses this port.'
        config = write_config(tmp_path, endpoint="flyteadmin:81", web={"listen": taken})
        for arguments, said in (
            (("run", "--config", config), advice),
            (("demo", "--listen", taken), advice),
            (("sim", "--listen", taken), f"cannot listen on {taken}"),
        ):
            ran = run(*arguments)
            assert ran.returncode == 1
            assert said in ran.stderr
            assert "Traceback" not in ran.stderr


def test_a_bug_is_called_one(tmp_path: Path) -> None:
    """Exit 3, one sentence to report it by, and the traceback in a file instead of the terminal."""
    planted = (
        "from exporter.cli import main\n"
        "def divide(): 1 / 0\n"
        "main.cli.commands['version'].callback = divide\n"
        "main.main()\n"
    )
    ran = subprocess.run(
        (sys.executable, "-c", planted, "version"),
        capture_output=True,
        check=False,
        text=True,
        env={"TMPDIR": str(tmp_path)},
    )
    (report,) = tmp_path.iterdir()
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr == (
        "Unexpected: ZeroDivisionError: division by zero\n"
        f"This is a bug; please report it with {report}.\n"
    )
    assert "in divide" in report.read_text(encoding="utf-8")


def test_the_demo_says_where_to_look(tmp_path: Path) -> None:
    """The addresses that it prints are there, and it leaves nothing behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = (str(COMMAND), "demo", "--listen=127.0.0.1:0", "--seed=3", "--speed=20")
    with Program("demo", command, directory=tmp_path, environment={"TMPDIR": str(scratch)}) as demo:
        admin = demo.wait_for(r"Simulated Flyte Admin +(\S+) \(seed 3, speed 20\)")[1]
        port = int(demo.wait_for(r"Metrics +http://localhost:(\d+)/metrics")[1])
        demo.wait_for(rf"State of the targets +http://localhost:{port}/\n")
        _await_readiness(port)
        overview = get(port, "/")
        assert overview is not None
        assert admin in overview.body
        assert "recommender" in overview.body
        assert demo.terminate(within=_PROMPT_SECONDS) == 0
    assert not list(scratch.iterdir())


def test_the_demo_goes_on_from_its_data_directory(tmp_path: Path) -> None:
    """With `--data-dir` it keeps its ledger, though the simulator has another port each time."""
    command = (str(COMMAND), "demo", "--listen=127.0.0.1:0", f"--data-dir={tmp_path / 'data'}")
    for primes in (True, False):
        with Program("demo", command, directory=tmp_path) as demo:
            port = int(demo.wait_for(r"Metrics +http://localhost:(\d+)/metrics")[1])
            _await_readiness(port)
            assert demo.terminate(within=_PROMPT_SECONDS) == 0
            assert ("target primed" in demo.said()) is primes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_and_sim_stop_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """Exit 0 within moments, and the ledger closed into its one file."""
    with Simulator(tmp_path) as simulator:
        config = write_config(tmp_path, endpoint=simulator.address)
        with Exporter(config) as running:
            running.wait_until_ready()
            assert running.program.terminate(within=_PROMPT_SECONDS, number=number) == 0
            assert running.program.said().endswith("event=stopping module=app\n")
        assert [path.name for path in tmp_path.glob("*.db*")] == ["exporter.db", "exporter.db.lock"]
        assert simulator.program.terminate(within=_PROMPT_SECONDS, number=number) == 0


def test_a_call_under_way_does_not_delay_the_stop(simulator: Simulator, tmp_path: Path) -> None:
    """An Admin that hangs is not waited for."""
    with Proxy(simulator.address) as proxy:
        config = write_config(tmp_path, endpoint=proxy.address, admin={"timeout": "1m"})
        with Exporter(config) as running:
            running.wait_until_ready()
            proxy.state = State(Trouble.HANG)
            until(lambda: proxy.hanging, within=10, what="a call that hangs")
            assert running.program.terminate(within=_PROMPT_SECONDS) == 0


@pytest.mark.parametrize("setting", ["client_secret_file", "token_file", "ca_file", "config"])
def test_a_file_that_hangs_does_not_delay_the_stop(
    simulator: Simulator, tmp_path: Path, setting: str
) -> None:
    """A secret, a certificate or the configuration itself on a mount that is gone."""
    hanging = tmp_path / "hanging"
    os.mkfifo(hanging)
    auth: dict[str, Any] = {
        "type": "token_file",
        "header": "authorization",
        "token_file": str(hanging),
    }
    if setting == "client_secret_file":
        auth |= {"type": "client_secret", "client_id": "exporter", "scopes": ["all"]}
        auth |= {"token_url": "http://127.0.0.1:9/token", setting: auth.pop("token_file")}
    admin: dict[str, Any] = {"auth": auth}
    if setting == "ca_file":
        admin = {"insecure": False, "ca_file": str(hanging)}
    elif setting == "config":
        admin = {}
    config = write_config(tmp_path, endpoint=simulator.address, admin=admin)
    with Exporter(config) as running:
        assert running.port
        if setting == "config":
            hanging.replace(config)
            running.program.send(signal.SIGHUP)
        with _being_read(config if setting == "config" else hanging):
            assert running.program.terminate(within=_PROMPT_SECONDS) == 0
    assert "Traceback" not in running.program.said()


@contextmanager
def _being_read(fifo: Path) -> Iterator[None]:
    """Wait until somebody reads from *fifo*, and write nothing to it."""

    def opened() -> int:
        # Fails as long as nobody reads.
        with suppress(OSError):
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        return 0

    descriptor = until(opened, within=20, what=f"a read from {fifo}")
    yield
    os.close(descriptor)


def test_an_answer_under_way_does_not_delay_the_stop_for_long(
    simulator: Simulator, tmp_path: Path
) -> None:
    """A client that does not read what it asked for gets some seconds of grace, and no more."""
    config = write_config(tmp_path, endpoint=simulator.address)
    with Exporter(config) as running, socket.socket() as client:
        running.wait_until_ready()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n" * 100)
        assert client.recv(1)
        assert running.program.terminate(within=2 * _PROMPT_SECONDS) == 0


def test_a_log_that_cannot_be_written_stops_nothing(simulator: Simulator, tmp_path: Path) -> None:
    """Where standard error is a file on a full disk, lines are lost and no counts."""
    port = free_port()
    config = write_config(tmp_path, endpoint=simulator.address, web={"listen": f"127.0.0.1:{port}"})
    command = ("sh", "-c", 'exec "$@" 2>/dev/full', "sh", str(COMMAND), "run", f"--config={config}")
    with Program("silent", command, directory=tmp_path) as silent:
        _await_readiness(port)
        assert silent.terminate(within=_PROMPT_SECONDS) == 0
        assert silent.said() == ""


def _await_readiness(port: int) -> None:
    def ready() -> bool:
        answer = get(port, "/-/ready")
        return answer is not None and answer.status == 200

    until(ready, within=20, what="readiness")
