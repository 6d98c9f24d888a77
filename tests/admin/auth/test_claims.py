"""Whatever a token is, reading it never fails."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.admin.auth.claims import claims_of, expiry_of, scopes_of
from exporter.admin.auth.verdict import is_admins, verdict
from exporter.model.time import SECOND
from tests.admin.auth.conftest import jwt

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def wrapped(payload: bytes) -> str:
    """Return a token around *payload*."""
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opaque",
        "a.b.c",
        "..",
        "a.\u00e9.c",
        wrapped(b"not json"),
        wrapped(b"[1]"),
        wrapped(b"\xff\xfe"),
        wrapped(b"[" * 100_000),
        wrapped(b'{"exp":' + b"9" * 5000 + b"}"),
    ],
)
def test_what_is_no_jwt_has_no_claims(text: str) -> None:
    """Opaque tokens are as good as any; hostile ones are no worse."""
    assert claims_of(text) == {}
    assert expiry_of(text) is None
    assert scopes_of(text) == ()


@pytest.mark.parametrize(
    ("exp", "expected"),
    [
        (1_700_000_000, 1_700_000_000 * SECOND),
        (1_700_000_000.5, 1_700_000_000_500_000),
        (0, None),
        (-1, None),
        (1e300, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("1700000000", None),
        (None, None),
    ],
)
def test_an_expiry_is_a_number_of_seconds_that_can_be_meant(
    exp: object, expected: int | None
) -> None:
    """Anything else is as if nothing were said."""
    assert expiry_of(jwt(exp=exp)) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"scp": ["all", 3, "offline"]}, ("all", "offline")),
        ({"scp": "all offline"}, ("all", "offline")),
        ({"scope": "a b"}, ("a", "b")),
        ({"scp": ["x"], "scope": "y"}, ("x",)),
        ({"scp": {"all": True}}, ()),
        ({}, ()),
    ],
)
def test_scopes_are_read_as_they_come(claims: dict[str, object], expected: tuple[str, ...]) -> None:
    """Providers write a list or a text, under either name."""
    assert scopes_of(jwt(**claims)) == expected


@settings(deadline=None)
@given(st.text() | st.binary().map(wrapped) | _JSON.map(lambda j: wrapped(json.dumps(j).encode())))
def test_no_token_makes_the_readers_fail(text: str) -> None:
    """They answer something, whatever it is that they are given."""
    claims_of(text)
    expiry_of(text)
    scopes_of(text)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["scp", "scope", "aud", "exp", "x"]), _JSON),
    st.text()
    | st.sampled_from(
        [
            "authenticated user doesn't have required scope",
            "token parse error invalid audience [x], wanted [map[a:{} b:{}]]",
            "invalid audience [], wanted [map[]]",
        ]
    ),
)
def test_no_claims_and_no_words_make_a_verdict_fail(
    claims: dict[str, object], details: str
) -> None:
    """A verdict is one short printable text, or none; it never holds the token."""
    hostile = jwt(**claims)
    is_admins(details)
    said = verdict(hostile, details)
    assert said is None or (said.isprintable() and len(said) < 1200 and hostile not in said)
