"""A simulated Admin with authentication on, as clients on a socket meet it."""

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc
import grpc.aio
import pytest
from flyteidl.admin import project_pb2, version_pb2
from flyteidl.service import admin_pb2_grpc, auth_pb2, auth_pb2_grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from exporter.model.time import SECOND
from exporter.sim.authority import Authority, OAuthClient
from exporter.sim.incidents import parse_incident
from exporter.sim.server import Serving, serve
from exporter.sim.token_endpoint import Asked, Fault, TokenEndpoint
from exporter.sim.world import World
from tests.sim.conftest import OK, ending

ODD = OAuthClient(id="team a/x", secret="p:ß+%&=?", scopes=("all",), audiences=("https://api",))
"""Nothing about it survives a Basic header unescaped."""


@dataclass
class Admin:
    """One that asks for tokens, and what a test does to it."""

    serving: Serving
    authority: Authority
    channel: grpc.aio.Channel
    http: aiohttp.ClientSession

    @property
    def endpoint(self) -> TokenEndpoint:
        """The token endpoint's switches."""
        assert self.serving.token_endpoint
        return self.serving.token_endpoint

    async def post(
        self, *, basic: tuple[str, str] | None = None, **form: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask for a token; return status and JSON."""
        form = {"grant_type": "client_credentials", "scope": "all"} | form
        headers = {}
        if basic:
            headers["Authorization"] = in_header(*(quote(part, safe="") for part in basic))
        async with self.http.post(self.endpoint.token_url, data=form, headers=headers) as answer:
            return answer.status, await answer.json()

    async def token(self, **form: str) -> str:
        """Return a token of the odd client."""
        status, answer = await self.post(basic=(ODD.id, ODD.secret), **form)
        assert status == 200
        return str(answer["access_token"])

    async def get_version(self, *metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str]:
        """Call GetVersion and return how it ended."""
        stub: Any = admin_pb2_grpc.AdminServiceStub(self.channel)
        request = version_pb2.GetVersionRequest()
        return await ending(stub.GetVersion(request, metadata=metadata, timeout=5))


def in_header(client_id: str, secret: str) -> str:
    """Return a Basic header."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@contextlib.asynccontextmanager
async def admin_with(clock: Any, *incidents: str) -> AsyncIterator[Admin]:
    """Serve an Admin whose clock the test owns."""
    world = World(
        seed=3, start=clock.now(), history=timedelta(), incidents=[*map(parse_incident, incidents)]
    )
    authority = Authority([ODD])
    async with (
        serve(world, clock=clock, authority=authority) as serving,
        grpc.aio.insecure_channel(serving.address) as channel,
        aiohttp.ClientSession() as http,
    ):
        yield Admin(serving, authority, channel, http)


@pytest.fixture
async def admin(clock: Any) -> AsyncIterator[Admin]:
    """One where nothing goes wrong."""
    async with admin_with(clock) as admin:
        yield admin


async def test_a_call_without_a_token_is_refused(admin: Admin) -> None:
    """Even the one that only asks for the version."""
    code, details = await admin.get_version()
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert details.startswith("token parse error ")
    assert "Request unauthenticated with Bearer" in details


@pytest.mark.parametrize("header", ["authorization", "flyte-authorization"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_token_is_taken_from_either_header(admin: Admin, header: str, scheme: str) -> None:
    """Admin's own is for those whose mesh keeps `authorization` for itself."""
    assert await admin.get_version((header, f"{scheme} {await admin.token()}")) == OK


async def test_the_usual_header_wins(admin: Admin) -> None:
    """A good token in Admin's own does not help when `authorization` holds something else."""
    good = f"Bearer {await admin.token()}"
    both = (("flyte-authorization", good), ("authorization", "Bearer x"))
    assert (await admin.get_version(*both))[0] is grpc.StatusCode.UNAUTHENTICATED
    both = (("flyte-authorization", "Bearer x"), ("authorization", good))
    assert await admin.get_version(*both) == OK


async def test_the_header_can_be_another(admin: Admin) -> None:
    """Clients are told which, and what audience to ask for; the default header counts no more."""
    admin.authority.header = "X-Flyte"
    admin.authority.advertised_audience = "https://api"
    metadata: Any = auth_pb2_grpc.AuthMetadataServiceStub(admin.channel)
    request = auth_pb2.PublicClientAuthConfigRequest()
    config = await metadata.GetPublicClientConfig(request, timeout=5)
    assert config.authorization_metadata_key == "X-Flyte"
    assert config.audience == "https://api"
    good = f"Bearer {await admin.token(audience=config.audience)}"
    assert await admin.get_version(("x-flyte", good)) == OK
    code, _ = await admin.get_version(("flyte-authorization", good))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_expires_by_the_servers_clock(admin: Admin, clock: Any) -> None:
    """The refusal says so, and the next token is good."""
    old = ("authorization", f"Bearer {await admin.token()}")
    clock.advance(1800)
    code, details = await admin.get_version(old)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "Token is expired" in details
    assert await admin.get_version(("authorization", f"Bearer {await admin.token()}")) == OK


async def test_a_missing_scope_has_a_text_of_its_own(admin: Admin) -> None:
    """So that a client can tell that asking again is of no use."""
    admin.authority.scopes_as_text = True
    admin.authority.add(replace(ODD, scopes=("all", "offline")))
    token = await admin.token(scope="all offline")
    assert await admin.get_version(("authorization", f"Bearer {token}")) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "authenticated user doesn't have required scope",
    )


async def test_a_call_that_admin_does_not_know_is_not_judged(admin: Admin) -> None:
    """It is UNIMPLEMENTED, token or not, as gRPC servers in Go have it."""
    call: Any = admin.channel.unary_unary("/flyteidl.service.AdminService/Surprise")
    assert (await ending(call(b"", timeout=5)))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_everybody_is_told_where_tokens_come_from(admin: Admin) -> None:
    """By gRPC without a token, and by HTTP the same."""
    metadata: Any = auth_pb2_grpc.AuthMetadataServiceStub(admin.channel)
    answer = await metadata.GetOAuth2Metadata(auth_pb2.OAuth2MetadataRequest(), timeout=5)
    assert answer.token_endpoint == admin.endpoint.token_url
    assert answer.issuer == admin.endpoint.base_url
    url = f"{admin.endpoint.base_url}/.well-known/oauth-authorization-server"
    async with admin.http.get(url, headers={"Accept": "application/json"}) as twin:
        document = await twin.json()
    assert document["token_endpoint"] == answer.token_endpoint
    assert document["grant_types_supported"] == list(answer.grant_types_supported)
    assert document["device_authorization_endpoint"] == ""


async def test_everybody_is_told_how_to_be_a_client(admin: Admin) -> None:
    """By gRPC without a token, and by HTTP the same."""
    metadata: Any = auth_pb2_grpc.AuthMetadataServiceStub(admin.channel)
    request = auth_pb2.PublicClientAuthConfigRequest()
    answer = await metadata.GetPublicClientConfig(request, timeout=5)
    assert answer.client_id == "flytectl"
    assert answer.redirect_uri == "http://localhost:53593/callback"
    assert list(answer.scopes) == ["all", "offline"]
    assert answer.authorization_metadata_key == "flyte-authorization"
    # Who accepts anything gets other names than who asks for JSON.
    async with admin.http.get(f"{admin.endpoint.base_url}/config/v1/flyte_client") as twin:
        document = await twin.json()
    assert document["clientId"] == "flytectl"
    assert document["authorizationMetadataKey"] == "flyte-authorization"


async def test_without_authentication_nobody_is_told_anything(clock: Any) -> None:
    """The service is not there, and a call needs nothing."""
    world = World(seed=3, start=clock.now(), history=timedelta())
    async with (
        serve(world, clock=clock) as serving,
        grpc.aio.insecure_channel(serving.address) as channel,
    ):
        assert serving.token_endpoint is None
        metadata: Any = auth_pb2_grpc.AuthMetadataServiceStub(channel)
        call = metadata.GetOAuth2Metadata(auth_pb2.OAuth2MetadataRequest(), timeout=5)
        assert (await ending(call))[0] is grpc.StatusCode.UNIMPLEMENTED
        stub: Any = admin_pb2_grpc.AdminServiceStub(channel)
        assert await ending(stub.GetDomains(project_pb2.GetDomainRequest(), timeout=5)) == OK


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("", grpc.StatusCode.OK),
        ("flyteadmin", grpc.StatusCode.OK),
        ("nobody", grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_health_needs_a_token_too(admin: Admin, service: str, code: grpc.StatusCode) -> None:
    """With one, a service that Admin knows is SERVING."""
    check = admin.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=Int32Value.FromString,
    )
    request = StringValue(value=service)
    assert (await ending(check(request, timeout=5)))[0] is grpc.StatusCode.UNAUTHENTICATED
    metadata = (("authorization", f"Bearer {await admin.token()}"),)
    assert (await ending(check(request, metadata=metadata, timeout=5)))[0] is code
    if code is grpc.StatusCode.OK:
        assert (await check(request, metadata=metadata, timeout=5)).value == 1


async def test_credentials_go_into_the_header_or_the_body(admin: Admin) -> None:
    """In the header each part is escaped by itself, so that a colon in it splits nothing."""
    status, answer = await admin.post(basic=(ODD.id, ODD.secret))
    assert status == 200
    assert {key: answer[key] for key in ("expires_in", "scope", "token_type")} == {
        "expires_in": 1799,
        "scope": "all",
        "token_type": "bearer",
    }
    status, _ = await admin.post(client_id=ODD.id, client_secret=ODD.secret)
    assert status == 200
    assert admin.endpoint.asked == [
        Asked(basic=True, client_id=ODD.id, scopes=("all",), audience=""),
        Asked(basic=False, client_id=ODD.id, scopes=("all",), audience=""),
    ]


async def test_unescaped_credentials_are_wrong_ones(admin: Admin) -> None:
    """A client that does not escape is found out, and told so where nothing can be unescaped."""
    form = {"grant_type": "client_credentials"}
    headers = {"Authorization": in_header(ODD.id, ODD.secret)}
    async with admin.http.post(admin.endpoint.token_url, data=form, headers=headers) as answer:
        assert answer.status == 400
        said = (await answer.json())["error_description"]
    assert "could not be decoded from 'application/x-www-form-urlencoded'" in said


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"scope": "all offline"}, 400, "invalid_scope"),
        ({"audience": "https://elsewhere"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"client_id": ""}, 400, "invalid_request"),
    ],
)
async def test_refusals_are_those_of_oauth2(
    admin: Admin, form: dict[str, str], status: int, error: str
) -> None:
    """A status, a word for programs and a sentence for people."""
    good = {"client_id": ODD.id, "client_secret": ODD.secret}
    found, answer = await admin.post(basic=None, **good | form)
    assert (found, answer["error"]) == (status, error)
    assert answer["error_description"].endswith(".")


