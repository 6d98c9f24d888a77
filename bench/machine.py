"""Where the figures come from: without that they compare with nothing."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

from google.protobuf.internal import api_implementation

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("grpcio", "protobuf", "aiohttp", "prometheus_client")


def description() -> str:
    """Return this machine, in two lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} x {_processor()}, load {os.getloadavg()[0]:.1f} at the start;"
        f" {platform.system()} {platform.release()}\n"
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"
        f" (protobuf by {api_implementation.Type()})"
    )


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
