"""Calls carry what Admin wants to see, and a refusal is answered once, or told as what it is."""

import asyncio
import os
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from flyteidl.admin import version_pb2
from flyteidl.service import admin_pb2_grpc

from exporter.admin.auth.credentials import Credentials
from exporter.admin.auth.errors import (
    CredentialsError,
    SourceRejected,
    TokenRejected,
    TokenUnavailable,
)
from exporter.model.time import SECOND
from tests.admin.auth.conftest import (
    CLIENT,
    SECRET,
    AdminServer,
    Bench,
    IdentityProvider,
    jwt,
    seconds_from,
)

Logged = Sequence[MutableMapping[str, Any]]
_CLIENT_SECRET = {"type": "client_secret", "client_id": CLIENT, "client_secret_env": "SECRET"}
_EXPIRED = "token parse error [access token err: Token is expired]"
_NO_SCOPE = "authenticated user doesn't have required scope"
_BY_PROXY = "Received http2 header with status: 401"


async def failure(
    credentials: Credentials, *, refused: tuple[Sequence[tuple[str, str]], str] | None = None
) -> CredentialsError:
    """Return the error in which the next call, or a refusal of the last one, ends."""
    with pytest.raises(CredentialsError) as failed:
        await (credentials.refused(*refused) if refused else credentials.metadata())
    return failed.value


def methods(admin: AdminServer) -> list[str]:
    """Return which metadata Admin was asked for."""
    return [method for method, _ in admin.asked]


async def test_without_a_type_nothing_is_carried_nor_asked(
    bench: Bench, admin: AdminServer
) -> None:
    """The default is an Admin without authentication."""
    async with bench.credentials() as credentials:
        assert tuple(await credentials.metadata()) == ()
        assert credentials.description == "no token"
        assert credentials.expires_at is None
        assert credentials.scopes == ()
    assert admin.asked == []


async def test_an_admin_that_wants_a_token_nevertheless(bench: Bench) -> None:
    """The refused call says which setting is missing; a retry makes no sense."""
    async with bench.credentials() as credentials:
        error = await failure(credentials, refused=((), "Request unauthenticated with Bearer"))
    assert error.code == "UNAUTHENTICATED"
    assert str(error) == "This Admin wants a token, and none is configured; set admin.auth.type."


async def test_everything_is_discovered(
    bench: Bench, admin: AdminServer, provider: IdentityProvider, logged: Logged
) -> None:
    """Of a client only its id and secret need be configured; Admin says the rest."""
    admin.header, admin.audience = "X-Flyte-Token", "https://flyte"
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        assert "that Flyte Admin names" in credentials.description
        sent = await credentials.metadata()
        assert tuple(sent) == (("x-flyte-token", "Bearer token-1"),)
        assert tuple(await credentials.metadata()) == tuple(sent)
        assert credentials.description == f"a token from the identity provider at {provider.url}"
        assert seconds_from(bench.clock, credentials.expires_at) == 3600
    [asked] = provider.asked
    assert asked.client == (CLIENT, SECRET)
    assert asked.form["scope"] == "all offline"
    assert asked.form["audience"] == "https://flyte"
    assert methods(admin) == ["GetPublicClientConfig", "GetOAuth2Metadata"]
    assert bench.told.outcomes == ["success"]
    assert bench.told.expiries == [credentials.expires_at]
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("admin wants tokens", "info"),
        ("token refreshed", "info"),
    ]
    assert logged[1]["expires_in"] == 3600


async def test_what_admin_repeats_is_no_news(
    bench: Bench, provider: IdentityProvider, logged: Logged
) -> None:
    """While the provider refuses us, Admin is asked where it is; the log has that once."""
    provider.secret = "another"
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(3):
            await failure(credentials)
            bench.clock.advance(600)
    assert len(bench.admin.asked) > 2
    assert [line["event"] for line in logged] == ["admin wants tokens", "token refresh failed"]


async def test_what_is_configured_wins(
    bench: Bench, admin: AdminServer, provider: IdentityProvider
) -> None:
    """Neither header, scopes, audience nor endpoint of Admin's are used then."""
    admin.token_endpoint, admin.audience = "http://127.0.0.1:9/never", "theirs"
    settings = _CLIENT_SECRET | {
        "token_url": provider.url,
        "scopes": ["mine"],
        "audience": "ours",
        "header": "authorization",
    }
    async with bench.credentials(**settings) as credentials:
        assert tuple(await credentials.metadata()) == (("authorization", "Bearer token-1"),)
    assert provider.asked[0].form["scope"] == "mine"
    assert provider.asked[0].form["audience"] == "ours"
    assert admin.asked == []


