"""What may be a secret is in no message, wherever somebody put it."""

import re
import traceback
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exporter.config.document import KeyPath
from exporter.config.environment import variable_for
from exporter.config.load import decode
from exporter.config.problems import ConfigError, without_credentials
from exporter.config.tree import SETTINGS, confidential

_secrets = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789", min_size=10, max_size=100).map(
    "q7".__add__
)
_FORMS = (
    *("{0}", '"{0}"', "'{0}'", '"{0}\\n{0}"', "|\n      {0}\n      {0}", "{0}{0}{0}: {0}"),
    *("!{0}", "!{0} x", "!!{0} x", "!{0}!x y", "*{0}", "&{0} x", "&{0} [&{0} x]", "[*{0}]"),
    *(
        "[{0}]",
        "[[{0}]]",
        "[1, {0}, '']",
        "{{{0}: 1}}",
        "{{{0}: 1, {0}: 2}}",
        "[{{{0}: 1, {0}: 2}}]",
    ),
    *("{{a: {{{0}: !x 1}}}}", "[!x {0}]", "[!{0} x]", "{{!x {0}: 1}}", "{{[{0}]: 1}}", "? {0}"),
    *("https://user:{0}@host", "https://{0}@host:x/", "https://host/?token={0}", "http:// {0}"),
    *("https://user:{0}?{0}@host/#{0}", "user:{0}@host:81", "https://x/{0}@x", "ftp://h/?{0}"),
    *("'{0}", '"{0}', "[{0}", "{{{0}", "{0}]", "@{0}", "`{0}", "%{0}", "- {0}", "-{0}"),
    *('"\\q{0}"', '"\\x{0}"', '"\\UFFFFFFFF{0}"', "{0} # {0}", "{0}\x07", "\t{0}", "> {0}", "|{0}"),
    *("Bearer {0}", "{0}-bin", "grpc-{0}", "[token, --password, '{0}', 1]", "[token, '{0}\\0']"),
)
_keys = st.sampled_from(
    [
        *("client_secret", "token", "password", "clientSecret", "client_id_", "nonsense"),
        *(
            str(path[-1])
            for path in SETTINGS
            if path[:2] == ("admin", "auth") and confidential(path)
        ),
    ]
)


def _shown(content: str, environ: dict[str, str]) -> str:
    """Return all that anybody gets to see of a refusal, a traceback included."""
    try:
        decode(content.encode(), file=Path("config.yaml"), environ=environ)
    except ConfigError as error:
        return f"{error}{error!r}{''.join(traceback.format_exception(error))}"
    return ""


@settings(deadline=None)
@given(secret=_secrets, form=st.sampled_from(_FORMS), key=_keys)
def test_no_message_repeats_what_stands_in_the_file(secret: str, form: str, key: str) -> None:
    """A secret below an unknown or confidential key, in whatever form of YAML, stays there."""
    value = form.format(secret)
    content = (
        f"admin:\n  endpoint: flyteadmin:81\n  auth:\n    type: token_file\n    {key}: {value}"
    )
    assert secret[:9] not in _shown(content, {})


@settings(deadline=None)
@given(secret=_secrets, form=st.sampled_from(_FORMS))
@pytest.mark.parametrize("head", ["admin:\n  auth: ", "admin:\n  token: ", "nonsense:\n  x: ", ""])
def test_no_message_repeats_what_stands_for_a_section(head: str, secret: str, form: str) -> None:
    """Neither in place of the section, nor of the whole file."""
    value = form.format(secret)
    # The name of a setting that nobody knows is told, or it could not be mended.
    assume(head.endswith("x: ") or "token" in head or not re.search(r"[:?]", value))
    assert secret[:9] not in _shown(head + value, {})


@settings(deadline=None)
@given(secret=_secrets, form=st.sampled_from(_FORMS), key=_keys)
@example(secret="q7abcdefghij", form="{0}", key="client_secret")
def test_no_message_repeats_what_a_variable_holds(secret: str, form: str, key: str) -> None:
    """What a misspelt or confidential variable holds is not told."""
    environ = {variable_for(("admin", "auth", key)): form.format(secret)}
    assert secret[:9] not in _shown("admin: {endpoint: flyteadmin:81}", environ)


@settings(deadline=None)
@given(
    secret=_secrets,
    form=st.sampled_from(["https://user:{0}@host", "u:{0}@h:81", "//{0}@h"]),
    path=st.sampled_from([path for path in SETTINGS if not confidential(path)]),
)
def test_no_message_repeats_a_password_in_an_address(secret: str, form: str, path: KeyPath) -> None:
    """Addresses are repeated without their user information, whatever setting they were put at."""
    environ = {variable_for(path): f'"{form.format(secret)}"'}
    assert secret[:9] not in _shown("admin: {endpoint: flyteadmin:81}", environ)


def test_the_refusal_of_a_secret_says_where_it_belongs() -> None:
    """In the file and in the environment, in the same words."""
    advice = (
        "unknown key; a secret does not stand in the configuration: name the file that holds it in"
        " admin.auth.client_secret_file, or the variable in admin.auth.client_secret_env."
    )
    content = "admin: {endpoint: flyteadmin:81, auth: {client_secret: q7abcdefghij}}"
    assert f"config.yaml:1:41: admin.auth.client_secret: {advice}" in _shown(content, {})
    variable = "FLYTE_EXPORTER__ADMIN__AUTH__CLIENT_SECRET"
    shown = _shown("admin: {endpoint: flyteadmin:81}", {variable: "q7abcdefghij"})
    assert f"environment variable {variable}: {advice}" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://idp/token", "https://idp/token"),
        ("https://user:pass@idp:8080/token", "https://***@idp:8080/token"),
        ("https://user:p@ss@idp/token", "https://***@idp/token"),
        ("https://idp/token?key=1#2", "https://idp/token?***"),
        ("https://idp/token#key", "https://idp/token#***"),
        ("user:pass@idp", "***@idp"),
        ("*/produc?ion", "*/produc?ion"),
    ],
)
def test_an_address_is_shown_without_its_credentials(text: str, shown: str) -> None:
    """Enough is left to recognise it."""
    assert without_credentials(text) == shown
