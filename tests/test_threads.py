"""What cannot be interrupted is left behind."""

import subprocess
import sys
import time

_HANGS = """
import asyncio, sys, threading
from exporter.threads import DaemonThreads

async def main():
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    assert await asyncio.to_thread(sum, [1, 2]) == 3
    try:
        await asyncio.to_thread(int, "x")
    except ValueError:
        print("an error arrives")
    try:
        await asyncio.wait_for(asyncio.to_thread(threading.Event().wait), 0.1)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


def test_what_cannot_be_interrupted_does_not_delay_the_end() -> None:
    """A lookup that hangs in the resolver, or a dead disk, is left behind."""
    began = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-c", _HANGS),
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout.splitlines() == ["an error arrives", "given up"]
    assert time.monotonic() - began < 10