async def test_fifty_calls_at_once_ask_everybody_once(
    bench: Bench, admin: AdminServer, provider: IdentityProvider
) -> None:
    """Admin is asked once for each of its answers, and the provider once for a token."""
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        carried = await asyncio.gather(*(credentials.metadata() for _ in range(50)))
        sent = carried[0]
        assert {tuple(one) for one in carried} == {tuple(sent)}
        assert (len(provider.asked), len(admin.asked)) == (1, 2)
        await asyncio.gather(*(credentials.refused(sent, _EXPIRED) for _ in range(50)))
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-2"),)
    assert (len(provider.asked), len(admin.asked)) == (2, 2)
    assert bench.told.outcomes == ["success"] * 2


async def test_a_real_call_is_repeated_with_another_token(
    bench: Bench, admin: AdminServer, provider: IdentityProvider
) -> None:
    """A token revoked while it was in use costs one refused call, and no error."""
    admin.accepts = {"Bearer token-2"}
    stub = admin_pb2_grpc.AdminServiceStub(bench.connection.open)
    request = version_pb2.GetVersionRequest()
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        sent = await credentials.metadata()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetVersion(request, metadata=tuple(sent))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await credentials.refused(sent, refused.value.details() or "")
        await stub.GetVersion(request, metadata=tuple(await credentials.metadata()))
    assert len(provider.asked) == 2


async def test_admin_without_authentication_needs_no_token(
    bench: Bench, admin: AdminServer, provider: IdentityProvider, logged: Logged
) -> None:
    """UNIMPLEMENTED is an answer: the provider is not even asked, and it is said once."""
    admin.refuse_metadata = (grpc.StatusCode.UNIMPLEMENTED, "unknown service")
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(3):
            assert tuple(await credentials.metadata()) == ()
        assert credentials.description == "no token: this Admin does not ask for one"
    assert len(admin.asked) == 1
    assert provider.asked == []
    assert [line["event"] for line in logged] == ["admin wants no tokens"]


async def test_authentication_that_is_switched_on_later(bench: Bench, admin: AdminServer) -> None:
    """The first refused call finds out, and is repeated with a token."""
    admin.refuse_metadata = (grpc.StatusCode.UNIMPLEMENTED, "")
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        sent = await credentials.metadata()
        admin.refuse_metadata = None
        await asyncio.gather(
            *(credentials.refused(sent, "Request unauthenticated with Bearer") for _ in range(9))
        )
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-1"),)
    assert len(admin.asked) == 3


async def test_an_ingress_that_hides_the_metadata(
    bench: Bench, admin: AdminServer, provider: IdentityProvider
) -> None:
    """A refused call proves that a token is needed; then what is configured must do."""
    admin.refuse_metadata = (grpc.StatusCode.UNIMPLEMENTED, "")
    async with bench.credentials(**_CLIENT_SECRET, token_url=provider.url) as credentials:
        sent = await credentials.metadata()
        assert tuple(sent) == ()
        await credentials.refused(sent, "Request unauthenticated with Bearer")
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-1"),)
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        await credentials.refused(await credentials.metadata(), "no")
        error = await failure(credentials)
    assert (
        str(error) == "Flyte Admin does not say where tokens come from; set admin.auth.token_url."
    )


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED]
)
async def test_a_proxy_that_forbids_the_metadata(
    bench: Bench, admin: AdminServer, provider: IdentityProvider, code: grpc.StatusCode
) -> None:
    """Where nothing is missing, it is not needed; else the call says what was forbidden."""
    admin.refuse_metadata = (code, "RBAC: access denied")
    async with bench.credentials(**_CLIENT_SECRET, token_url=provider.url) as credentials:
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-1"),)
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        error = await failure(credentials)
    assert error.code == code.name
    assert str(error) == (
        "Admin was asked which tokens it wants, and GetPublicClientConfig failed with"
        f" {code.name}: RBAC: access denied."
    )


async def test_an_admin_that_is_down_is_told_as_such(
    bench: Bench, admin: AdminServer, logged: Logged
) -> None:
    """Not as a matter of tokens; and it is asked again soon, for it may be back."""
    admin.refuse_metadata = (grpc.StatusCode.UNAVAILABLE, "connection refused")
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(5):
            error = await failure(credentials)
            assert (error.code, error.lasting) == ("UNAVAILABLE", False)
        assert len(admin.asked) == 1
        admin.refuse_metadata = None
        bench.clock.advance(5)
        assert len(await credentials.metadata()) == 1
    assert [line["log_level"] for line in logged] == ["warning", "info", "info"]


