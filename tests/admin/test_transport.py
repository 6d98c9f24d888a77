"""On its way to Admin a call is repeated, held back or held off, as each failure asks for."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from flyteidl.admin import version_pb2
from opentelemetry.trace import NoOpTracer
from structlog.testing import capture_logs

from exporter.admin import query
from exporter.admin.client import AdminClient, Version
from exporter.admin.errors import (
    AdminError,
    CircuitOpen,
    HeldBack,
    NoConnection,
    Throttled,
    TokenRefused,
)
from exporter.admin.opening import open_client
from exporter.admin.retry import ATTEMPTS, FIRST_PAUSE
from exporter.model.targets import Target
from tests.admin.conftest import Impatient, Refused, ScriptedAdmin, refusing, settings_for
from tests.cable import Cable
from tests.calls import Calls

_PATIENCE = 10.0
_VERSION = version_pb2.GetVersionResponse(control_plane_version={"Version": "v1", "Build": "b"})


def in_turn(*ends: grpc.StatusCode | str) -> Callable[[Any], Any]:
    """Return an answer that refuses in turn with each of *ends*, and then is given."""
    left = list(ends)

    def answer(_: Any) -> Any:
        if not left:
            return _VERSION
        end = left.pop(0)
        if isinstance(end, str):
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, end)
        raise Refused(end, "not now")

    return answer


def _raise(error: Exception) -> Any:
    raise error


_TRANSIENT = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
]


@pytest.mark.parametrize("code", _TRANSIENT)
async def test_what_passes_is_asked_again(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls, clock: Impatient, code: Any
) -> None:
    """One failed attempt, a pause, an answer: one call that succeeded, and one retry."""
    server.answers["GetVersion"] = in_turn(code)
    assert await persistent.get_version(timeout=_PATIENCE) == Version("v1", "b")
    assert calls.finished == [("GetVersion", "OK")]
    assert calls.attempts == [code.name, "OK"]
    assert calls.retries == [code.name]
    assert len(clock.pauses) == 1
    assert 0 <= clock.pauses[0] <= FIRST_PAUSE


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
    ],
)
async def test_what_admin_means_is_not_asked_again(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls, code: Any
) -> None:
    """A refusal of the question costs one attempt."""
    server.answers["GetVersion"] = refusing(code, "no")
    with pytest.raises(AdminError) as failed:
        await persistent.get_version(timeout=_PATIENCE)
    assert failed.value.code == code.name
    assert calls.attempts == [code.name]
    assert calls.retries == []


async def test_a_panic_of_admin_passes(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """INTERNAL without a word is how Admin tells of one: the next attempt may meet none."""
    answers = [Refused(grpc.StatusCode.INTERNAL), _VERSION]

    def answer(_: Any) -> Any:
        if isinstance(given := answers.pop(0), Refused):
            raise given
        return given

    server.answers["GetVersion"] = answer
    assert await persistent.get_version(timeout=_PATIENCE) == Version("v1", "b")
    assert calls.attempts == ["INTERNAL", "OK"]
    assert calls.retries == ["INTERNAL"]


async def test_an_admin_that_goes_on_panicking(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """After six attempts the call fails in a whole sentence; the breaker is for other things."""
    server.answers["GetVersion"] = lambda _: _raise(Refused(grpc.StatusCode.INTERNAL))
    with pytest.raises(AdminError) as failed:
        await persistent.get_version(timeout=_PATIENCE)
    assert type(failed.value) is AdminError
    assert (failed.value.code, failed.value.said) == ("INTERNAL", "")
    assert str(failed.value) == "GetVersion failed with INTERNAL"
    assert calls.attempts == ["INTERNAL"] * ATTEMPTS
    assert calls.breaker == []


async def test_a_quota_is_waited_for(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """A proxy that throttles is asked again after a pause."""
    server.answers["GetVersion"] = in_turn("local rate limited", "local rate limited")
    await persistent.get_version(timeout=_PATIENCE)
    assert calls.retries == ["RESOURCE_EXHAUSTED"] * 2


async def test_a_quota_that_stays_used_up_says_what_to_do(
    persistent: AdminClient, server: ScriptedAdmin
) -> None:
    """The error names the setting."""
    server.answers["GetVersion"] = in_turn(*["local rate limited"] * 9)
    with pytest.raises(Throttled, match=r"; lower admin\.rate_limit, or have the limit of"):
        await persistent.get_version(timeout=_PATIENCE)


async def test_trailers_over_the_limit_are_not_asked_for_again(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """RESOURCE_EXHAUSTED about a size other than a page's is an error like any other."""
    server.answers["GetVersion"] = in_turn("received metadata size exceeds hard limit")
    with pytest.raises(AdminError):
        await persistent.get_version(timeout=_PATIENCE)
    assert calls.attempts == ["RESOURCE_EXHAUSTED"]


