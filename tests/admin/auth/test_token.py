"""A secret is shown to nobody, and a text that is no token is not taken for one."""

import base64
import json
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.admin.auth.errors import TokenUnavailable
from exporter.admin.auth.token import Secret, fit_to_show, token_text
from tests.admin.auth.conftest import jwt, token


def test_a_secret_shows_itself_to_nobody() -> None:
    """Neither it nor what holds it can be printed, formatted or logged by accident."""
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret]  # noqa: UP031
    assert set(shown) == {"***"}
    assert "hunter2" not in repr(token("hunter2"))
    assert "hunter2" not in str([token("hunter2")])
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize("text", ["abc", jwt(sub="me"), "a.b~c+d/e-f_g==", "  abc\n"])
def test_a_token_is_taken_without_the_space_around_it(text: str) -> None:
    """Programs and editors end what they write with a newline."""
    assert token_text(text, giver="The file").reveal() == text.strip()


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "what it gave is empty"),
        (" \n\t", "what it gave is empty"),
        ("two words", "gave 1 line of text that cannot be a token"),
        ("one\ntwo\nthree", "gave 3 lines of text that cannot be a token"),
        ("caf\u00e9", "gave 1 line of text that cannot be a token"),
        ("a\x00b", "gave 1 line of text that cannot be a token"),
        ("x" * 20_000, "gave 20000 characters; expected a token of at most 16384"),
    ],
)
def test_what_cannot_be_a_token_is_refused_unseen(text: str, finding: str) -> None:
    """It says what was found in numbers: a text that is almost a token is a secret too."""
    with pytest.raises(TokenUnavailable) as failed:
        token_text(text, giver="The program x")
    assert str(failed.value).startswith("The program x gave")
    assert finding in str(failed.value)
    assert not text.strip() or text.strip() not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret,
        quote_plus,
        lambda secret: quote(secret, safe=""),
        json.dumps,
    ],
)
def test_an_echoed_secret_is_hidden_in_every_form(form: "object") -> None:
    """A provider that repeats what we sent does not bring it into our log."""
    secret = 'p&ss "w rd/+'
    echoed = form(secret)  # type: ignore[operator]
    assert fit_to_show(f"you sent {echoed}!", Secret(secret)) in {
        "you sent ***!",
        'you sent "***"!',
    }


def test_a_secret_cannot_slip_through_in_pieces() -> None:
    """Neither at the cut, nor around a control character that is taken away."""
    text = "x" * 295 + "hunter2hunter2"
    assert "hunt" not in fit_to_show(text, Secret("hunter2hunter2"))
    assert "a b" not in fit_to_show("a\x00b", Secret("a b"))


@settings(deadline=None)
@given(st.text(), st.text(min_size=4, max_size=20, alphabet="abcdefgh"))
def test_what_is_shown_is_one_short_printable_line(text: str, secret: str) -> None:
    """Whatever somebody else wrote, it can neither steer a terminal nor fill a log."""
    shown = fit_to_show(f"{text}{secret}{text}", Secret(secret))
    assert shown.isprintable()
    assert len(shown) <= 301
    assert secret not in shown
    assert base64.b64encode(secret.encode()).decode() not in shown
