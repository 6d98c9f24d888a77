"""
Access tokens are signed JSON (JWT): anybody can read one, only who has the key can write one.

No keys are published, so the cheap symmetric signature does: nobody but us judges these tokens.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

_PARTS = 3


class BadToken(Exception):
    """Not a token that we wrote; the text is that of Admin's JWT library."""


def write(claims: Mapping[str, Any], key: bytes) -> str:
    """Return a token that carries *claims*, signed with *key*."""
    body = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    return f"{body}.{_signature(body, key)}"


def read(token: str, key: bytes) -> dict[str, Any]:
    """
    Return the claims of a token that was signed with *key*.

    Raises:
        BadToken: It is no token, or was signed with another key.
    """
    if token.count(".") != _PARTS - 1:
        raise BadToken("token contains an invalid number of segments")
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(body, key).encode()):
        raise BadToken("crypto/rsa: verification error")
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body.partition(".")[2] + "=="))
    return claims


def _encoded(content: Mapping[str, Any]) -> str:
    return _base64(json.dumps(content, separators=(",", ":")).encode())


def _signature(body: str, key: bytes) -> str:
    return _base64(hmac.digest(key, body.encode(), "sha256"))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
