"""
Threads that nobody waits for.

A lookup of a name, or a read from a dead network disk, cannot be interrupted. The check that began
it is given up in time; without this, the process would wait for its thread at the end.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a thread of its own, which dies with the process; for a few calls."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Begin a call."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                answer = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
                future.set_exception(error)
            else:
                future.set_result(answer)

        threading.Thread(target=run, daemon=True).start()
        return future
