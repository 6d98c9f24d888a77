"""What a call carries is shown to nobody, also not by whoever has received it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.trace import NoOpTracer

from exporter.admin.client import AdminClient
from exporter.admin.errors import AdminError
from exporter.admin.opening import open_client
from tests.admin.conftest import Impatient, Refused, ScriptedAdmin, settings_for
from tests.calls import Calls

_TOKEN = "t0ken.that.nobody-sees"
_PATIENCE = 10.0


@pytest.fixture
async def carrying(
    server: ScriptedAdmin, calls: Calls, clock: Impatient, tmp_path: Path
) -> AsyncIterator[AdminClient]:
    """Yield a client whose calls carry a token from a file that nobody replaces."""
    path = tmp_path / "token"
    path.write_text(_TOKEN)
    auth = {"type": "token_file", "token_file": path, "header": "authorization"}
    async with open_client(
        settings_for(server, auth=auth), clock=clock, observer=calls, tracer=NoOpTracer()
    ) as client:
        yield client


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE"])
async def test_a_token_that_somebody_repeats_is_not_shown(
    carrying: AdminClient, server: ScriptedAdmin, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some proxies put the header that they refuse into their answer; errors and logs do not."""

    def echo(_: Any) -> Any:
        sent = server.carried[-1]["authorization"]
        raise Refused(grpc.StatusCode[code], f"no entry with authorization: {sent}")

    server.answers["GetVersion"] = echo
    with pytest.raises(AdminError) as failed:
        await carrying.get_version(timeout=_PATIENCE)
    assert _TOKEN in server.carried[0]["authorization"]
    shown = [str(failed.value), failed.value.details, *capsys.readouterr()]
    assert not [text for text in shown if _TOKEN in text]
    assert "***" in str(failed.value)
