"""How one gets in to the simulated Admin of `sim`: what the options mean, and what people read."""

import json
import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from exporter.sim.authority import Authority, OAuthClient
from exporter.sim.server import Serving
from exporter.sim.tls import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The one client that may have tokens, and who gives them to it."""

    client_id: str
    secret_file: Path
    authority: Authority

    def directions(self, serving: Serving, *, plaintext: bool) -> str:
        """Return what a person has to know to get in, with a configuration to copy."""
        # JSON's strings are YAML's too.
        return f"""
  It wants an access token with every call:
    token endpoint  {serving.token_url}
    client id       {self.client_id}
    client secret   in {self.secret_file}

  For the exporter that is:
    admin:
      endpoint: {serving.address}
      insecure: {json.dumps(plaintext)}
      auth:
        type: client_secret
        client_id: {json.dumps(self.client_id)}
        client_secret_file: {json.dumps(str(self.secret_file.absolute()))}
"""


def grant(
    stack: ExitStack, *, client_id: str, secret_file: Path | None, lifetime: timedelta
) -> Access:
    """
    Let one client have tokens.

    Args:
        stack: A secret that is made up goes with it.
        client_id: Its name.
        secret_file: Where its secret is; without one, a secret is made up.
        lifetime: Of its tokens.

    Raises:
        BadParameter: There is no secret in *secret_file*.
    """
    secret_file = secret_file or _made_up(stack)
    client = OAuthClient(id=client_id, secret=_secret(secret_file))
    authority = Authority([client], lifetime=lifetime)
    return Access(client_id=client_id, secret_file=secret_file, authority=authority)


def _made_up(stack: ExitStack) -> Path:
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="flyte-exporter-sim-"))
    path = Path(directory, "client-secret")
    path.write_text(secrets.token_urlsafe() + "\n", encoding="utf-8")
    return path


def _secret(path: Path) -> str:
    hint = "--client-secret-file"
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        text = f"cannot read {path}: {error.strerror}"
        raise click.BadParameter(text, param_hint=hint) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not text", param_hint=hint) from error
    if not secret:
        raise click.BadParameter(f"{path} is empty", param_hint=hint)
    return secret


def tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> Tls | None:
    """
    Return what the gRPC port proves itself with; None for plaintext.

    Raises:
        UsageError: Some of it is there and some is missing.
    """
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise click.UsageError("TLS needs both --tls-cert and --tls-key.")
    return Tls(cert_file=cert, key_file=key, client_ca_file=client_ca)
