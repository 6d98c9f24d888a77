"""Which client gets which token, and which token is good for what."""

import base64
import json
from datetime import timedelta
from typing import Any

import grpc
import pytest

from exporter.model.time import Micros
from exporter.sim.authority import Authority, Denied, OAuthClient, TokenRequest
from exporter.sim.refusal import Refusal
from tests.rows import NOON, after

CLIENT = OAuthClient(
    id="exporter", secret="s3cret", scopes=("all", "offline"), audiences=("https://api",)
)


@pytest.fixture
def authority() -> Authority:
    """One that knows one client."""
    return Authority([CLIENT], public_url="http://admin")


def request(**details: Any) -> TokenRequest:
    """Return what the client asks by default, with *details* of its own."""
    asked: dict[str, Any] = {"client_id": "exporter", "secret": "s3cret", "scopes": ("all",)}
    return TokenRequest(**asked | details)


def bearer(authority: Authority, **details: Any) -> str:
    """Return what a call carries that has just got its token."""
    return f"Bearer {authority.issue(request(**details), NOON).token}"


def refused(authority: Authority, authorization: str, now: Micros = NOON) -> str:
    """Return why a call is refused."""
    with pytest.raises(Refusal) as refusal:
        authority.judge(authorization, now)
    assert refusal.value.code is grpc.StatusCode.UNAUTHENTICATED
    return refusal.value.details


def test_a_token_can_be_read_by_whoever_holds_it(authority: Authority) -> None:
    """A client may look at expiry, scopes and audience; the scopes are a list."""
    grant = authority.issue(request(scopes=("all", "offline")), NOON)
    header, payload, _ = grant.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["typ"] == "JWT"
    assert claims["scp"] == ["all", "offline"]
    assert claims["aud"] == ["http://admin"]
    assert claims["exp"] - claims["iat"] == 1800
    assert claims["sub"] == "exporter"


def test_a_good_token_passes_until_it_expires(authority: Authority) -> None:
    """The client is told one second less than it has."""
    authority.lifetime = timedelta(minutes=5)
    grant = authority.issue(request(), NOON)
    assert grant.expires_in == 299
    authority.judge(f"Bearer {grant.token}", after(299.999))
    assert "Token is expired" in refused(authority, f"Bearer {grant.token}", after(300))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_as_one_likes(authority: Authority, scheme: str) -> None:
    """Upper and lower case are the same."""
    authority.judge(bearer(authority).replace("Bearer", scheme), NOON)


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("", "Request unauthenticated with Bearer"),
        ("Basic eDp5", "Request unauthenticated with Bearer"),
        ("token", "Bad authorization string"),
        ("Bearer ", "token is blank"),
        ("Bearer opaque", "token contains an invalid number of segments"),
        ("Bearer a.b.c", "crypto/rsa: verification error"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(
    authority: Authority, authorization: str, said: str
) -> None:
    """The text says what was wrong with it, after the words that all such refusals begin with."""
    details = refused(authority, authorization)
    assert details.startswith("token parse error id token err: access token err: ")
    assert said in details.split("access token err: ")[1]


def test_a_token_that_was_tampered_with_is_refused(authority: Authority) -> None:
    """What is signed is the content."""
    header, payload, signature = authority.issue(request(), NOON).token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"exp": 10**12}).encode()).decode()
    assert "verification error" in refused(authority, f"Bearer {header}.{forged}.{signature}")


def test_all_tokens_can_be_forgotten_at_once(authority: Authority) -> None:
    """Those that were issued are refused, those to come are not."""
    old = bearer(authority)
    authority.revoke_all()
    assert "verification error" in refused(authority, old)
    authority.judge(bearer(authority), NOON)


def test_a_token_of_another_authority_is_refused(authority: Authority) -> None:
    """Each has its own key."""
    other = Authority([CLIENT], public_url="http://admin")
    assert "verification error" in refused(authority, bearer(other))


def test_a_token_without_the_scope_is_refused_for_ever(authority: Authority) -> None:
    """It is a good token otherwise, and the text is another one than for bad tokens."""
    details = refused(authority, bearer(authority, scopes=("offline",)))
    assert details == "authenticated user doesn't have required scope"


def test_a_token_without_any_scope_may_do_everything(authority: Authority) -> None:
    """As a real Admin lets it: it is taken for a person's."""
    authority.judge(bearer(authority, scopes=()), NOON)


def test_scopes_in_one_text_are_one_scope(authority: Authority) -> None:
    """Admin does not part them at the blanks: one alone is found, two are not."""
    authority.scopes_as_text = True
    authority.judge(bearer(authority, scopes=("all",)), NOON)
    details = refused(authority, bearer(authority, scopes=("all", "offline")))
    assert details == "authenticated user doesn't have required scope"


def test_a_token_for_somebody_else_is_refused(authority: Authority) -> None:
    """The audience is Admin's public address."""
    authority.audience = "https://elsewhere"
    details = refused(authority, bearer(authority))
    assert "invalid audience [https://elsewhere], wanted [map[http://admin:{}]]" in details


@pytest.mark.parametrize(
    ("details", "status", "error", "said"),
    [
        ({"secret": "wrong"}, 401, "invalid_client", "Client authentication failed"),
        ({"client_id": "nobody"}, 401, "invalid_client", "Client authentication failed"),
        ({"scopes": ("all", "x")}, 400, "invalid_scope", "not allowed to request scope 'x'"),
        ({"audience": "https://x"}, 400, "invalid_request", "'https://x' has not been whitelisted"),
        ({"grant_type": "password"}, 400, "invalid_request", "various parameters are correct"),
        ({"grant_type": "authorization_code"}, 400, "unauthorized_client", "not allowed to use"),
        ({"grant_type": ""}, 400, "invalid_request", "'grant_type' is missing"),
    ],
)
def test_a_client_that_may_not_have_a_token_gets_none(
    authority: Authority, details: dict[str, Any], status: int, error: str, said: str
) -> None:
    """Status and word are OAuth2's, the sentence is Admin's."""
    with pytest.raises(Denied) as denied:
        authority.issue(request(**details), NOON)
    assert (denied.value.status, denied.value.error) == (status, error)
    assert said in denied.value.description


def test_an_allowed_audience_is_none_that_admin_accepts_less(authority: Authority) -> None:
    """Admin's own server grants its own address, whatever was asked for."""
    authority.judge(bearer(authority, audience="https://api"), NOON)


def test_a_client_that_is_added_again_has_a_new_secret(authority: Authority) -> None:
    """So a test can rotate it."""
    authority.add(OAuthClient(id="exporter", secret="other"))
    with pytest.raises(Denied, match="401 invalid_client"):
        authority.issue(request(), NOON)
    authority.judge(bearer(authority, secret="other"), NOON)


def test_secrets_are_not_printed() -> None:
    """Neither the client's nor the request's."""
    assert "s3cret" not in repr(CLIENT) + repr(request())