async def test_a_header_that_grpc_cannot_send(bench: Bench, admin: AdminServer) -> None:
    """A nonsensical announcement is refused, and not passed on to grpc."""
    for header in ("grpc-token", "token-bin", "two words"):
        admin.header = header
        async with bench.credentials(**_CLIENT_SECRET) as credentials:
            error = await failure(credentials)
        assert f'a header named "{header}"; set admin.auth.header' in str(error)


@pytest.mark.parametrize("url", ["ftp://idp/token", "/oauth2/token", "http://", "http://h:x/"])
async def test_a_token_endpoint_that_is_none(bench: Bench, admin: AdminServer, url: str) -> None:
    """Whatever Admin announces, a secret goes to http and https addresses only."""
    admin.token_endpoint = url
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        error = await failure(credentials)
    assert isinstance(error, SourceRejected)
    assert "set admin.auth.token_url." in str(error)


async def test_a_token_endpoint_with_a_password(bench: Bench) -> None:
    """It would take the place of the client's proof; it is not shown either."""
    settings = _CLIENT_SECRET | {"token_url": "http://me:hunter2@127.0.0.1/token"}
    async with bench.credentials(**settings) as credentials:
        assert credentials.description == (
            "a token from the identity provider at http://127.0.0.1/token"
        )
        error = await failure(credentials)
    assert "hunter2" not in str(error)
    assert "has a user in its URL" in str(error)


async def test_a_secret_over_plain_http_is_warned_of_once(
    bench: Bench, admin: AdminServer, provider: IdentityProvider, logged: Logged
) -> None:
    """In a cluster that is common, so it is done; but somebody should know."""
    admin.token_endpoint = f"http://idp.invalid:{provider.port}/token"
    async with bench.credentials(
        **_CLIENT_SECRET, http_proxy_url=f"http://127.0.0.1:{provider.port}"
    ) as credentials:
        for _ in range(2):
            await credentials.metadata()
            bench.clock.advance(3600)
    assert len(provider.asked) == 2
    warnings = [line for line in logged if line["event"] == "client secret travels without TLS"]
    assert [line["token_url"] for line in warnings] == [admin.token_endpoint]


@pytest.mark.parametrize(
    ("environ", "finding"),
    [
        ({}, "SECRET (admin.auth.client_secret_env) is not set"),
        ({"SECRET": " "}, "is empty"),
        ({"SECRET": "p\udce4ss"}, "does not hold text in UTF-8"),
    ],
)
async def test_a_variable_without_a_secret(
    bench: Bench, environ: dict[str, str], finding: str
) -> None:
    """It is named."""
    bench.environ.clear()
    bench.environ.update(environ)
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        assert finding in str(await failure(credentials))


async def test_a_corrected_secret_heals_at_once(
    bench: Bench, provider: IdentityProvider, tmp_path: Path, logged: Logged
) -> None:
    """A wrong one is reported to every call, and the provider asked once, until it changes."""
    path = tmp_path / "secret"
    path.write_text("wrong\n")
    settings = {"type": "client_secret", "client_id": CLIENT, "client_secret_file": str(path)}
    async with bench.credentials(**settings) as credentials:
        for _ in range(20):
            error = await failure(credentials)
            assert error.lasting
        assert len(provider.asked) == 2
        path.write_text(f"{SECRET}\n")
        bench.clock.advance(1)
        assert len(await credentials.metadata()) == 1
    assert bench.told.outcomes == ["rejected", "success"]
    events = [line["event"] for line in logged if line["event"].startswith("token")]
    assert events == ["token refresh failed", "token refreshed"]


async def test_a_corrected_provider_heals_within_minutes(
    bench: Bench, provider: IdentityProvider
) -> None:
    """Nothing here changed, so it is asked again after a while."""
    provider.secret = "not yet"
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        await failure(credentials)
        provider.secret = SECRET
        await failure(credentials)
        bench.clock.advance(180)
        assert len(await credentials.metadata()) == 1


async def test_a_provider_that_moved_is_found(
    bench: Bench, admin: AdminServer, provider: IdentityProvider
) -> None:
    """After a failure Admin is asked again where tokens come from."""
    admin.token_endpoint = f"{provider.url}/gone"
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        await failure(credentials)
        admin.token_endpoint = provider.url
        bench.clock.advance(180)
        assert len(await credentials.metadata()) == 1