async def test_credentials_may_have_to_be_in_the_body(admin: Admin) -> None:
    """Some identity providers do not know Basic."""
    admin.endpoint.refuses_basic = True
    status, answer = await admin.post(basic=(ODD.id, ODD.secret))
    assert (status, answer["error"]) == (401, "invalid_client")
    assert (await admin.post(client_id=ODD.id, client_secret=ODD.secret))[0] == 200


async def test_the_next_requests_can_be_rejected(admin: Admin) -> None:
    """So many and no more."""
    admin.endpoint.reject_next(2)
    statuses = [(await admin.post(basic=(ODD.id, ODD.secret)))[0] for _ in range(3)]
    assert statuses == [401, 401, 200]


@pytest.mark.parametrize(("fault", "status"), [(Fault.ERROR, 500), (Fault.GARBAGE, 200)])
async def test_an_identity_provider_answers_with_a_page(
    admin: Admin, fault: Fault, status: int
) -> None:
    """Whatever the status, it is no JSON; and it is over when the test says so."""
    admin.endpoint.fault = fault
    async with admin.http.post(admin.endpoint.token_url, data={}) as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"
    admin.endpoint.fault = None
    assert await admin.token()
    assert len(admin.endpoint.asked) == 2


async def test_an_identity_provider_hangs(clock: Any) -> None:
    """The client's time runs out; the end of the server does not wait for the answer."""
    async with admin_with(clock) as admin:
        admin.endpoint.fault = Fault.HANG
        timeout = aiohttp.ClientTimeout(total=0.1)
        with pytest.raises(TimeoutError):
            await admin.http.post(admin.endpoint.token_url, data={}, timeout=timeout)
        assert len(admin.endpoint.asked) == 1


