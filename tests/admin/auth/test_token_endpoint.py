"""Whatever an identity provider does, there is a token, or an error that says what to do."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.admin.auth.errors import CredentialsError, SourceRejected, TokenUnavailable
from exporter.admin.auth.token import Secret
from exporter.admin.auth.token_endpoint import Client, TokenEndpoint, address_of
from exporter.model.time import SECOND
from tests.admin.auth.conftest import (
    CLIENT,
    SECRET,
    Asked,
    IdentityProvider,
    jwt,
    seconds_from,
)
from tests.rig import ManualClock

_CLIENT = Client(id=CLIENT, secret=Secret(SECRET), scopes=("all", "offline"), audience="")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(clock: ManualClock) -> TokenEndpoint:
    """Return what asks the provider."""
    return TokenEndpoint(proxy=None, ca_file=None, time_limit=5.0, clock=clock)


async def refusal(asking: Awaitable[object]) -> CredentialsError:
    """Return the error in which *asking* ends; it never holds the secret."""
    with pytest.raises(CredentialsError) as failed:
        await asking
    for secret in (SECRET, "s3cr", "czNjc"):
        assert secret not in str(failed.value)
    return failed.value


async def test_the_client_proves_itself_in_the_header(
    endpoint: TokenEndpoint, provider: IdentityProvider, clock: ManualClock
) -> None:
    """Both parts arrive whole, whatever characters they hold, and nothing of them in the form."""
    given = await endpoint.token(provider.url, _CLIENT)
    assert given.secret.reveal() == "token-1"
    assert seconds_from(clock, given.expires_at) == 3600
    [asked] = provider.asked
    assert (asked.style, asked.client) == ("basic", (CLIENT, SECRET))
    assert asked.form == {"grant_type": "client_credentials", "scope": "all offline"}


async def test_a_client_whose_name_holds_a_colon(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """Escaping keeps the two parts apart."""
    client = Client(id="a:b/c d", secret=Secret("x:y"), scopes=(), audience="")
    await refusal(endpoint.token(provider.url, client))
    assert provider.asked[0].client == ("a:b/c d", "x:y")


async def test_the_audience_is_asked_for(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """Some providers give no token without it; without scopes none are asked for."""
    client = Client(id=CLIENT, secret=Secret(SECRET), scopes=(), audience="https://flyte")
    await endpoint.token(provider.url, client)
    assert provider.asked[0].form == {
        "grant_type": "client_credentials",
        "audience": "https://flyte",
    }


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refused_header_is_followed_by_the_form_and_remembered(
    endpoint: TokenEndpoint, provider: IdentityProvider, status: int
) -> None:
    """What worked once is what is tried first from then on."""

    def answer(asked: Asked) -> web.Response:
        if asked.style == "basic":
            return web.json_response({"error": "invalid_client"}, status=status)
        return web.json_response({"access_token": "t", "expires_in": 60})

    provider.answer = answer
    for _ in range(2):
        await endpoint.token(provider.url, _CLIENT)
    assert [asked.style for asked in provider.asked] == ["basic", "form", "form"]
    assert provider.asked[1].client == (CLIENT, SECRET)


async def test_a_provider_that_comes_to_want_the_header_gets_it(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """What was remembered is no dead end."""
    for style in ("form", "basic"):
        provider.styles = {style}
        await endpoint.token(provider.url, _CLIENT)
    assert [asked.style for asked in provider.asked] == ["basic", "form", "form", "basic"]


async def test_a_wrong_secret_is_refused_for_good(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """Both ways are tried, once each, and the next attempt begins with the header again."""
    provider.secret = "another"
    for _ in range(2):
        error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert isinstance(error, SourceRejected)
    assert error.lasting
    assert error.code == "UNAUTHENTICATED"
    assert str(error) == (
        f'The identity provider at {provider.url} refused client "exporter" with HTTP 401:'
        " invalid_client; check admin.auth.client_id, and the secret in client_secret_file or"
        " client_secret_env."
    )
    assert [asked.style for asked in provider.asked] == ["basic", "form"] * 2


async def test_what_to_do_is_told_from_what_the_provider_says(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """Its sentences become part of ours, for whoever looks for the advice at the end."""
    provider.answer = lambda _: web.json_response(
        {"error": "invalid_scope", "error_description": "It is malformed. The client may not."},
        status=400,
    )
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert str(error).endswith(
        "HTTP 400: invalid_scope: It is malformed; The client may not; set admin.auth.scopes to"
        " scopes that this client may ask for."
    )


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (400, "invalid_scope", "set admin.auth.scopes to scopes that this client may ask for"),
        (400, "invalid_target", "set admin.auth.audience to one that the provider knows"),
        (400, "unauthorized_client", "allow this client the grant client_credentials there"),
        (403, "access_denied", "some providers also want admin.auth.audience"),
        (404, "", "check admin.auth.token_url, and what the provider says of this client"),
    ],
)
async def test_every_refusal_says_what_to_do(
    endpoint: TokenEndpoint, provider: IdentityProvider, status: int, error: str, advice: str
) -> None:
    """Asking again cannot help, and the form is not tried for it."""
    body = {"error": error, "error_description": "because\nof this"} if error else {}
    provider.answer = lambda _: web.json_response(body, status=status)
    refused = await refusal(endpoint.token(provider.url, _CLIENT))
    assert isinstance(refused, SourceRejected)
    assert advice in str(refused)
    if error:
        assert f"HTTP {status}: {error}: because of this;" in str(refused)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_provider_in_trouble_may_be_asked_later(
    endpoint: TokenEndpoint, provider: IdentityProvider, status: int
) -> None:
    """It is an outage and no refusal; the pause that it asks for is passed on, within bounds."""
    for told, wait in (("7", 7.0), ("100000", 300.0), ("tomorrow", None)):
        provider.answer = lambda _, told=told: web.Response(
            status=status, text="<h1>down</h1>", headers={"Retry-After": told}
        )
        error = await refusal(endpoint.token(provider.url, _CLIENT))
        assert isinstance(error, TokenUnavailable)
        assert not error.lasting
        assert error.wait == wait
        assert f"HTTP {status}: <h1>down</h1>;" in str(error)


async def test_a_secret_is_not_sent_on(endpoint: TokenEndpoint, provider: IdentityProvider) -> None:
    """A redirect is followed by nobody; it says where it pointed, without the query."""
    provider.answer = lambda _: web.Response(
        status=307, headers={"Location": "https://login.example/path?state=x"}
    )
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert isinstance(error, SourceRejected)
    assert "points elsewhere, to https://login.example/path (HTTP 307)" in str(error)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>sign in</html>",
        "[]",
        "null",
        '{"access_token": 7}',
        '{"access_token": ""}',
        '{"access_token": "two words"}',
        '{"access_token": "a\\nb"}',
        "[" * 50_000,
        "x" * 500_000,
    ],
)
async def test_an_answer_that_holds_no_token(
    endpoint: TokenEndpoint, provider: IdentityProvider, body: str
) -> None:
    """Success without a token is told as what it is, in one short line."""
    provider.answer = lambda _: web.Response(text=body, content_type="application/json")
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert isinstance(error, TokenUnavailable)
    assert len(str(error)) < 500
    assert str(error).isprintable()


async def test_an_echoed_secret_is_not_repeated(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """A provider in debug mode may answer with all that it was sent."""

    def echo(asked: Asked) -> web.Response:
        text = f"{asked.headers['authorization']} {asked.client} \x1b[31m{SECRET}"
        return web.json_response(
            {"error": "invalid_request", "error_description": text}, status=400
        )

    provider.answer = echo
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert "invalid_request: Basic *** ('exporter', '***') [31m***" in str(error)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3600, 3600),
        (1799.5, 1799.5),
        ("3600", 3600),
        (None, 300),
        (0, 300),
        (-5, 300),
        (True, 300),
        ("soon", 300),
        ([], 300),
        (10**30, 366 * 24 * 3600),
    ],
)
async def test_how_long_a_token_works(
    endpoint: TokenEndpoint,
    provider: IdentityProvider,
    clock: ManualClock,
    given: object,
    expected: float,
) -> None:
    """Where the provider says nothing that makes sense, it is five minutes."""
    provider.life = given
    token = await endpoint.token(provider.url, _CLIENT)
    assert seconds_from(clock, token.expires_at) == expected


async def test_the_token_itself_may_say_how_long_it_works(
    endpoint: TokenEndpoint, provider: IdentityProvider, clock: ManualClock
) -> None:
    """Without `expires_in`, its claim counts."""
    access_token = jwt(exp=clock.now() // SECOND + 1234)
    provider.answer = lambda _: web.json_response({"access_token": access_token})
    token = await endpoint.token(provider.url, _CLIENT)
    assert seconds_from(clock, token.expires_at) == 1234


async def test_another_kind_of_token_is_refused(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """A token that needs a proof of possession would be refused by Admin without a reason."""
    provider.answer = lambda _: web.json_response({"access_token": "t", "token_type": "DPoP"})
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert 'of type "DPoP"' in str(error)
    assert error.lasting


async def test_a_provider_that_hangs_costs_the_time_limit(
    provider: IdentityProvider, clock: ManualClock
) -> None:
    """A request ends, whatever the provider does."""
    arrived = asyncio.Event()

    async def hang(_: Asked) -> web.Response:
        arrived.set()
        await provider.over.wait()
        return web.Response()

    provider.answer = hang
    endpoint = TokenEndpoint(proxy=None, ca_file=None, time_limit=1.0, clock=clock)
    error = await refusal(endpoint.token(provider.url, _CLIENT))
    assert arrived.is_set()
    assert error.code == "DEADLINE_EXCEEDED"
    assert not error.lasting
    assert str(error) == (
        f"The identity provider at {provider.url} did not answer within 1 s; check"
        " admin.auth.token_url and that it is running."
    )


async def test_an_answer_without_an_end_is_cut_off(endpoint: TokenEndpoint) -> None:
    """It is neither waited for nor kept."""

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 8192)
        return response

    async with serving(flood) as base:
        error = await refusal(endpoint.token(f"{base}/token", _CLIENT))
    assert error.code == "UNAVAILABLE"
    assert "answered without an access_token: xxx" in str(error)


async def test_nobody_there(endpoint: TokenEndpoint) -> None:
    """A refused connection says what to look at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/token"
        error = await refusal(endpoint.token(url, _CLIENT))
    assert error.code == "UNAVAILABLE"
    assert not error.lasting
    assert "check admin.auth.token_url and that it is running" in str(error)