async def test_an_outage_is_bridged_by_the_token(
    bench: Bench, provider: IdentityProvider, logged: Logged
) -> None:
    """The provider may be down as long as the token lasts, and is said to be, once."""
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        sent = tuple(await credentials.metadata())
        provider.answer = lambda _: web.Response(status=503)
        bench.clock.advance(3500)
        for _ in range(5):
            assert tuple(await credentials.metadata()) == sent
            bench.clock.advance(10)
        bench.clock.advance(100)
        error = await failure(credentials)
    assert isinstance(error, TokenUnavailable)
    assert "HTTP 503" in str(error)
    failures = [line for line in logged if line["event"] == "token refresh failed"]
    assert [line["log_level"] for line in failures] == ["warning"]
    assert failures[0]["code"] == "UNAVAILABLE"
    assert set(bench.told.outcomes[1:]) == {"failure"}


async def test_a_token_that_can_never_work_is_told_as_such(
    bench: Bench, provider: IdentityProvider, logged: Logged
) -> None:
    """The claim at fault is named at once, and nobody is asked for another for minutes."""
    provider.answer = lambda _: web.json_response({"access_token": jwt(scp="all offline")})
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        sent = await credentials.metadata()
        assert credentials.scopes == ("all", "offline")
        waves = [(sent, _NO_SCOPE)] * 20
        errors = [await failure(credentials, refused=wave) for wave in waves]
        errors.append(await failure(credentials))
        assert {(error.code, error.lasting) for error in errors} == {("UNAUTHENTICATED", True)}
        [said] = set(map(str, errors))
        assert said == (
            f"Admin refuses the token from the identity provider at {provider.url}, and would"
            ' refuse every other of its kind: its claim scp is the text "all offline". Have the'
            ' identity provider write scp as a list that holds "all", such as ["all"]; Admin does'
            " not split a text."
        )
        assert len(provider.asked) == 1
        # The provider is corrected; nobody tells us.
        provider.answer = None
        bench.clock.advance(180)
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-2"),)
    assert bench.told.outcomes == ["success", "rejected", "success"]
    assert bench.told.expiries[1] is None
    assert [line["event"] for line in logged][2:] == ["token rejected", "token refreshed"]


async def test_the_same_verdict_is_logged_once(
    bench: Bench, provider: IdentityProvider, logged: Logged
) -> None:
    """An hour of it is one line."""
    provider.answer = lambda _: web.json_response({"access_token": jwt(scp="all offline")})
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(20):
            await failure(credentials, refused=(await credentials.metadata(), _NO_SCOPE))
            bench.clock.advance(180)
    assert [line["event"] for line in logged].count("token rejected") == 1


async def test_an_admin_that_refuses_every_token_does_not_wear_out_the_provider(
    bench: Bench, provider: IdentityProvider
) -> None:
    """Each refusal is raised with Admin's words, while tokens are got anew ever more rarely."""
    details = "token parse error [access token err: failed to verify signature]"
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        for _ in range(600):
            sent = await credentials.metadata()
            try:
                await credentials.refused(sent, details)
            except TokenRejected as error:
                assert not error.lasting  # noqa: PT017
                assert f"as the one before: {details}; have it" in str(error)  # noqa: PT017
            bench.clock.advance(1)
    assert 5 <= len(provider.asked) <= 8


async def test_a_source_that_gives_the_same_token_again(
    bench: Bench, program: Callable[[str], str]
) -> None:
    """A program with a cache of its own cannot cure a refusal, and says so."""
    command = program("echo the-same")
    async with bench.credentials(type="external_command", command=[command]) as credentials:
        sent = await credentials.metadata()
        error = await failure(credentials, refused=(sent, _EXPIRED))
    assert isinstance(error, TokenRejected)
    assert not error.lasting
    assert str(error) == (
        f"Admin refused the token from the program {command}, and it is given no other: {_EXPIRED};"
        " have it give tokens that are accepted."
    )


async def test_admin_may_move_its_header(
    bench: Bench, admin: AdminServer, program: Callable[[str], str]
) -> None:
    """A token that is refused in vain has Admin asked again where it looks for one."""
    command = program("echo the-same")
    async with bench.credentials(type="external_command", command=[command]) as credentials:
        sent = await credentials.metadata()
        admin.header = "x-moved"
        await failure(credentials, refused=(sent, _EXPIRED))
        assert tuple(await credentials.metadata()) == (("x-moved", "Bearer the-same"),)


