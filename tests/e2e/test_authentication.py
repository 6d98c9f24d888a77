"""
An Admin that wants tokens, and every way in which they end: none of them costs a poll for long.

The simulated Admin hands tokens out and judges them; the exporter is the real command.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.exporter import Exporter, write_config
from tests.e2e.flyte import Simulator
from tests.e2e.programs import until

CLIENT = "exporter of team a"
SECRET = "p:ß+%&=? seven words that nobody else says"
"""Nothing about either survives a Basic header unescaped."""

_POLLS = "flyte_exporter_polls_total"
_REFRESHES = "flyte_admin_token_refreshes_total"
_EXPIRY = "flyte_admin_token_expiry_timestamp_seconds"
_FAILURES = ("admin_error", "timeout", "ledger_error", "internal_error")


@contextmanager
def exporter_of(
    directory: Path, *arguments: str, secret: str = SECRET, **admin: Any
) -> Iterator[Exporter]:
    """Start an Admin that wants tokens, and an exporter that knows a secret of it."""
    theirs, ours = directory / "theirs", directory / "ours"
    theirs.write_text(SECRET, encoding="utf-8")
    ours.write_text(secret + "\n", encoding="utf-8")
    with Simulator(
        directory,
        "--auth",
        f"--client-id={CLIENT}",
        f"--client-secret-file={theirs}",
        *arguments,
    ) as simulator:
        auth = {"type": "client_secret", "client_id": CLIENT, "client_secret_file": str(ours)}
        config = write_config(directory, endpoint=simulator.address, admin={"auth": auth, **admin})
        with Exporter(config) as exporter:
            yield exporter


def polls(exporter: Exporter) -> float:
    """Return how many polls succeeded."""
    return exporter.value(_POLLS, outcome="success") or 0


def lost(exporter: Exporter) -> float:
    """Return how many polls did not."""
    return sum(exporter.value(_POLLS, outcome=outcome) or 0 for outcome in _FAILURES)


def refreshes(exporter: Exporter, outcome: str) -> float:
    """Return how often a token was asked for, with that outcome."""
    return exporter.value(_REFRESHES, outcome=outcome) or 0


def test_tokens_that_live_for_seconds_cost_no_poll(tmp_path: Path) -> None:
    """Each is replaced before it ends; how long it lives is shown."""
    with exporter_of(tmp_path, "--token-lifetime=3s") as exporter:
        exporter.wait_until_ready()
        until(lambda: refreshes(exporter, "success") >= 4, within=30, what="four tokens")
        expiry = exporter.value(_EXPIRY)
        assert expiry is not None
        assert 0 < expiry - time.time() < 3.5
        assert polls(exporter) > 0
        assert lost(exporter) == 0
        assert refreshes(exporter, "failure") == refreshes(exporter, "rejected") == 0


def test_revoked_tokens_are_replaced_within_the_call(tmp_path: Path) -> None:
    """One refusal, another token, the same call again: no poll notices."""
    with exporter_of(tmp_path, "--incident=tokens-revoked@9s+1s") as exporter:
        exporter.wait_until_ready()
        assert refreshes(exporter, "success") == 1, "the machine was too slow for this test"
        until(
            lambda: refreshes(exporter, "success") >= 2, within=30, what="a token after the first"
        )
        goal = polls(exporter) + 20
        until(lambda: polls(exporter) >= goal, within=20, what="polls with it")
        assert lost(exporter) == 0
        retries = exporter.value("flyte_admin_rpc_retries_total", reason="UNAUTHENTICATED")
        assert retries is not None
        assert retries >= 1
        assert exporter.value("flyte_admin_rpcs_total", code="UNAUTHENTICATED") == 0


def test_an_identity_provider_that_is_down_is_named_and_outlived(tmp_path: Path) -> None:
    """Polls fail while there is no token, say whose fault it is, and go on by themselves."""
    arguments = ("--token-lifetime=4s", "--incident=identity-down@8s+8s")
    with exporter_of(tmp_path, *arguments) as exporter:
        exporter.wait_until_ready()
        until(lambda: lost(exporter) > 0, within=30, what="polls without a token")
        said = exporter.program.wait_for(r"event=\"token refresh failed\".*")[0]
        assert "http://127.0.0.1" in said
        assert "503" in said
        failing = exporter.program.wait_for(r"event=\"target failing\".*")[0]
        assert re.search(r"project=\S+ domain=\S+ outcome=admin_error method=\w+ code=", failing)
        assert exporter.value("flyte_admin_up") == 1, "Admin itself has answered all along"
        assert exporter.ask("/-/healthy").status == 200
        failed = lost(exporter)
        goal = polls(exporter) + 20
        until(lambda: polls(exporter) >= goal, within=40, what="polls with a new token")
        assert lost(exporter) >= failed
        assert exporter.program.wait_for("target recovered")


def test_a_wrong_secret_is_said_and_a_right_one_taken_up(tmp_path: Path) -> None:
    """It is read again, so nobody need restart anything; and nobody hammers the provider."""
    with exporter_of(tmp_path, secret="wrong") as exporter:
        problem = until(lambda: _unready(exporter), within=20, what="a discovery that failed")
        assert "invalid_client" in problem
        assert "client_secret_file" in problem
        until(lambda: refreshes(exporter, "rejected") >= 1, within=10, what="a refusal")
        asked = refreshes(exporter, "rejected")
        assert exporter.program.said().count("token refresh failed") == 1
        (tmp_path / "ours").write_text(SECRET, encoding="utf-8")
        exporter.wait_until_ready()
        assert refreshes(exporter, "success") == 1
        assert refreshes(exporter, "rejected") <= asked + 2


def _unready(exporter: Exporter) -> str:
    """Return why it is not ready, once a discovery failed."""
    answer = exporter.ask("/-/ready")
    assert answer.status == 503
    return answer.body if "invalid_client" in answer.body else ""


@pytest.mark.parametrize("kind", ["external_command", "token_file"])
def test_other_sources_of_tokens(tmp_path: Path, kind: str) -> None:
    """A program, or a file that somebody else keeps: the tokens of another client's are as good."""
    secret = tmp_path / "theirs"
    secret.write_text(SECRET, encoding="utf-8")
    arguments = ("--auth", f"--client-id={CLIENT}", f"--client-secret-file={secret}")
    with Simulator(tmp_path, *arguments, "--token-lifetime=4s") as simulator:
        url = simulator.program.wait_for(r"token endpoint +(http://\S+)")[1]
        fetch = tmp_path / "fetch"
        fetch.write_text(_FETCH, encoding="utf-8")
        token = tmp_path / "token"
        command = ["python3", str(fetch), url, str(secret)]
        auth: dict[str, Any] = {"type": kind}
        if kind == "external_command":
            auth["command"] = command
        else:
            auth["token_file"] = str(token)
            _write_token(command, token)
        config = write_config(tmp_path, endpoint=simulator.address, admin={"auth": auth})
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            ends = time.monotonic() + 9
            while time.monotonic() < ends:
                if kind == "token_file":
                    _write_token(command, token)
                time.sleep(1)
            goal = polls(exporter) + 5
            until(lambda: polls(exporter) >= goal, within=20, what="polls with a later token")
            assert lost(exporter) == 0


_FETCH = f"""
import base64, json, sys, urllib.parse, urllib.request
secret = open(sys.argv[2], encoding="utf-8").read()
pair = ":".join(urllib.parse.quote(part, safe="") for part in ({CLIENT!r}, secret))
request = urllib.request.Request(
    sys.argv[1],
    data=b"grant_type=client_credentials&scope=all",
    headers={{"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}},
)
print(json.load(urllib.request.urlopen(request))["access_token"])
"""
"""What a person would write to get a token."""


def _write_token(command: list[str], path: Path) -> None:
    """Put another token in the place of the one before, as a sidecar does."""
    fresh = path.with_name("token.new")
    fresh.write_text(
        subprocess.run(command, capture_output=True, check=True, text=True, timeout=20).stdout,
        encoding="utf-8",
    )
    fresh.replace(path)