async def test_headers_for_a_proxy_go_along(
    endpoint: TokenEndpoint, provider: IdentityProvider
) -> None:
    """An identity-aware proxy before the provider sees its token, and it is hidden as well."""
    headers = (("proxy-authorization", "Bearer for-the-proxy"),)
    provider.answer = lambda asked: web.Response(
        status=403, text=asked.headers["proxy-authorization"]
    )
    error = await refusal(endpoint.token(provider.url, _CLIENT, headers=headers))
    assert "HTTP 403: Bearer ***;" in str(error)


@pytest.mark.parametrize("by_variable", [False, True])
async def test_requests_go_through_an_http_proxy(
    provider: IdentityProvider,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_variable: bool,
) -> None:
    """The configured one, or the one in the environment, is asked for the provider's address."""
    asked = []

    async def forward(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.json_response({"access_token": "through-the-proxy"})

    async with serving(forward) as proxy:
        if by_variable:
            monkeypatch.setenv("http_proxy", proxy)
            monkeypatch.setenv("no_proxy", "")
        endpoint = TokenEndpoint(
            proxy=None if by_variable else proxy, ca_file=None, time_limit=5.0, clock=clock
        )
        token = await endpoint.token("http://idp.invalid/token", _CLIENT)
        assert token.secret.reveal() == "through-the-proxy"
        assert asked == ["http://idp.invalid/token"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        if by_variable:
            await endpoint.token(provider.url, _CLIENT)
            assert len(asked) == 1


async def test_a_dead_proxy_is_named_without_its_password(clock: ManualClock) -> None:
    """The password in a proxy's URL is a secret too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"http://me:hunter2@127.0.0.1:{free.getsockname()[1]}"
        endpoint = TokenEndpoint(proxy=proxy, ca_file=None, time_limit=5.0, clock=clock)
        error = await refusal(endpoint.token("http://idp.invalid/token", _CLIENT))
    assert "check admin.auth.http_proxy_url" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("url", ["proxy.example:3128", "http://me:hunter2@[::1"])
async def test_a_proxy_that_is_no_url(clock: ManualClock, url: str) -> None:
    """A setting that cannot be used is named, and its password is not shown."""
    endpoint = TokenEndpoint(proxy=url, ca_file=None, time_limit=5.0, clock=clock)
    error = await refusal(endpoint.token("http://idp.invalid/token", _CLIENT))
    assert error.lasting
    assert "admin.auth.http_proxy_url" in str(error)
    assert "hunter2" not in str(error)


async def test_a_private_authority_is_trusted_when_it_is_configured(
    tmp_path: Path, clock: ManualClock
) -> None:
    """What vouches for Admin may vouch for the provider too; else its certificate is refused."""
    certificate, key = certificate_for_loopback(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)

    async def give(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "over-tls"})

    async with serving(give, served) as base:
        strict = TokenEndpoint(proxy=None, ca_file=None, time_limit=5.0, clock=clock)
        error = await refusal(strict.token(f"{base}/token", _CLIENT))
        assert "put the authority that vouches for it into admin.ca_file" in str(error)
        trusting = TokenEndpoint(proxy=None, ca_file=certificate, time_limit=5.0, clock=clock)
        token = await trusting.token(f"{base}/token", _CLIENT)
        assert token.secret.reveal() == "over-tls"


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_an_authority_that_cannot_be_read_is_named(
    tmp_path: Path, clock: ManualClock, content: str | None
) -> None:
    """A missing or broken file is the configuration's fault, and no outage."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    endpoint = TokenEndpoint(proxy=None, ca_file=path, time_limit=5.0, clock=clock)
    error = await refusal(endpoint.token("https://idp.invalid/token", _CLIENT))
    assert isinstance(error, SourceRejected)
    assert f"The file {path} (admin.ca_file) cannot be used" in str(error)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@idp:8443/a?b=c#d", "https://idp:8443/a"),
        ("http://[::1]:80/t", "http://[::1]:80/t"),
        ("http://host:notaport/", "an address that is no URL"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    """Neither user nor query stand in a message."""
    assert address_of(url) == shown


@contextlib.asynccontextmanager
async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Yield the address of a server that answers every POST with *handle*."""
    application = web.Application()
    application.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def certificate_for_loopback(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "tls.crt", folder / "tls.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