async def test_tokens_of_a_program(
    bench: Bench, admin: AdminServer, program: Callable[[str], str], tmp_path: Path
) -> None:
    """They go in the header that Admin names, and are got anew when one is refused."""
    counter = tmp_path / "runs"
    command = program(f"echo x >> {counter}; echo token-$(wc -l < {counter} | tr -d ' ')")
    async with bench.credentials(type="external_command", command=[command]) as credentials:
        sent = await credentials.metadata()
        assert tuple(sent) == (("flyte-authorization", "Bearer token-1"),)
        assert credentials.description == f"a token from the program {command}"
        await credentials.refused(sent, _EXPIRED)
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer token-2"),)
    assert methods(admin) == ["GetPublicClientConfig"]


async def test_tokens_of_a_file(bench: Bench, tmp_path: Path) -> None:
    """A refused one is replaced when the file was; else the error says that it was not."""
    path = tmp_path / "token"
    path.write_text("one")
    async with bench.credentials(type="token_file", token_file=str(path)) as credentials:
        sent = await credentials.metadata()
        assert tuple(sent) == (("flyte-authorization", "Bearer one"),)
        error = await failure(credentials, refused=(sent, _EXPIRED))
        assert str(error) == (
            f"Admin refused the token from the file {path}, and it is given no other: {_EXPIRED};"
            " have it give tokens that are accepted."
        )
        path.write_text("another")
        bench.clock.advance(1)
        await credentials.refused(sent, _EXPIRED)
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer another"),)


async def test_a_file_with_a_token_that_can_never_work(bench: Bench, tmp_path: Path) -> None:
    """Another file is tried at once."""
    path = tmp_path / "token"
    path.write_text(jwt(aud="elsewhere"))
    words = "token parse error [access token err: invalid audience [x], wanted [map[here:{}]]]"
    async with bench.credentials(type="token_file", token_file=str(path)) as credentials:
        error = await failure(credentials, refused=(await credentials.metadata(), words))
        assert 'its claim aud is "elsewhere", and Admin wants "here".' in str(error)
        assert error.lasting
        path.write_text("replaced")
        bench.clock.advance(1)
        assert tuple(await credentials.metadata()) == (("flyte-authorization", "Bearer replaced"),)


async def test_a_proxy_sees_its_token_on_every_request(
    bench: Bench, admin: AdminServer, provider: IdentityProvider, program: Callable[[str], str]
) -> None:
    """On calls to Admin, on the questions about tokens, and at the identity provider."""
    proxied = program("echo for-the-proxy")
    async with bench.credentials(**_CLIENT_SECRET, proxy_command=[proxied]) as credentials:
        assert tuple(await credentials.metadata()) == (
            ("proxy-authorization", "Bearer for-the-proxy"),
            ("flyte-authorization", "Bearer token-1"),
        )
        assert credentials.description.endswith(
            f"; for the proxy before Admin, a token from the program {proxied}"
        )
    assert {headers["proxy-authorization"] for _, headers in admin.asked} == {
        "Bearer for-the-proxy"
    }
    assert provider.asked[0].headers["proxy-authorization"] == "Bearer for-the-proxy"
    # The expiry that is told is that of Admin's token.
    assert bench.told.expiries == [credentials.expires_at]
    assert bench.told.outcomes == ["success"] * 2


async def test_a_proxy_alone(bench: Bench, program: Callable[[str], str], tmp_path: Path) -> None:
    """Admin wants no token, the proxy before it does: its refusals have that one got anew."""
    counter = tmp_path / "runs"
    proxied = program(f"echo x >> {counter}; echo token-$(wc -l < {counter} | tr -d ' ')")
    async with bench.credentials(proxy_command=[proxied]) as credentials:
        sent = await credentials.metadata()
        assert tuple(sent) == (("proxy-authorization", "Bearer token-1"),)
        await credentials.refused(sent, _BY_PROXY)
        assert tuple(await credentials.metadata()) == (("proxy-authorization", "Bearer token-2"),)
        # In Admin's own words the matter is another.
        error = await failure(credentials, refused=(sent, "Request unauthenticated with Bearer"))
    assert "set admin.auth.type" in str(error)


