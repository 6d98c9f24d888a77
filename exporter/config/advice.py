"""What to write instead of a key that does not exist."""

from difflib import get_close_matches

from exporter.config.document import KeyPath
from exporter.config.problems import dotted
from exporter.config.settings import Settings
from exporter.config.tree import SECTIONS, SETTINGS, section_at

_SECRETS = {
    **dict.fromkeys(
        ("client_secret", "clientsecret", "secret", "password"),
        "the file that holds it in admin.auth.client_secret_file, or the variable in "
        "admin.auth.client_secret_env",
    ),
    **dict.fromkeys(
        ("access_token", "bearer_token", "token"), "the file that holds it in admin.auth.token_file"
    ),
}
"""Keys that people try for a secret, and what to name instead."""


def for_secret(key: str) -> str | None:
    """Say where a secret belongs, if that is what *key* is meant for."""
    named = _SECRETS.get(key.lower())
    return f"a secret does not stand in the configuration: name {named}." if named else None


def for_unknown(path: KeyPath) -> str:
    """Say which key may have been meant by the last one of *path*."""
    if path[0] == "admin" and (secret := for_secret(str(path[-1]))):
        return secret
    key = str(path[-1])
    if elsewhere := _elsewhere(key):
        return f'did you mean "{elsewhere}"?'
    model = section_at(path[:-1]) or Settings
    known = sorted(model.model_fields)
    if near := get_close_matches(key, known, n=1):
        return f'did you mean "{near[0]}"?'
    return f"known keys: {', '.join(known)}."


def _elsewhere(key: str) -> str | None:
    """Return the only setting or section of that name; flytectl's are flat and in camel case."""
    paths = (*SECTIONS, *SETTINGS)
    same = [path for path in paths if _letters(str(path[-1])) == _letters(key)]
    return dotted(same[0]) if len(same) == 1 else None


def _letters(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()