async def test_tokens_are_revoked_in_mid_life(clock: Any) -> None:
    """From the incident's start on, whether or not the world was looked at since."""
    async with admin_with(clock, "tokens-revoked@10s+1s", "tokens-revoked@1m+1s") as admin:
        first = ("authorization", f"Bearer {await admin.token()}")
        assert await admin.get_version(first) == OK
        # Nobody is woken by this.
        clock.instant += 30 * SECOND
        second = ("authorization", f"Bearer {await admin.token()}")
        assert (await admin.get_version(first))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert await admin.get_version(second) == OK
        # Nobody is woken by this.
        clock.instant += 30 * SECOND
        assert (await admin.get_version(second))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_no_identity_provider_no_new_tokens(clock: Any) -> None:
    """What was issued before it is good; nothing else about tokens is answered."""
    async with admin_with(clock, "identity-down@10s+10s") as admin:
        good = ("authorization", f"Bearer {await admin.token()}")
        clock.advance(10)
        async with admin.http.post(admin.endpoint.token_url, data={}) as answer:
            assert answer.status == 503
        assert await admin.get_version(good) == OK
        clock.advance(10)
        assert await admin.token()


async def test_a_proxy_refuses_before_admin_asks_for_a_token(clock: Any) -> None:
    """No refresh helps against it, so the code is not UNAUTHENTICATED."""
    async with admin_with(clock, "proxy-denied@0s+10s") as admin:
        assert await admin.get_version() == (
            grpc.StatusCode.PERMISSION_DENIED,
            "RBAC: access denied",
        )