async def test_who_refused_decides_what_is_renewed(
    bench: Bench, provider: IdentityProvider, program: Callable[[str], str], tmp_path: Path
) -> None:
    """Admin's words concern Admin's token only; a proxy's may concern either."""
    counter = tmp_path / "runs"
    proxied = program(f"echo x >> {counter}; echo proxy-$(wc -l < {counter} | tr -d ' ')")
    async with bench.credentials(**_CLIENT_SECRET, proxy_command=[proxied]) as credentials:
        await credentials.refused(await credentials.metadata(), _EXPIRED)
        assert [value for _, value in await credentials.metadata()] == [
            "Bearer proxy-1",
            "Bearer token-2",
        ]
        bench.clock.advance(1000)
        await credentials.refused(await credentials.metadata(), _BY_PROXY)
        assert len(provider.asked) == 3


async def test_a_gateway_may_mean_either_token(bench: Bench, program: Callable[[str], str]) -> None:
    """Where the proxy's program has no other token, Admin's is still got anew."""
    proxied = program("echo the-same")
    async with bench.credentials(**_CLIENT_SECRET, proxy_command=[proxied]) as credentials:
        await credentials.refused(await credentials.metadata(), "Jwt is expired")
        assert [value for _, value in await credentials.metadata()] == [
            "Bearer the-same",
            "Bearer token-2",
        ]


async def test_a_proxy_proves_nothing_about_admin(
    bench: Bench,
    admin: AdminServer,
    provider: IdentityProvider,
    program: Callable[[str], str],
) -> None:
    """Its refusal does not make an Admin without authentication one that wants tokens."""
    admin.refuse_metadata = (grpc.StatusCode.UNIMPLEMENTED, "")
    proxied = program("echo the-same")
    async with bench.credentials(**_CLIENT_SECRET, proxy_command=[proxied]) as credentials:
        sent = await credentials.metadata()
        assert isinstance(await failure(credentials, refused=(sent, _BY_PROXY)), TokenRejected)
        assert tuple(await credentials.metadata()) == tuple(sent)
    assert provider.asked == []


async def test_a_failing_program_for_the_proxy(
    bench: Bench, admin: AdminServer, program: Callable[[str], str]
) -> None:
    """Nothing is sent without it, and the error names the setting."""
    proxied = program("exit 1")
    async with bench.credentials(**_CLIENT_SECRET, proxy_command=[proxied]) as credentials:
        error = await failure(credentials)
    assert "(admin.auth.proxy_command) ended with status 1" in str(error)
    assert admin.asked == []


async def test_leaving_ends_what_is_under_way(bench: Bench, provider: IdentityProvider) -> None:
    """A hanging provider does not hold up a shutdown."""
    arrived = asyncio.Event()

    async def hang(_: object) -> web.Response:
        arrived.set()
        await provider.over.wait()
        return web.Response()

    provider.answer = hang
    async with bench.credentials(**_CLIENT_SECRET) as credentials:
        call = asyncio.ensure_future(credentials.metadata())
        await arrived.wait()
    assert [t.get_name() for t in asyncio.all_tasks() if t.get_name() == "credentials"] == []
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_nothing_that_is_emitted_holds_a_secret(
    bench: Bench,
    provider: IdentityProvider,
    program: Callable[[str], str],
    logged: Logged,
) -> None:
    """Through all kinds of luck, neither logs nor errors nor representations hold one."""
    access = jwt(scp="all offline", exp=bench.clock.now() // SECOND + 600)
    proxied = program("echo for-the-proxy")
    path = Path(proxied).with_name("token")
    path.write_text(access)
    emitted: list[object] = []

    def echo(asked: object) -> web.Response:
        return web.Response(status=400, text=f"{asked!r} {access}")

    for auth in (
        _CLIENT_SECRET | {"proxy_command": [proxied, "arg-s3cret"]},
        {"type": "token_file", "token_file": os.fspath(path)},
        {"type": "external_command", "command": [program(f"echo {access}"), "arg-s3cret"]},
    ):
        for answer in (None, lambda _: web.json_response({"access_token": access}), echo):
            provider.answer = answer
            async with bench.credentials(**auth) as credentials:
                for details in (_EXPIRED, _NO_SCOPE, "you sent {}", _BY_PROXY):
                    try:
                        sent = await credentials.metadata()
                        await credentials.refused(sent, details.format(sent))
                    except CredentialsError as error:
                        emitted += [str(error), repr(error), error.args]
                    emitted += [credentials.description, repr(vars(credentials))]
                    bench.clock.advance(400)
    text = repr([*emitted, *logged, bench.told])
    assert "refused" in text
    for secret in (SECRET, "s3cr", "czNjcj", "for-the-proxy", access, access[:30], "token-1"):
        assert secret not in text
