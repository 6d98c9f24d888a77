"""
What a token says of itself, unverified: good for a diagnosis and an expiry, for nothing else.

A token is somebody else's text. Whatever it holds, reading it never fails: what is no JWT has no
claims.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from exporter.model.time import SECOND, Micros

_LATEST = 253_402_300_799
"""Seconds of the last instant that a calendar knows: 9999-12-31T23:59:59Z."""


def claims_of(token: str) -> Mapping[str, Any]:
    """Return the claims of *token*; none when it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # header, payload, signature
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(token: str) -> Micros | None:
    """Return the instant in the claim `exp`; None when there is none that could be meant."""
    match claims_of(token).get("exp"):
        case bool():
            return None
        case int() | float() as seconds if 0 < seconds <= _LATEST:
            return Micros(int(seconds * SECOND))
        case _:
            return None


def scopes_of(token: str) -> tuple[str, ...]:
    """Return the scopes that *token* says it has, from the claim that Admin reads or its kin."""
    claims = claims_of(token)
    match claims.get("scp", claims.get("scope")):
        case str() as text:
            return tuple(text.split())
        case list() as scopes:
            return tuple(scope for scope in scopes if isinstance(scope, str))
        case _:
            return ()