async def test_pauses_grow_with_jitter_and_attempts_end(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """Six attempts; the n-th pause lies between 0 and 0.25 * 2^n seconds, and is drawn."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode.UNKNOWN, "no")
    for _ in range(4):
        with pytest.raises(AdminError):
            await persistent.get_version(timeout=60)
    assert calls.attempts[:6] == ["UNKNOWN"] * 6
    assert calls.finished == [("GetVersion", "UNKNOWN")] * 4
    for number, pause in enumerate(clock.pauses):
        assert 0 <= pause <= FIRST_PAUSE * 2 ** (number % 5)
    assert len(set(clock.pauses)) == len(clock.pauses)


async def test_no_pause_reaches_beyond_the_calls_time(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """A call that has no time for another attempt ends with what it knows."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode.UNKNOWN, "no")
    with pytest.raises(AdminError) as failed:
        await persistent.get_version(timeout=0.2)
    assert failed.value.code == "UNKNOWN"
    # The clock skips pauses, so no time is ever used up; but none may be as long as what there is.
    assert all(pause < 0.2 for pause in clock.pauses)
    assert calls.finished == [("GetVersion", "UNKNOWN")]


async def test_a_hang_is_cut_and_repeated_once(
    server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """Each attempt has a deadline of its own, well within that of the call."""
    server.answers["GetVersion"] = lambda _: asyncio.get_running_loop().create_future()
    settings = settings_for(server, timeout="100ms")
    async with open_client(settings, clock=clock, observer=calls, tracer=NoOpTracer()) as client:
        with pytest.raises(AdminError) as failed:
            await client.get_version(timeout=_PATIENCE)
    assert failed.value.code == "DEADLINE_EXCEEDED"
    assert calls.attempts == ["DEADLINE_EXCEEDED"] * 2
    assert calls.seconds[0] < 5


async def test_an_outage_is_not_multiplied(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """When most calls fail, further ones are made once each."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode.UNKNOWN, "no")
    for _ in range(40):
        with pytest.raises(AdminError):
            await persistent.get_version(timeout=_PATIENCE)
    assert len(calls.attempts) < 40 + 51
    assert calls.attempts[-20:] == ["UNKNOWN"] * 20
    retried = len(calls.retries)
    with pytest.raises(AdminError):
        await persistent.get_version(timeout=_PATIENCE)
    assert len(calls.retries) == retried


@pytest.fixture
async def nobody(calls: Calls, clock: Impatient) -> AsyncIterator[AdminClient]:
    """Yield a client of an endpoint where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = settings_for(ScriptedAdmin(port=free.getsockname()[1]))
        async with open_client(
            settings, clock=clock, observer=calls, tracer=NoOpTracer()
        ) as client:
            yield client


async def test_an_admin_that_is_gone_opens_the_breaker(
    nobody: AdminClient, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then calls are not sent: their error says so, and it is shown and logged once."""
    for _ in range(2):
        with pytest.raises(CircuitOpen) as held_off:
            await nobody.get_version(timeout=_PATIENCE)
    assert re.fullmatch(
        r"GetVersion was not sent: Admin cannot be reached \(.*Connection refused.*\); one call at"
        " a time finds out whether it is back",
        str(held_off.value),
    )
    assert calls.attempts == ["UNAVAILABLE"] * 5
    assert calls.finished == [("GetVersion", "UNAVAILABLE")] * 2
    assert calls.breaker == [True]
    assert capsys.readouterr().out.count("circuit breaker open") == 1


async def test_the_log_says_whose_call_opened_the_breaker(nobody: AdminClient) -> None:
    """The line has the project, the domain, the method and the code, each by itself."""
    target = Target("etl", "production")
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(CircuitOpen):
                await nobody.list_executions(target, query.named(["a"]), limit=1, timeout=_PATIENCE)
    (told,) = [log for log in logs if log["event"].startswith("circuit breaker open")]
    about = {key: told[key] for key in ("project", "domain", "method", "code")}
    assert about == {
        "project": "etl",
        "domain": "production",
        "method": "ListExecutions",
        "code": "UNAVAILABLE",
    }


async def test_a_call_waits_for_the_probe_of_a_short_outage(
    nobody: AdminClient, clock: Impatient
) -> None:
    """Its pause is as long as the breaker's, and a little more that is drawn."""
    for _ in range(2):
        with pytest.raises(CircuitOpen):
            await nobody.get_version(timeout=_PATIENCE)
    waited = clock.pauses[5:]
    assert waited
    assert all(0.5 < pause < 1.3 for pause in waited)


async def test_a_call_that_finds_no_room_says_why(
    server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """It is not sent, and names the settings."""
    server.answers["GetVersion"] = in_turn()
    settings = settings_for(server, rate_limit="1/m", burst=1)
    async with open_client(settings, clock=clock, observer=calls, tracer=NoOpTracer()) as client:
        await client.get_version(timeout=_PATIENCE)
        with pytest.raises(HeldBack, match=r"admin\.rate_limit and admin\.max_concurrency left no"):
            await client.get_version(timeout=0.05)
    assert calls.attempts == ["OK"]
    assert len(calls.waits) == 1
    assert calls.waits[0] >= 0.04


@pytest.fixture
async def with_token(
    server: ScriptedAdmin, calls: Calls, clock: Impatient, tmp_path: Path
) -> AsyncIterator[tuple[AdminClient, Path]]:
    """Yield a client whose token is in a file, and the file."""
    path = tmp_path / "token"
    path.write_text("first", encoding="utf-8")
    auth = {"type": "token_file", "token_file": path, "header": "flyte-authorization"}
    async with open_client(
        settings_for(server, auth=auth), clock=clock, observer=calls, tracer=NoOpTracer()
    ) as client:
        yield client, path


def wanting(token: str, server: ScriptedAdmin) -> Callable[[Any], Any]:
    """Return an answer for those alone who carry *token*."""

    def answer(_: Any) -> Any:
        if server.carried[-1].get("flyte-authorization") != f"Bearer {token}":
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "token parse error: expired")
        return _VERSION

    return answer


async def test_a_refused_token_is_replaced_once_and_the_call_made_again(
    with_token: tuple[AdminClient, Path], server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """UNAUTHENTICATED costs one attempt, no pause, and nobody outside the call hears of it."""
    client, path = with_token

    def answer(request: Any) -> Any:
        # While the call is on its way, a sidecar puts another token in the place of the first.
        path.write_text("second", encoding="utf-8")
        return wanting("second", server)(request)

    server.answers["GetVersion"] = answer
    assert await client.get_version(timeout=_PATIENCE) == Version("v1", "b")
    assert calls.finished == [("GetVersion", "OK")]
    assert calls.attempts == ["UNAUTHENTICATED", "OK"]
    assert calls.retries == ["UNAUTHENTICATED"]
    assert clock.pauses == [0]


async def test_a_token_that_can_never_work_is_not_tried_for_ever(
    with_token: tuple[AdminClient, Path], server: ScriptedAdmin, calls: Calls
) -> None:
    """No other token comes: the call ends and says so, after one attempt."""
    client, _ = with_token
    server.answers["GetVersion"] = wanting("another", server)
    with pytest.raises(TokenRefused) as failed:
        await client.get_version(timeout=_PATIENCE)
    assert re.fullmatch(
        r"GetVersion failed with UNAUTHENTICATED: Admin refused the token from the file .*/token,"
        r" and it is given no other: token parse error: expired; have it give tokens that are"
        r" accepted\.",
        str(failed.value),
    )
    assert calls.attempts == ["UNAUTHENTICATED"]
    assert calls.finished == [("GetVersion", "UNAUTHENTICATED")]


async def test_an_admin_that_wants_a_token_where_none_is_configured(
    persistent: AdminClient, server: ScriptedAdmin, calls: Calls
) -> None:
    """What to set is said."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode.UNAUTHENTICATED, "no")
    with pytest.raises(TokenRefused, match=r"none is configured; set admin\.auth\.type\.$"):
        await persistent.get_version(timeout=_PATIENCE)
    assert calls.attempts == ["UNAUTHENTICATED"]
    assert calls.retries == []


async def test_a_certificate_file_that_is_not_there(
    server: ScriptedAdmin, calls: Calls, clock: Impatient, tmp_path: Path
) -> None:
    """The call is not sent, and the file is named."""
    settings = settings_for(server, insecure=False, ca_file=tmp_path / "ca.pem")
    async with open_client(settings, clock=clock, observer=calls, tracer=NoOpTracer()) as client:
        with pytest.raises(NoConnection, match=r"GetVersion was not sent: .*ca\.pem"):
            await client.get_version(timeout=_PATIENCE)
    assert calls.attempts == []
    assert calls.finished == [("GetVersion", "UNAVAILABLE")]


async def test_calls_that_hang_one_after_the_other_get_another_connection(
    server: ScriptedAdmin, calls: Calls, clock: Impatient
) -> None:
    """A proxy that has lost its way looks sound; after three hangs we try to get elsewhere."""
    async with Cable(server.port) as cable:
        settings = settings_for(ScriptedAdmin(port=cable.port), timeout="200ms")
        server.answers["GetVersion"] = in_turn()
        async with open_client(
            settings, clock=clock, observer=calls, tracer=NoOpTracer()
        ) as client:
            await client.get_version(timeout=_PATIENCE)
            server.answers["GetVersion"] = lambda _: asyncio.get_running_loop().create_future()
            for _ in range(2):
                with pytest.raises(AdminError):
                    await client.get_version(timeout=_PATIENCE)
            server.answers["GetVersion"] = in_turn()
            await client.get_version(timeout=_PATIENCE)
            assert cable.accepted == 2


async def test_files_that_hang_do_not_hang_a_call(
    calls: Calls, clock: Impatient, tmp_path: Path
) -> None:
    """A mount that is gone answers nobody; the call ends in its time, and names what it wants."""
    hanging = tmp_path / "ca.pem"
    os.mkfifo(hanging)
    server = ScriptedAdmin(port=1)
    settings = settings_for(server, insecure=False, ca_file=hanging)
    async with open_client(settings, clock=clock, observer=calls, tracer=NoOpTracer()) as client:
        with pytest.raises(NoConnection, match=r"files of certificates"):
            await client.get_version(timeout=0.1)
        # The thread is let go of, so that the test can end.
        with hanging.open("wb"):
            pass
    assert calls.finished == [("GetVersion", "DEADLINE_EXCEEDED")]


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE"])
async def test_a_token_that_somebody_repeats_is_not_shown(
    with_token: tuple[AdminClient, Path],
    server: ScriptedAdmin,
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Some proxies put the header that they refuse into their answer; errors and logs do not."""
    client, path = with_token
    path.write_text("nobody-sees-me")

    def echo(_: Any) -> Any:
        sent = server.carried[-1]["flyte-authorization"]
        raise Refused(grpc.StatusCode[code], f"no entry with authorization: {sent}")

    server.answers["GetVersion"] = echo
    with pytest.raises(AdminError) as failed:
        await client.get_version(timeout=_PATIENCE)
    assert server.carried[0]["flyte-authorization"] == "Bearer nobody-sees-me"
    shown = [str(failed.value), failed.value.details, *capsys.readouterr()]
    assert not [text for text in shown if "nobody-sees-me" in text]
    assert "***" in str(failed.value)