async def test_a_taken_port_for_tokens_is_an_error(clock: Any) -> None:
    """As it is for gRPC."""
    world = World(seed=3, start=clock.now(), history=timedelta())
    async with admin_with(clock) as admin:
        taken = admin.endpoint.base_url.removeprefix("http://")
        with pytest.raises(OSError, match=f"cannot listen on {taken}"):
            async with serve(world, clock=clock, authority=Authority([]), http_listen=taken):
                pass


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1:http", "127.0.0.1:99999", ":0"])
async def test_an_address_that_is_none_is_an_error(clock: Any, listen: str) -> None:
    """It says what one looks like."""
    world = World(seed=3, start=clock.now(), history=timedelta())
    with pytest.raises(OSError, match=f"cannot listen on {listen}: expected HOST:PORT"):
        async with serve(world, clock=clock, authority=Authority([]), http_listen=listen):
            pass


async def test_tokens_by_ipv6(clock: Any) -> None:
    """The address that is told is a URL."""
    world = World(seed=3, start=clock.now(), history=timedelta())
    async with (
        serve(world, clock=clock, authority=Authority([ODD]), http_listen="[::1]:0") as serving,
        aiohttp.ClientSession() as http,
        http.get(str(serving.token_url)) as answer,
    ):
        assert answer.status == 400
        assert "HTTP method is 'GET', expected 'POST'." in await answer.text()
