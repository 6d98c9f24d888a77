"""
Whatever goes wrong, nothing that we emit holds a secret.

Every way to give us a secret is used at once, everything is logged, spans go to the console, calls
fail in every way that tokens can; then everything that came out is searched.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import yaml

from tests.e2e import programs
from tests.e2e.exporter import write_config
from tests.e2e.flyte import Simulator
from tests.e2e.programs import COMMAND, Program, free_port, get, until

CLIENT = "team-a"
SECRET = "s3cret+of/the client%"
WRONG = "wrong+secret/that was%typed"
PROXY_TOKEN = "token-for-the-proxy-7f3a"
PASSWORD = "passw0rd-of-the-proxy"
HEADER = "header-for-the-collector-9b1c"

_ENVIRONMENT = {
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={HEADER}",
    "THE_SECRET": SECRET,
}
_PAGES = ("/", "/metrics", "/config", "/-/healthy", "/-/ready")
_ACCEPTED = ("*/*", "application/openmetrics-text")


def encodings(secret: str) -> set[str]:
    """Return the forms in which a secret could come out and still be of use."""
    raw = secret.encode()
    pair = f"{quote(CLIENT, safe='')}:{quote(secret, safe='')}".encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(pair).decode(),
        repr(secret)[1:-1],
        yaml.safe_dump(secret).strip(),
    }


FORBIDDEN = {
    form for secret in (SECRET, WRONG, PROXY_TOKEN, PASSWORD, HEADER) for form in encodings(secret)
}


class Scene(NamedTuple):
    """An Admin that wants tokens, and how to configure an exporter for it."""

    directory: Path
    simulator: Simulator
    secret_file: Path

    def config(self, name: str, **admin: Any) -> Path:
        """Write a configuration full of secrets."""
        auth = {
            "type": "client_secret",
            "client_id": CLIENT,
            "client_secret_file": str(self.secret_file),
            "proxy_command": ["echo", PROXY_TOKEN],
        }
        return write_config(
            self.directory,
            endpoint=self.simulator.address,
            name=name,
            admin={"auth": auth | admin.pop("auth", {}), **admin},
            tracing={"exporter": "console"},
            log={"level": "debug"},
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Return an Admin whose tokens live for seconds."""
    directory = tmp_path_factory.mktemp("secrets")
    theirs, ours = directory / "theirs", directory / "ours"
    for path in (theirs, ours):
        path.write_text(SECRET, encoding="utf-8")
    arguments = ("--auth", f"--client-id={CLIENT}", f"--client-secret-file={theirs}")
    with Simulator(directory, *arguments, "--token-lifetime=3s") as simulator:
        yield Scene(directory, simulator, ours)


def found_in(text: str) -> list[str]:
    """Return the secrets that *text* holds, access tokens of the simulator's included."""
    # Every token of it is a JWT, and every JWT begins with the same brace and quotation mark.
    return [secret for secret in (*FORBIDDEN, "eyJ") if secret in text]


def run(*arguments: str) -> str:
    """Run a command to its end, and return all that it says."""
    done = programs.run(*arguments, environment={"PATH": "/usr/bin:/bin", **_ENVIRONMENT})
    return done.stdout + done.stderr


def emitted(scene: Scene, config: Path, done: str) -> str:
    """Run an exporter until its log says *done*; return all that it said and showed."""
    command = (str(COMMAND), "run", f"--config={config}")
    with Program("exporter", command, directory=scene.directory, environment=_ENVIRONMENT) as it:
        port = int(it.wait_for(r"event=started .*\bport=(\d+)")[1])
        it.wait_for(done, within=40)
        answers = [get(port, page, accept=accept) for page in _PAGES for accept in _ACCEPTED]
        assert all(answers)
        it.terminate()
        return it.said() + "".join(answer.body for answer in answers if answer)


def test_the_search_finds_what_it_looks_for() -> None:
    """A secret in any of its forms is found; else the other claims here are empty."""
    for form in FORBIDDEN:
        assert found_in(f"before {form} after")


def test_nothing_while_all_is_well(scene: Scene) -> None:
    """Tokens are fetched, used, and fetched again; every poll, call and attempt is told."""
    said = emitted(scene, scene.config("well"), r"(?s)(event=\"token refreshed\".*){4}")
    assert "event=polled" in said
    assert "flyteidl.service.AdminService/ListExecutions" in said
    assert found_in(said) == []


def test_nothing_while_the_provider_refuses(scene: Scene) -> None:
    """A wrong secret is told by its file, and not by what it is."""
    wrong = scene.directory / "wrong"
    wrong.write_text(WRONG, encoding="utf-8")
    config = scene.config("refused", auth={"client_secret_file": str(wrong)})
    said = emitted(scene, config, "discovery failed")
    assert "invalid_client" in said
    assert found_in(said) == []


def test_nothing_while_the_way_to_the_provider_is_broken(scene: Scene) -> None:
    """A proxy's password is part of an address that errors would like to quote."""
    proxy = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"
    config = scene.config("broken", auth={"http_proxy_url": proxy})
    said = emitted(scene, config, "discovery failed")
    assert "127.0.0.1" in said
    assert found_in(said) == []


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["lines", "json"])
@pytest.mark.parametrize("wrong", [False, True])
def test_nothing_from_the_doctor(scene: Scene, *, wrong: bool, form: tuple[str, ...]) -> None:
    """Whether the token is good or not, what is said of it is where it comes from."""
    path = scene.directory / "doctors"
    path.write_text(WRONG if wrong else SECRET, encoding="utf-8")
    config = scene.config("doctor", auth={"client_secret_file": str(path)})
    said = run("doctor", f"--config={config}", *form)
    assert "a token from the identity provider at" in said or "invalid_client" in said
    assert found_in(said) == []


def test_nothing_from_a_configuration_that_is_wrong(scene: Scene) -> None:
    """A secret written where none belongs is not repeated when that is said."""
    settings = yaml.safe_load(scene.config("faulty").read_text(encoding="utf-8"))
    settings["admin"]["auth"] |= {
        "client_secret": SECRET,
        "client_secret_env": SECRET,
        "http_proxy_url": f"ftp://user:{PASSWORD}@proxy",
        "proxy_command": {"token": PROXY_TOKEN},
    }
    settings["tracing"]["endpoint"] = f"collector:{HEADER}"
    path = scene.directory / "faulty.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    for command in (("check-config", str(path)), ("run", f"--config={path}")):
        said = run(*command)
        assert "admin.auth.client_secret" in said
        assert found_in(said) == []


def test_secrets_from_the_environment(scene: Scene) -> None:
    """A variable is named, and its value is not."""
    auth = {"client_secret_file": None, "client_secret_env": "THE_SECRET"}
    config = scene.config("environment", auth=auth)
    said = emitted(scene, config, r"(?s)(event=polled.*){5}")
    assert found_in(said) == []
    assert until(lambda: "token refreshed" in said, within=1, what="a token by that secret")
