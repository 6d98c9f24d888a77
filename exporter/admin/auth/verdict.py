"""
Admin refused a token: would another one of its kind fare better?

Admin says UNAUTHENTICATED to all of these alike: a token that ran out, one whose signing key was
exchanged, and one that lacks what Admin wants to see in it. The first two are cured by a new
token. The last is not: the identity provider would write the same again. Its words, and what the
token says of itself, tell them apart.

Source: flyteadmin `auth/handlers.go`, `auth/interceptor.go` and
    `auth/authzserver/claims_verifier.go`. A claim `scp` that is a text is not read as a list:
    depending on the version it counts as one scope, or as none.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from exporter.admin.auth.claims import claims_of
from exporter.admin.auth.token import fit_to_show

_NO_SCOPE = "doesn't have required scope"
_WRONG_KIND_OF_SCOPE = "failed getting scope claims"
_AUDIENCE = "invalid audience"
_NOT_PARSED = "token parse error"
_ADMINS_OWN = (_NO_SCOPE, _NOT_PARSED, "Request unauthenticated with", "Could not retrieve")
# Go prints the audiences that Admin accepts as a set: wanted [map[https://flyte.example:{}]].
_WANTED = re.compile(r"wanted (?:one of |\[)map\[(.{1,2000}?)\]")
_LIST_IT = (
    'Have the identity provider write scp as a list that holds "all", such as ["all"]; Admin does'
    " not split a text."
)
_ADD_IT = (
    'Allow this client the scope "all" at the identity provider, and have it asked for there:'
    ' with client_secret by admin.auth.scopes: ["all"].'
)


def verdict(token: str, details: str) -> str | None:
    """
    Say why no *token* of this kind can work; None when another one may.

    Args:
        token: What was refused. It is not repeated, but for the claim at fault.
        details: The text with which Admin, or a proxy before it, refused it.
    """
    claims = claims_of(token)
    if _AUDIENCE in details:
        return _audience(claims, details)
    if _NO_SCOPE in details or _WRONG_KIND_OF_SCOPE in details:
        return _scope(claims)
    # A proxy may hide Admin's words. This claim is wrong whatever they were, unless they were
    # about another matter: that comes first.
    scp = claims.get("scp")
    if isinstance(scp, str) and scp != "all" and _NOT_PARSED not in details:
        return _scope(claims)
    return None


def is_admins(details: str) -> bool:
    """Tell whether Admin itself, and no proxy before it, refused a call with *details*."""
    return any(words in details for words in _ADMINS_OWN)


def _scope(claims: Mapping[str, Any]) -> str:
    match claims:
        case {"scp": str() as text}:
            return f"Its claim scp is the text {_quoted(text)}. {_LIST_IT}"
        case {"scp": list() as scopes}:
            return f'Its claim scp is {_quoted(scopes)}, without "all". {_ADD_IT}'
        case {"scp": other}:
            return f"Its claim scp is {_quoted(other)}. {_LIST_IT}"
        case {"scope": other}:
            return (
                f"It has no claim scp, only scope: {_quoted(other)}. Have the identity provider"
                ' write a claim scp that is a list and holds "all".'
            )
        case _:
            return f'It does not hold the scope "all". {_ADD_IT}'


def _audience(claims: Mapping[str, Any], details: str) -> str:
    found = _quoted(claims["aud"]) if "aud" in claims else "missing"
    wanted = _WANTED.search(details)
    names = [name.rpartition(":")[0] for name in wanted[1].split()] if wanted else []
    wants = f", and Admin wants {_quoted(names[0] if len(names) == 1 else names)}" if names else ""
    return (
        f"Its claim aud is {found}{wants}. Ask for the audience that Admin wants (with"
        " client_secret by admin.auth.audience), or add the token's to Admin's allowedAudience."
    )


def _quoted(value: object) -> str:
    try:
        return fit_to_show(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return "nested too deeply to be shown"
