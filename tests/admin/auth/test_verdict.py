"""A token that can never work is told from one that merely ran out."""

import pytest

from exporter.admin.auth.verdict import is_admins, verdict
from tests.admin.auth.conftest import jwt

_NO_SCOPE = "authenticated user doesn't have required scope"
_AUDIENCE = (
    "token parse error [id token err: [JWT_VERIFICATION_FAILED] Could not retrieve id token from"
    " metadata, caused by: rpc error: code = Unauthenticated desc = Request unauthenticated with"
    " IDToken] | [access token err: invalid audience [&{[https://other]   []}], wanted"
    " [map[https://flyte.example.com:{}]]]"
)
_EXPIRED = (
    "token parse error [id token err: [JWT_VERIFICATION_FAILED] Could not retrieve id token from"
    " metadata] | [access token err: Token is expired]"
)


@pytest.mark.parametrize(
    ("claims", "finding"),
    [
        ({"scp": "all offline"}, 'Its claim scp is the text "all offline". Have the identity'),
        ({"scp": "all"}, 'Its claim scp is the text "all". Have the identity provider write scp'),
        ({"scp": ["read"]}, 'Its claim scp is ["read"], without "all". Allow this client'),
        ({"scp": 7}, "Its claim scp is 7. Have the identity provider"),
        ({"scope": "all"}, 'It has no claim scp, only scope: "all". Have the identity provider'),
        ({}, 'It does not hold the scope "all". Allow this client the scope'),
    ],
)
def test_a_missing_scope_is_explained_by_the_claim(claims: dict[str, object], finding: str) -> None:
    """It names the claim as it was found, and what to change."""
    said = verdict(jwt(**claims), _NO_SCOPE)
    assert said is not None
    assert said.startswith(finding)


def test_an_opaque_token_without_scope_is_judged_by_admins_words() -> None:
    """Where the token says nothing, Admin's words suffice."""
    said = verdict("opaque", _NO_SCOPE)
    assert said is not None
    assert said.startswith('It does not hold the scope "all".')


@pytest.mark.parametrize(
    ("claims", "finding"),
    [
        ({"aud": "https://other"}, 'Its claim aud is "https://other", and Admin wants '),
        ({"aud": ["a", "b"]}, 'Its claim aud is ["a", "b"], and Admin wants '),
        ({}, "Its claim aud is missing, and Admin wants "),
    ],
)
def test_a_wrong_audience_names_both(claims: dict[str, object], finding: str) -> None:
    """What the token has, what Admin wants, and both ways to bring them together."""
    said = verdict(jwt(**claims), _AUDIENCE)
    assert said is not None
    assert said.startswith(f'{finding}"https://flyte.example.com". Ask for the audience')
    assert "admin.auth.audience" in said
    assert "allowedAudience" in said


def test_several_audiences_that_admin_accepts_are_all_named() -> None:
    """Go prints a set; each member is one."""
    words = "invalid audience [x], wanted [map[https://a:{} https://b:{}]]"
    assert 'Admin wants ["https://a", "https://b"]' in (verdict(jwt(aud="x"), words) or "")


@pytest.mark.parametrize(
    "details",
    [
        _EXPIRED,
        "token parse error [access token err: failed to verify signature]",
        "Request unauthenticated with bearer",
        "",
    ],
)
@pytest.mark.parametrize("claims", [{"scp": ["all"]}, {"scp": "all"}, {}])
def test_what_a_new_token_may_cure_is_no_verdict(claims: dict[str, object], details: str) -> None:
    """Expiry and exchanged keys are a matter of another token."""
    assert verdict(jwt(**claims), details) is None


def test_a_string_of_scopes_is_a_verdict_even_if_a_proxy_hides_admins_words() -> None:
    """Admin never splits it, so no other token of the kind can fare better."""
    assert verdict(jwt(scp="all offline"), "") is not None
    assert verdict(jwt(scp="all offline"), _EXPIRED) is None


@pytest.mark.parametrize(
    ("details", "admins"),
    [
        (_NO_SCOPE, True),
        (_AUDIENCE, True),
        (_EXPIRED, True),
        ("Received http2 header with status: 401", False),
        ("", False),
    ],
)
def test_who_spoke(details: str, *, admins: bool) -> None:
    """A proxy uses Admin's code, but not its words."""
    assert is_admins(details) is admins
