"""A connection on which one call after the other hangs is left, once."""

from collections.abc import AsyncIterator

import grpc
import pytest

from exporter.admin.connection import Connection
from exporter.admin.line import Line
from tests.admin.conftest import ScriptedAdmin, settings_for
from tests.rig import ManualClock


@pytest.fixture
async def connection(server: ScriptedAdmin) -> AsyncIterator[Connection]:
    """Yield a connection that makes channels as fast as they are asked for."""
    async with Connection(settings_for(server), clock=ManualClock()) as connection:
        yield connection


async def test_three_hangs_in_a_row_end_a_connection(connection: Connection) -> None:
    """An answer in between shows that it works."""
    line = Line(connection)
    stub = await line.stub()
    for answered in (False, False, True, False, False):
        line.ended(stub, answered=answered)
    assert await line.stub() is stub
    line.ended(stub, answered=False)
    assert await line.stub() is not stub


async def test_hangs_of_a_connection_that_was_left_do_not_count(connection: Connection) -> None:
    """A dozen calls that hung together end one connection, and say nothing of the next."""
    line = Line(connection)
    old = await line.stub()
    for _ in range(5):
        line.ended(old, answered=False)
    new, channel = await line.stub(), await connection.channel()
    for _ in range(7):
        line.ended(old, answered=False)
    for _ in range(2):
        line.ended(new, answered=False)
    assert await line.stub() is new
    assert await connection.channel() is channel
    line.ended(old, answered=True)
    line.ended(new, answered=False)
    assert await connection.channel() is not channel


async def test_hangs_of_a_connection_whose_files_changed_do_not_count(
    connection: Connection,
) -> None:
    """A channel may also be replaced by somebody else."""
    line = Line(connection)
    old = await line.stub()
    for _ in range(2):
        line.ended(old, answered=False)
    connection.renew(await connection.channel())
    new = await line.stub()
    channel: grpc.aio.Channel = await connection.channel()
    line.ended(new, answered=False)
    assert new is not old
    assert await connection.channel() is channel
