"""`sim` as a person tries it out: with tokens, with TLS, and with mistakes."""

import base64
import json
import stat
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from flyteidl.admin import project_pb2, version_pb2
from flyteidl.service import admin_pb2_grpc

from tests.e2e.flyte import Simulator
from tests.e2e.programs import run
from tests.sim.pki import CertificateAuthority

_SIM = ("sim", "--listen=127.0.0.1:0", "--speed=600")
_FAST = "--speed=600"


def version(channel: grpc.Channel, *metadata: tuple[str, str]) -> str:
    """Ask for the version; return how that ended."""
    stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
    try:
        stub.GetVersion(version_pb2.GetVersionRequest(), metadata=metadata, timeout=5)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def configuration(simulator: Simulator) -> dict[str, Any]:
    """Return the configuration that the simulator prints for a person to copy."""
    printed = simulator.program.wait_for(r"(?s)    admin:\n.*client_secret_file: \S+")[0]
    settings: dict[str, Any] = yaml.safe_load(printed)["admin"]
    return settings


def token(simulator: Simulator, client_id: str, secret: str) -> dict[str, Any]:
    """Get a token where the simulator says."""
    url = simulator.program.wait_for(r"token endpoint +(http://127.0.0.1:\d+/oauth2/token)")[1]
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - printed by the program under test
        url,
        data=b"grant_type=client_credentials&scope=all",
        headers={"Authorization": f"Basic {basic}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
        granted: dict[str, Any] = json.load(answer)
    return granted


def test_a_person_gets_in_with_what_is_printed(tmp_path: Path) -> None:
    """The configuration to copy is complete, and the secret is gone when the simulator is."""
    with Simulator(tmp_path, _FAST, "--auth") as simulator:
        settings = configuration(simulator)
        assert settings["endpoint"] == simulator.address
        assert settings["insecure"] is True
        auth = settings["auth"]
        path = Path(auth["client_secret_file"])
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        secret = path.read_text(encoding="utf-8").strip()
        granted = token(simulator, auth["client_id"], secret)
        with grpc.insecure_channel(simulator.address) as channel:
            assert version(channel) == "UNAUTHENTICATED"
            bearer = ("authorization", f"Bearer {granted['access_token']}")
            assert version(channel, bearer) == "OK"
        assert simulator.program.terminate() == 0
        assert not path.exists()
        assert secret not in simulator.program.log.read_text(encoding="utf-8")


def test_client_secret_and_lifetime_can_be_chosen(tmp_path: Path) -> None:
    """The file stays where it is."""
    path = tmp_path / "secret"
    path.write_text("hunter2\n", encoding="utf-8")
    arguments = ("--client-id=me", f"--client-secret-file={path}", "--token-lifetime=1m")
    with Simulator(tmp_path, _FAST, "--auth", *arguments) as simulator:
        assert configuration(simulator)["auth"] == {
            "type": "client_secret",
            "client_id": "me",
            "client_secret_file": str(path),
        }
        assert token(simulator, "me", "hunter2")["expires_in"] == 59
        assert simulator.program.terminate() == 0
    assert path.exists()


def test_tls_with_client_certificates(tmp_path: Path) -> None:
    """Who shows one that the authority vouches for is answered."""
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("localhost")
    own_cert, own_key = authority.issue("exporter")
    arguments = (f"--tls-cert={cert}", f"--tls-key={key}", f"--tls-client-ca={authority.file}")
    with Simulator(tmp_path, _FAST, *arguments) as simulator:
        root = authority.file.read_bytes()
        anonymous = grpc.ssl_channel_credentials(root)
        known = grpc.ssl_channel_credentials(root, own_key.read_bytes(), own_cert.read_bytes())
        with grpc.secure_channel(simulator.address, anonymous) as channel:
            assert version(channel) == "UNAVAILABLE"
        with grpc.secure_channel(simulator.address, known) as channel:
            assert version(channel) == "OK"


def test_an_old_server(tmp_path: Path) -> None:
    """It has never heard of GetDomains."""
    with (
        Simulator(tmp_path, _FAST, "--old-server") as simulator,
        grpc.insecure_channel(simulator.address) as channel,
    ):
        stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetDomains(project_pb2.GetDomainRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert version(channel) == "OK"


_MISTAKES = {
    "--incident=tokens-revoked@1s+1s": '"tokens-revoked@1s+1s" changes nothing where no tokens',
    "--client-secret-file=x": "--client-secret-file needs --auth.",
    "--tls-key=x": "TLS needs both --tls-cert and --tls-key.",
    "--tls-client-ca=x": "TLS needs both --tls-cert and --tls-key.",
    "--token-lifetime=0s": '"0s" is no time at all',
    "--token-lifetime=soon": 'expected a duration such as "30s" or "1h30m", got "soon"',
    "--auth --client-secret-file=/dev/null": "/dev/null is empty",
    "--auth --client-secret-file=/dev/null/x": "cannot read /dev/null/x: Not a directory",
}


@pytest.mark.parametrize(("arguments", "said"), _MISTAKES.items(), ids=_MISTAKES)
def test_wrong_usage_is_explained(arguments: str, said: str) -> None:
    """Exit 2, and what would be right."""
    ran = run(*_SIM, *arguments.split())
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in " ".join(ran.stderr.split())


def test_the_demo_asks_for_no_tokens() -> None:
    """So it refuses incidents of authentication, and says what has them."""
    ran = run("demo", "--incident=identity-down@1s+1s")
    assert ran.returncode == 2
    assert "flyte-exporter sim --auth" in " ".join(ran.stderr.split())


def test_unusable_certificates_are_explained(tmp_path: Path) -> None:
    """Exit 1 and the file that is to blame."""
    absent = tmp_path / "absent.pem"
    ran = run(*_SIM, f"--tls-cert={absent}", f"--tls-key={absent}")
    assert (ran.returncode, ran.stderr) == (
        1,
        f"Error: Cannot read {absent}: No such file or directory.\n",
    )
